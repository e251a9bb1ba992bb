"""Shrink: a state is drawn towards zero in the plane across a direction."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from steering.recipes.modes import Aim, Mode, Scale
from steering.writes.operations import Operation, check_unit


@dataclass(frozen=True, eq=False)
class Shrink(Operation):
    """u (u·x) + (1 - k) (x - u (u·x))."""

    direction: Tensor
    """u, a unit vector, (width,)."""
    share: float
    """k from 0 to 1."""

    def __post_init__(self) -> None:
        check_unit(self.direction)

    def __call__(self, states: Tensor) -> Tensor:
        u = self.direction.to(states.dtype)
        along = (states @ u).unsqueeze(-1) * u
        return along + (1 - self.share) * (states - along)


def _make(aim: Aim) -> Shrink:
    return Shrink(aim.direction, aim.strength)


SHRINK = Mode(
    "Shrink",
    _make,
    "Draws towards zero all that does not lie along the vector.",
    Scale(0, 1, 0.05, 0.2, "of what lies across", "Share drawn in", "share"),
)
