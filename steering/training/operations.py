"""Operations on states whose tensors are trained: what they are made of may require a gradient.

Those of `steering.writes.operations` check their direction when they are made and take its length as a number, through
which no gradient goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from steering.writes.operations import Operation


@dataclass(frozen=True, eq=False)
class TakeOut(Operation):
    """x - k Bᵀ B x: a share of the projection on a span is removed."""

    basis: Tensor
    """B, orthonormal rows, (n, width)."""
    share: float = 1.0
    """k."""

    def __call__(self, states: Tensor) -> Tensor:
        basis = self.basis.to(states.dtype)
        return states - self.share * (states @ basis.T) @ basis


@dataclass(frozen=True, eq=False)
class HoldAt(Operation):
    """x + u (v - u·x): the projection held at a value."""

    direction: Tensor
    """u, unit, (width,)."""
    value: Tensor
    """v, raw units, ()."""

    def __call__(self, states: Tensor) -> Tensor:
        direction = self.direction.to(states.dtype)
        along = states @ direction
        return states + (self.value.to(states.dtype) - along).unsqueeze(-1) * direction


@dataclass(frozen=True, eq=False)
class AddGated(Operation):
    """x_t + c (1/k) Σ_{s in TopK(a)} a_s · u with a_s = max(u·x_s, 0), s over the tokens of the text.

    The write of ReFT-r1 (Wu et al. 2025, AxBench, arXiv 2501.17148): the k tokens at which the text has most of the
    direction say how much of it all tokens get. Against what an operation promises, what is written at one token hangs
    on the others of its row, so it is for texts that are known whole, as in training.
    """

    direction: Tensor
    """u, unit, (width,)."""
    real: Tensor
    """True where a position holds a token, (row, position)."""
    top: int
    """k."""
    amount: float = 1.0
    """c."""
    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Of every pass: a, (row, position), 0 at padding, and which of them are among the k."""

    def __call__(self, states: Tensor) -> Tensor:
        direction = self.direction.to(states.dtype)
        active = torch.relu(states @ direction) * self.real
        most = active.topk(min(self.top, active.shape[1]), dim=1)
        among = torch.zeros_like(active, dtype=torch.bool).scatter(1, most.indices, True)
        self.seen.append((active, among))
        return states + self.amounts()[:, None, None] * direction

    def amounts(self) -> Tensor:
        """How much of the direction the last pass added to the tokens of each row, (row,)."""
        active, among = self.seen[-1]
        return self.amount * (active * among).sum(dim=1) / self.real.sum(dim=1).clamp(max=self.top)
