"""States of both answers at one block, scaled and centred for probes, in folds.

Statements stand in the order safe, harmful, safe, harmful ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steering.studies.probing.settings import Centring


@dataclass(frozen=True, eq=False)
class Prepared:
    """Both runs' states at a block, and what each fold subtracts."""

    no: Tensor
    """(statement, width), float32, each row of norm 1 where asked for, centred by the mean of all."""
    yes: Tensor
    offsets: Tensor
    """By fold, and by all pairs last: (2, fold + 1, width)."""
    trained: Tensor
    """What training subtracts; the published code centres once more, which prediction does not."""
    fold: np.ndarray
    """The fold of every statement, (statement,)."""
    harmful: np.ndarray
    """Boolean, (statement,)."""

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold.max()) + 1

    def difference(self, fold: int) -> np.ndarray:
        """x(Yes) - x(No), each centred by the training pairs of a fold, float64, (statement, width)."""
        shift = self.offsets[1, fold] - self.offsets[0, fold]
        return ((self.yes - self.no) - shift).double().numpy()

    def inside(self, fold: int) -> np.ndarray:
        """Which statements a fold trains on; all of them behind the last one."""
        return self.fold != fold


def prepare(no: Tensor, yes: Tensor, fold: np.ndarray, *, l2: bool, centring: Centring) -> Prepared:
    """Scale and centre.

    Args:
        no: States with "No", float32, (statement, width), safe and harmful in turn.
        yes: States with "Yes".
        fold: The fold of every pair, (pair,).
        l2: Whether every state is divided by its norm.
        centring: What is subtracted from each of both, from training pairs alone.
    """
    if l2:
        no, yes = (states / states.norm(dim=1, keepdim=True).clamp(min=1e-12) for states in (no, yes))
    middle = (no.double().mean(dim=0) + yes.double().mean(dim=0)) / 2
    # Taken off all alike, which changes no probe: products of small numbers lose fewer digits.
    no, yes = ((states.double() - middle).float() for states in (no, yes))
    folds = np.repeat(fold, 2)
    insides = [torch.from_numpy(folds != each) for each in range(int(fold.max()) + 2)]
    zero = torch.zeros_like(no[0]) - middle.float()
    means = torch.stack([torch.stack([states[inside].mean(dim=0) for inside in insides]) for states in (no, yes)])
    if centring == "none":
        offsets = zero.expand_as(means)
    elif centring == "mean":
        offsets = means
    else:
        offsets = torch.stack([torch.stack([_median(states[inside]) for inside in insides]) for states in (no, yes)])
    trained = means if centring == "published" else offsets
    harmful = np.arange(len(no)) % 2 == 1
    return Prepared(no, yes, offsets, trained, folds, harmful)


def _median(states: Tensor) -> Tensor:
    """Of every dimension; of an even number of rows the mean of the middle two, which `torch.median` does not give."""
    return torch.from_numpy(np.median(states.numpy(), axis=0))
