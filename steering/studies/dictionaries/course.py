"""What every training has in common: how long it is, which states a step sees, and how states are scaled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a dictionary is trained."""

    features: int
    """Size of the dictionary."""
    active: int
    """Features that a token may use: at most so many (TopK), or so many on average."""
    steps: int
    """Optimiser steps."""
    batch: int
    """Tokens a step."""
    rate: float
    """Peak learning rate: it rises over the first twentieth of the steps and falls to nothing over the last half."""
    silent_after: int
    """Steps without firing after which a feature is trained on what the others leave over."""
    seed: int
    """Of weights and order."""

    @property
    def warm_up(self) -> int:
        """Steps until the peak rate."""
        return max(1, self.steps // 20)

    def share(self, step: int) -> float:
        """Which share of the peak rate a step has, counted from 0."""
        return min(1.0, (step + 1) / self.warm_up, 2 * (self.steps - step) / self.steps)


def shuffled(n: int, size: int, seed: int, *, start: int = 0) -> Iterator[Tensor]:
    """Indices of endless batches, each of `size` out of `n` states (all where there are fewer), epoch after epoch.

    Args:
        n: How many states there are.
        size: Of a batch.
        seed: Of the order.
        start: How many batches to leave out, so that an interrupted training goes on with what comes next.
    """
    generator, size = torch.Generator().manual_seed(seed), min(n, size)
    left_out = start
    while True:
        order = torch.randperm(n, generator=generator)
        for begin in range(0, n - size + 1, size):
            if left_out:
                left_out -= 1
            else:
                yield order[begin : begin + size]


def scale_of(states: Tensor) -> float:
    """The factor that gives states (tokens, width) a mean norm of the root of their width."""
    return float(states.shape[-1] ** 0.5 / states.norm(dim=-1).mean())


def variance_of(states: Tensor) -> float:
    """Mean squared distance of states (tokens, width) from their mean."""
    return float(states.var(dim=0, correction=0).sum())
