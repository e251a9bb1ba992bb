"""Gradients of single pairs along a training: looked at at a few steps, and in straight lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Looks:
    """What was seen at some steps, ascending."""

    steps: Sequence[int]
    pairs: Sequence[Tensor]
    """The gradient of every pair's loss, float64, (pair, numbers), at each of the steps."""
    held_out: Sequence[Tensor]
    """That of the held-out loss, float64, (numbers,), at each of them."""

    def change(self, step: int) -> Tensor:
        """By how much the mean gradient of a step would be another one without each pair, (pair, numbers)."""
        each = _between(self.steps, self.pairs, step)
        return (each.mean(dim=0) - each) / (len(each) - 1)

    def traced(self, rates: Sequence[float]) -> Tensor:
        """By how much plain steps along the gradient of each pair would have lowered the held-out loss, nats, (pair,):

            Σ_t η_t ∇ℓ_i(θ_t)·∇L(θ_t) / n

        TracInCP (Pruthi et al. 2020, arXiv 2002.08484, equation 1 at checkpoints), with every step between two looks
        counted.

        Args:
            rates: η of every step.
        """
        found = torch.zeros(len(self.pairs[0]), dtype=torch.float64)
        for step, rate in enumerate(rates):
            held_out = _between(self.steps, self.held_out, step)
            found += rate * (_between(self.steps, self.pairs, step) @ held_out) / len(found)
        return found


def spread_out(steps: int, points: int) -> list[int]:
    """Steps from the first to the last, evenly spread."""
    if points < 2:
        return [0][:points]
    return sorted({round(place * (steps - 1) / (points - 1)) for place in range(points)})


def _between(steps: Sequence[int], values: Sequence[Tensor], step: int) -> Tensor:
    """A value at a step, in a straight line between those that are known."""
    after = next((place for place, known in enumerate(steps) if known >= step), len(steps) - 1)
    if after == 0 or steps[after] <= step:
        return values[after]
    share = (step - steps[after - 1]) / (steps[after] - steps[after - 1])
    return values[after - 1] * (1 - share) + values[after] * share
