"""Which pairs to train on: the best and most different ones beside a random choice, and how much more pairs bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import look_for_stop
from steering.statistics import Estimate, mean_interval


Chooser = Callable[[Sequence[int], int, int], list[int]]
"""From the indices of a pool, how many of them, and a seed, to those that are taken."""
Worth = Callable[[list[int], int], float]
"""From the indices of the pairs that are trained on and a seed to what came of it; the higher, the better."""
_ALIKE = 0.9
"""Cosine from which on two pairs say the same."""


def best_and_different(quality: Tensor, states: Tensor, n: int, *, alike: float = _ALIKE) -> list[int]:
    """Choose by quality, but nothing that is like what was chosen already.

    Score first, then diversity (Liu et al. 2023, Deita, arXiv 2312.15685, section 2.4): in falling order of quality, a
    pair is taken where its cosine with every one that was taken is below `alike`. Where that leaves fewer than `n`, the
    best of the others fill up. States are counted from their mean, since those of one model all point the same way.

    Args:
        quality: Of each pair, (pair,).
        states: By which pairs are compared, such as the mean state over the chosen reply, (pair, width).
        n: How many.
        alike: From which cosine on two pairs are alike.

    Raises:
        SteeringError: More than there are, or a quality that is no number.
    """
    if not 0 < n <= len(quality):
        raise SteeringError(f"{n} of {len(quality)} pairs were to be chosen.", f"a number from 1 to {len(quality)}.")
    if not quality.isfinite().all():
        raise SteeringError("The quality of a pair is no number.", "a mark for each.", "Leave out what was not judged.")
    around = states.double() - states.double().mean(dim=0)
    around = around / around.norm(dim=1, keepdim=True).clamp_min(1e-12)
    taken: list[int] = []
    left: list[int] = []
    for index in torch.argsort(quality, descending=True, stable=True).tolist():
        if len(taken) == n:
            break
        near = float((around[taken] @ around[index]).max()) if taken else -1.0
        (taken if near < alike else left).append(index)
    return [*taken, *left[: n - len(taken)]]


def at_random(pool: Sequence[int], n: int, seed: int) -> list[int]:
    """A random choice."""
    return np.random.default_rng(seed).permutation(np.asarray(pool))[:n].tolist()


def by_quality(quality: Tensor, states: Tensor, *, alike: float = _ALIKE) -> Chooser:
    """`best_and_different` as a chooser; it takes no seed."""

    def choose(pool: Sequence[int], n: int, seed: int) -> list[int]:
        inside = list(pool)
        return [inside[each] for each in best_and_different(quality[inside], states[inside], n, alike=alike)]

    return choose


@dataclass(frozen=True)
class Learnt:
    """What one way to choose came to, by the number of pairs."""

    name: str
    sizes: tuple[int, ...]
    values: np.ndarray
    """What each draw came to, (draw, size)."""

    @property
    def estimates(self) -> list[Estimate]:
        """Means with 95 % intervals over draws, one a size."""
        return [mean_interval(column) for column in self.values.T]

    def over(self, other: Learnt) -> list[Estimate]:
        """By how much it came to more than another way on the same draws, with 95 % intervals over draws."""
        return [mean_interval(column) for column in (self.values - other.values).T]


def learning_curves(
    n_pairs: int,
    sizes: Sequence[int],
    choosers: Mapping[str, Chooser],
    worth: Worth,
    *,
    draws: int = 10,
    share: float = 0.8,
    seed: int = 0,
    on_value: Callable[[int, int], None] | None = None,
) -> tuple[Learnt, ...]:
    """What more pairs bring, for several ways to choose them.

    Each draw has a pool of its own, a random share of all pairs, from which every way chooses: so a way that takes no
    seed has an interval, too, and two ways are compared draw by draw (after Deita, arXiv 2312.15685, and data sampling
    for preferences, arXiv 2411.10545).

    Args:
        n_pairs: How many pairs there are.
        sizes: How many are trained on, ascending.
        choosers: Ways to choose, by name.
        worth: Trains on some pairs and says what came of it.
        draws: How many pools.
        share: How large a share of the pairs a pool has.
        seed: Of pools, choices and trainings.
        on_value: Told after each training how many of how many are done.

    Raises:
        SteeringError: A size larger than a pool, or none.
    """
    pool_size = round(share * n_pairs)
    if not sizes or min(sizes) < 1 or max(sizes) > pool_size or list(sizes) != sorted(set(sizes)):
        raise SteeringError(
            f"The sizes {', '.join(map(str, sizes)) or 'none'} were asked for.",
            f"ascending numbers from 1 to {pool_size}, which is {share:.0%} of {n_pairs} pairs.",
            "Take fewer, or more pairs.",
        )
    found = {name: np.full((draws, len(sizes)), np.nan) for name in choosers}
    done, total = 0, draws * len(sizes) * len(choosers)
    for draw in range(draws):
        pool = sorted(at_random(range(n_pairs), pool_size, seed + draw))
        for column, size in enumerate(sizes):
            for name, choose in choosers.items():
                look_for_stop()
                found[name][draw, column] = worth(choose(pool, size, seed + draw), seed + draw)
                done += 1
                if on_value:
                    on_value(done, total)
    return tuple(Learnt(name, tuple(sizes), values) for name, values in found.items())
