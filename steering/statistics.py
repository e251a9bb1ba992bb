"""Numbers with their uncertainty."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


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
    return Estimate(rate, max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """A mean with its 95 % percentile-bootstrap interval over items, (items,). NaN where there are none."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    picked = np.random.default_rng(seed).integers(0, len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[picked].mean(axis=1), [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


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
    rng = np.random.default_rng(seed)
    weights_p = rng.multinomial(len(positive), np.full(len(positive), 1 / len(positive)), size=resamples)
    weights_n = (
        weights_p
        if paired
        else rng.multinomial(len(negative), np.full(len(negative), 1 / len(negative)), size=resamples)
    )
    bounds = []
    for column in range(positive.shape[1]):
        wins = _wins(positive[:, column], negative[:, column])
        values = np.einsum("rp,pn,rn->r", weights_p, wins, weights_n, optimize=True) / wins.size
        bounds.append(np.quantile(values, [0.025, 0.975]))
    low, high = np.array(bounds).T
    return low, high


def _wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    difference = positive[:, None] - negative[None, :]
    return (difference > 0) + 0.5 * (difference == 0)
