"""Muon: momentum steps whose matrices are made near-orthogonal, which trains small transformers on fewer tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised by five Newton-Schulz iterations (Jordan et al. 2024, kellerjordan.github.io).

    `torch.optim.Muon` does the iterations in bfloat16, which is five times slower than float32 on most CPUs; this one
    keeps the weights' precision.
    """

    def __init__(self, weights: Iterable[Tensor], *, rate: float, momentum: float = 0.95, weight_decay: float = 0.0):
        """
        Args:
            weights: Matrices, (out, in).
            rate: Length of a step: the spectral norm of the change, for square matrices.
            momentum: Decay of the mean gradient.
            weight_decay: Decoupled, times the rate.
        """
        super().__init__(weights, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step along every weight's gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(mean, group["momentum"])
                tall = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(orthogonal(ahead), alpha=-group["lr"] * tall)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought near 1 (between about 0.7 and 1.2); (out, in) as it came.

    The quintic's coefficients are Jordan et al.'s: they favour speed near zero over exactness at one.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        gram = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * gram + 2.0315 * gram @ gram) @ wide
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
