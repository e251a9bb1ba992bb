"""What every training by steps has in common: which examples a step sees, and how fast it learns."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def shuffled(n: int, size: int, seed: int, *, start: int = 0) -> Iterator[Tensor]:
    """Indices of endless batches, each of `size` out of `n` examples (all where there are fewer), epoch after epoch.

    Args:
        n: How many examples there are.
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


def share_of_rate(step: int, steps: int) -> float:
    """Which share of the peak rate a step has, counted from 0: it rises over the first twentieth of the steps and falls
    to nothing over the last half.
    """
    warm_up = max(1, steps // 20)
    return min(1.0, (step + 1) / warm_up, 2 * (steps - step) / steps)
