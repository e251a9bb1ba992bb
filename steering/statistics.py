"""Numbers with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from steering.lane import look_for_stop


Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(hits: int, n: int) -> Estimate:
    """A rate with Wilson's score interval (Wilson 1927), which stays inside [0, 1] at small n. NaN where n is 0."""
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan)
    rate = hits / n
    scale = 1 + Z95**2 / n
    centre = (rate + Z95**2 / (2 * n)) / scale
    half = Z95 * math.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n**2)) / scale
    return Estimate(rate, min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half)))


def mean_interval(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """A mean with its 95 % percentile-bootstrap interval over items, (items,). NaN where there are none."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    picked = np.random.default_rng(seed).integers(0, len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[picked].mean(axis=1), [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def difference(later: Estimate, earlier: Estimate) -> Estimate:
    """`later - earlier` with its 95 % interval, from the intervals of two independent estimates, symmetric or not.

    Each end adds the squares of what both are uncertain by on its side (square-and-add): Newcombe 1998, method 10,
    where both are shares with Wilson's intervals; Zou and Donner 2008 for any other pair. Of estimates on the same
    items, which mostly err together, the interval is wider than it need be.
    """
    value = later.value - earlier.value
    below = math.hypot(later.value - later.low, earlier.high - earlier.value)
    above = math.hypot(later.high - later.value, earlier.value - earlier.low)
    return Estimate(value, value - below, value + above)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Two-sided p-value of McNemar's exact test that a paired yes-or-no outcome did not change (McNemar 1947).

    Of the pairs that changed, as many should have changed either way; 1 where none did.
    """
    from scipy.stats import binomtest  # takes long to import

    gained = sum(b and not a for a, b in zip(before, after, strict=True))
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def f1_interval(true: np.ndarray, predicted: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """F1 of the positive class, 2 hits / (2 hits + misses + false alarms), with its 95 % percentile-bootstrap interval
    over items; 0 where there is no hit.

    Args:
        true: Boolean, (items,).
        predicted: Boolean, (items,).
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    weights = np.vstack([np.ones(len(true)), rng.multinomial(len(true), np.full(len(true), 1 / len(true)), resamples)])
    hits, wrong = weights @ (true & predicted), weights @ (true ^ predicted)
    values = 2 * hits / np.maximum(2 * hits + wrong, 1)
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def auroc(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Probability that a positive score exceeds a negative one, ties counting half (Mann-Whitney U / (n m)).

    Args:
        positive: Scores, (positives, columns).
        negative: Scores, (negatives, columns).

    Returns:
        One value a column, (columns,).
    """
    return np.stack([_wins(positive[:, c], negative[:, c]).mean() for c in range(positive.shape[1])])


def auroc_intervals(
    positive: np.ndarray, negative: np.ndarray, *, paired: bool, resamples: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile-bootstrap intervals of `auroc`, (columns,) each.

    Pairs are resampled as pairs, since their two sides share wording; otherwise each side is resampled on its own.
    """
    weights_p, weights_n = _resampled(len(positive), len(negative), paired, resamples, seed)
    bounds = []
    for column in range(positive.shape[1]):
        look_for_stop()
        wins = _wins(positive[:, column], negative[:, column])
        values = np.einsum("rp,pn,rn->r", weights_p, wins, weights_n, optimize=True) / wins.size
        bounds.append(np.quantile(values, [0.025, 0.975]))
    low, high = np.array(bounds).T
    return low, high


def balanced_accuracy(positive: np.ndarray, negative: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Share of scores on their side of a threshold, the mean of both sides, (columns,).

    Args:
        positive: Scores that should lie above, (positives, columns).
        negative: Scores that should lie below, (negatives, columns).
        threshold: (columns,).
    """
    return ((positive > threshold).mean(axis=0) + (negative < threshold).mean(axis=0)) / 2


def balanced_accuracy_intervals(
    positive: np.ndarray,
    negative: np.ndarray,
    threshold: np.ndarray,
    *,
    paired: bool,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile-bootstrap intervals of `balanced_accuracy`, (columns,) each, resampled as `auroc_intervals`."""
    weights_p, weights_n = _resampled(len(positive), len(negative), paired, resamples, seed)
    right = weights_p @ (positive > threshold) / len(positive), weights_n @ (negative < threshold) / len(negative)
    low, high = np.quantile((right[0] + right[1]) / 2, [0.025, 0.975], axis=0)
    return low, high


def _resampled(n: int, m: int, paired: bool, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each item of both sides is drawn, (resample, item) each; pairs are drawn as pairs."""
    rng = np.random.default_rng(seed)
    first = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return first, first if paired else rng.multinomial(m, np.full(m, 1 / m), size=resamples)


def _wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    difference = positive[:, None] - negative[None, :]
    return (difference > 0) + 0.5 * (difference == 0)


def kappa(one: Sequence[bool], other: Sequence[bool], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Cohen's kappa of two judges (Cohen 1960) with its 95 % percentile-bootstrap interval over items.

    It is (p - e) / (1 - e) with p the share of items on which they agree and e what would agree by chance; NaN where
    both say the same of all.
    """
    if not len(one):
        return Estimate(math.nan, math.nan, math.nan)
    cells = np.bincount([2 * bool(a) + bool(b) for a, b in zip(one, other, strict=True)], minlength=4)
    drawn = np.random.default_rng(seed).multinomial(len(one), cells / len(one), resamples)
    values = _kappas(np.vstack([cells, drawn]))
    if math.isnan(values[0]):
        return Estimate(math.nan, math.nan, math.nan)
    known = values[1:][~np.isnan(values[1:])]  # a draw in which both judges say the same of all has none
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def _kappas(cells: np.ndarray) -> np.ndarray:
    """Kappa by row of counts (neither, other only, one only, both), (rows, 4) -> (rows,)."""
    shares = cells / cells.sum(axis=1, keepdims=True)
    neither, second, first, both = shares.T
    agree = neither + both
    chance = (first + both) * (second + both) + (neither + second) * (neither + first)
    return np.where(chance < 1 - 1e-12, (agree - chance) / np.maximum(1 - chance, 1e-12), np.nan)
