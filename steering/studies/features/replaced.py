"""Other states in place of the model's own: what a dictionary gives back, their mean, or zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.model.sites import ReadPlace
from steering.studies.features.losses import Plans
from steering.writes.interventions import Write
from steering.writes.operations import Operation


Function = Callable[[Tensor], Tensor]
"""From states (..., width) to what stands in their place, of the same leading shape."""


@dataclass(frozen=True, eq=False)
class Replaced(Operation):
    """f(y) in place of a state, with y the state itself or that at another place."""

    mean: Tensor
    """Mean of the states that are replaced, (width,)."""
    function: Function
    source: ReadPlace | None = None
    """Where y is read; None where it is the state itself."""

    @property
    def reads(self) -> ReadPlace | None:
        return self.source

    def __call__(self, states: Tensor) -> Tensor:
        return self.beside(states, None)

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        return self.function(states if seen is None else seen).to(states)


def treatments(dictionary: Dictionary, gives: Mapping[str, Function], mean: Tensor, *, first: bool) -> Plans:
    """Plans that replace the states that a dictionary gives by what each function makes of those that it reads, by
    `mean` and by zeros.

    Args:
        dictionary: Says where.
        gives: Functions by the name of their treatment.
        mean: Mean of the states that are replaced, (width,).
        first: Whether the first token's state is replaced, too.
    """
    block, site = dictionary.gives
    source = None if dictionary.reads == dictionary.gives else dictionary.reads
    operations = {name: Replaced(mean, function, source) for name, function in gives.items()}
    operations["mean"] = Replaced(mean, lambda states: mean.to(states.device).expand(*states.shape[:-1], -1))
    operations["zeros"] = Replaced(mean, torch.zeros_like)

    def plans(length: int) -> dict[str, tuple[Write, ...]]:
        places = tuple(range(0 if first else 1, length))
        return {name: (Write(each, block, site, places),) for name, each in operations.items()}

    return plans
