"""How far apart safe and harmful statements lie, whatever reads them: one ratio, and indices that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from steering.statistics import Estimate, auroc, auroc_intervals


_LAMBDA = 0.5


@dataclass(frozen=True)
class Separation:
    """The separation of both sides' states at a block."""

    ratio: float
    """R = D² / (W / n): the squared distance of both means over the mean squared distance to them; 1 / XBI."""
    null: tuple[float, float]
    """Median and 95 % point of R with the labels of random pairs exchanged."""
    auroc: Estimate
    """Along the difference of both means of the training pairs, on held-out pairs."""
    xbi: float
    """At `aqi_n` statements a side, the mean of draws."""
    chi: float
    aqi: float
    """λ / XBI + (1 - λ) CHI with λ = 0.5 (Borah et al. 2025, arXiv 2506.13901), a column derived from R."""


def separation(
    states: Tensor, fold: np.ndarray, *, aqi_n: int, permutations: int = 200, resamples: int = 500, seed: int = 0
) -> Separation:
    """Measure it.

    For two labelled classes CHI = (n - 2) n0 n1 / (n² XBI), so that the index is R in another dress, and grows with n:
    it is given at a fixed number a class, drawn from the pairs 20 times.

    Args:
        states: (statement, width), safe and harmful in turn.
        fold: The fold of every pair, (pair,).
        aqi_n: Statements a class for XBI, CHI and AQI; all where there are fewer.
        permutations: Behind the null band.
        resamples: Behind the interval of the AUROC.
        seed: Of all draws.
    """
    pairs = states.double().reshape(len(fold), 2, -1).numpy()
    rng = np.random.default_rng(seed)
    # Exchanging labels inside pairs turns half-differences over, and leaves means of pairs and the total scatter.
    centred = pairs - pairs.mean(axis=(0, 1))
    total, halves = float(np.square(centred).sum()), (pairs[:, 1] - pairs[:, 0]) / 2
    signs = np.vstack([np.ones(len(fold)), rng.choice([-1.0, 1.0], size=(permutations, len(fold)))])
    distances = np.square(2 * signs @ halves / len(fold)).sum(axis=1)
    ratios = distances / np.maximum((total - len(fold) * distances / 2) / (2 * len(fold)), 1e-300)
    drawn = [_indices(pairs[rng.permutation(len(pairs))[:aqi_n]]) for _ in range(20 if aqi_n < len(pairs) else 1)]
    xbi, chi = (float(np.mean(each)) for each in zip(*drawn, strict=True))
    low, high = np.quantile(ratios[1:], [0.5, 0.95])
    return Separation(
        ratio=float(ratios[0]),
        null=(float(low), float(high)),
        auroc=_along(pairs, fold, resamples, seed),
        xbi=xbi,
        chi=chi,
        aqi=_LAMBDA / xbi + (1 - _LAMBDA) * chi,
    )


def _indices(pairs: np.ndarray) -> tuple[float, float]:
    """XBI and CHI as they are defined, of (pair, 2, width)."""
    n, means = 2 * len(pairs), pairs.mean(axis=0)
    within = float(np.square(pairs - means).sum())
    between = float(len(pairs) * np.square(means - means.mean(axis=0)).sum())
    apart = float(np.square(means[1] - means[0]).sum())
    return within / max(n * apart, 1e-300), between / max(within / (n - 2), 1e-300)


def _along(pairs: np.ndarray, fold: np.ndarray, resamples: int, seed: int) -> Estimate:
    scores = np.zeros(pairs.shape[:2])
    for each in np.unique(fold):
        inside = fold != each
        safe, harmful = pairs[inside].mean(axis=0)
        scores[~inside] = (pairs[~inside] - (safe + harmful) / 2) @ (harmful - safe)
    positive, negative = scores[:, 1:], scores[:, :1]
    low, high = auroc_intervals(positive, negative, paired=True, resamples=resamples, seed=seed)
    return Estimate(float(auroc(positive, negative)[0]), float(low[0]), float(high[0]))
