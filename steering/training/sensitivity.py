"""How a number at the end of a training by AdamW hangs on where it began, and on the gradient of every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.training.course import BETAS, EPS


_LEAST = 1e-30


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives of a number at the end."""

    start: Tensor
    """With regard to what the training began at, float64, (numbers,)."""
    gradients: Tensor
    """With regard to the gradient of every step, float64, (step, numbers)."""


def gone_back(
    gradients: Tensor, rates: Sequence[float], slope: Tensor, bent: Callable[[int, Tensor], Tensor]
) -> Sensitivity:
    """Go back from the end of a training to its start.

    A step is θ' = θ - η m̂ / (√v̂ + ε), with m̂ and v̂ the running means of the gradient g and of its square over what they
    would be of ones (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). Backwards, with a, b and c the derivatives of
    the number with regard to θ', m and v behind a step,

        b ← b - η a / (1 - β₁ᵗ) / (√v̂ + ε)
        c ← c + η a m̂ / (1 - β₂ᵗ) / (2 √v̂ (√v̂ + ε)²)
        d = (1 - β₁) b + 2 (1 - β₂) g c
        a ← a + H d,  b ← β₁ b,  c ← β₂ c

    where d is the derivative with regard to g, and H that of g with regard to θ. The terms with c are why the first
    steps hardly change with a gradient's size: they go by its sign.

    Args:
        gradients: Of every step, float64, (step, numbers).
        rates: η of every step.
        slope: Of the number where the training ends, float64, (numbers,).
        bent: H of a step times a direction.
    """
    first, second = BETAS
    means, squares = [torch.zeros_like(slope)], [torch.zeros_like(slope)]
    for gradient in gradients:
        means.append(first * means[-1] + (1 - first) * gradient)
        squares.append(second * squares[-1] + (1 - second) * gradient**2)
    of_numbers, of_mean, of_square = slope, torch.zeros_like(slope), torch.zeros_like(slope)
    found = torch.zeros_like(gradients)
    for step in reversed(range(len(gradients))):
        ones, of_ones = 1 - first ** (step + 1), 1 - second ** (step + 1)
        root = (squares[step + 1] / of_ones).clamp_min(_LEAST).sqrt()
        moved = rates[step] * of_numbers / (root + EPS)
        of_mean = of_mean - moved / ones
        of_square = of_square + moved * means[step + 1] / ones / (of_ones * 2 * root * (root + EPS))
        found[step] = (1 - first) * of_mean + 2 * (1 - second) * gradients[step] * of_square
        of_numbers = of_numbers + bent(step, found[step])
        of_mean, of_square = first * of_mean, second * of_square
    return Sensitivity(of_numbers, found)
