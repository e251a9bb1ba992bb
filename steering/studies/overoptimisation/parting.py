"""Where two judges part: the one that is optimised goes on rising, and the one that is held out falls.

After Gao, Schulman and Hilton 2022, "Scaling Laws for Reward Model Overoptimization", arXiv 2210.10760.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from steering.statistics import Estimate, mean_interval


@dataclass(frozen=True)
class Parting:
    """Where the held-out judge is at its best, and what comes behind it."""

    place: int
    """Which point of the curve, over all requests."""
    low: int
    """The 95 % interval of that, when requests are drawn anew."""
    high: int
    held_out: Estimate
    """What the held-out judge says where the other one is at its best, less what it says at its own best. For either
    half of the requests both places are found on the other half, since the best of many points looks good by chance.
    """
    training: Estimate
    """The same of the judge that is optimised."""

    @property
    def parted(self) -> bool:
        """Whether from the held-out judge's best to the other's the one falls, and the other rises."""
        return self.held_out.high < 0 < self.training.low


def parting(training: np.ndarray, held_out: np.ndarray, *, resamples: int, seed: int) -> Parting:
    """Find it.

    Args:
        training: What the judge that is optimised says, (request, point), from no optimisation on.
        held_out: What the other one says.
        resamples: Draws of requests.
        seed: Of the draws.
    """
    n = len(held_out)
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    places = _best(held_out[drawn].mean(axis=1))
    low, high = np.quantile(places, [0.025, 0.975], method="nearest")
    fell, rose = np.zeros(n), np.zeros(n)
    for own in (0, 1):  # each half is measured at the other half's places
        its, other = (int(_best(each[1 - own :: 2].mean(axis=0)[None])[0]) for each in (held_out, training))
        fell[own::2] = held_out[own::2, other] - held_out[own::2, its]
        rose[own::2] = training[own::2, other] - training[own::2, its]
    after = [mean_interval(each, resamples=resamples, seed=seed) for each in (fell, rose)]
    return Parting(int(_best(held_out.mean(axis=0)[None])[0]), int(low), int(high), *after)


def _best(means: np.ndarray) -> np.ndarray:
    """The first of the best points of each row, (row, point) -> (row,)."""
    found: np.ndarray = means.round(9).argmax(axis=1)
    return found


def best_of_means(by: np.ndarray, of: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """What one judge says of the best of n replies by another one, in the mean over all choices of n among the samples,
    (request, count).

    Among N samples the one of rank k is the best of n in C(k - 1, n - 1) of C(N, n) choices; of equals, each is taken
    as often.

    Args:
        by: What the judge that chooses says of samples, (request, sample).
        of: What the judge that looks on says.
        counts: Values of n, at most N each.
    """
    total = by.shape[1]
    weights = np.array([[comb(k, n - 1) / comb(total, n) for n in counts] for k in range(total)])
    found = []
    for chooses, says in zip(by, of, strict=True):
        order = np.argsort(chooses, kind="stable")
        values, ranked = np.unique(chooses[order], return_inverse=True)
        means = np.bincount(ranked, says[order]) / np.bincount(ranked)
        assert len(means) == len(values)
        found.append(means[ranked] @ weights)
    return np.array(found)


def law(nats: Sequence[float], gains: Sequence[float], *, trained: bool) -> tuple[float, float]:
    """Alpha and beta of Gao et al.'s curve through the origin, by least squares, with d the square root of KL: best of
    n gains d (alpha - beta d), training d (alpha - beta log d). NaN with fewer than two points beyond 0.

    Args:
        nats: KL of every point.
        gains: What the held-out judge says there less what it says at 0.
        trained: Which of both.
    """
    d = np.sqrt(np.asarray(nats, dtype=float))
    far = d > 0
    if far.sum() < 2:
        return float("nan"), float("nan")
    d, y = d[far], np.asarray(gains, dtype=float)[far]
    design = np.stack([d, -d * (np.log(d) if trained else d)], axis=1)
    alpha, beta = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(alpha), float(beta)
