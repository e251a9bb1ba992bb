"""Which features tell the two sides of a contrast set apart: chosen on some texts, scored on others.

Of thousands of features the best looks good by chance alone. So features are ranked and tested on the training texts,
the p-values corrected for how many were tested, and AUROC, its interval and frequencies are of held-out texts, which
had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import rankdata

from steering.lane import look_for_stop
from steering.statistics import auroc_intervals
from steering.texts.contrast import ContrastSet


_FEATURES = 1024
"""Features that stand densely at a time."""
_LEAST = 4
"""Texts of a side that held-out figures need at least."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Pooled activations of a contrast set's texts."""

    positive: csr_matrix
    """(text, feature)"""
    negative: csr_matrix
    paired: bool


@dataclass(frozen=True, eq=False)
class AgainstChance:
    """Whether every feature differs between the sides; NaN where it is active on no text of either."""

    tested: np.ndarray
    """Features that were tested, (tested,)."""
    statistic: np.ndarray
    """Standardised difference of the sides' means, between -1 and 1, (feature,)."""
    p: np.ndarray
    """Of that difference, corrected for all features tested, (feature,)."""


@dataclass(frozen=True, eq=False)
class Told(AgainstChance):
    """How every feature tells the sides apart: tested on the training texts, scored on others."""

    difference: np.ndarray
    """Mean of the positive side less that of the negative one, held out, the dictionary's units, (feature,)."""
    auroc: np.ndarray
    """Held out, (feature,)."""
    frequency: tuple[np.ndarray, np.ndarray]
    """Share of each side's held-out texts on which it is active, (feature,) each."""
    held_out: Sides
    n_train: tuple[int, int]
    n_held_out: tuple[int, int]
    note: str = ""
    """Where choice and score could not be kept apart."""

    def best(self, n: int) -> list[int]:
        """The features with the largest difference either way on training texts."""
        order = np.argsort(-np.abs(np.nan_to_num(self.statistic)), kind="stable")
        return [int(each) for each in order[:n] if not np.isnan(self.statistic[each]) and self.statistic[each] != 0]

    def intervals(self, features: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """95 % bootstrap intervals of the held-out AUROC of some features, (len(features),) each."""
        if not features:
            return np.zeros(0), np.zeros(0)
        sides = [side[:, features].toarray() for side in (self.held_out.positive, self.held_out.negative)]
        return auroc_intervals(*sides, paired=self.held_out.paired, seed=seed)


def splits_of(contrast: ContrastSet, most: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Which of the set's first texts a side are for the choice, and which for the score, by their split.

    Args:
        contrast: The set.
        most: Texts of each side that were read.

    Returns:
        Boolean over the positive side's texts and then the negative's, for training and held out, and a note where the
        held-out texts are too few, so that all serve for both.
    """
    texts = (*contrast.positive[:most], *contrast.negative[:most])
    train = np.array([example.split == "train" for example in texts])
    ends = min(len(contrast.positive), most)
    counts = [int(part.sum()) for part in (train[:ends], train[ends:], ~train[:ends], ~train[ends:])]
    if min(counts) >= _LEAST:
        return train, ~train, ""
    every = np.ones(len(texts), dtype=bool)
    return (
        every,
        every,
        (
            f"The set is too small to hold texts out ({counts[2]} + {counts[3]} of {len(texts)}): features were "
            f"chosen and "
            "scored on the same texts, so that AUROC is too high."
        ),
    )


def tell_apart(train: Sides, held_out: Sides, *, permutations: int, seed: int, note: str = "") -> Told:
    """Rank and test on some texts, see `against_chance`, and score on others.

    Args:
        train: Texts for choice and test.
        held_out: Texts for the score.
        permutations: How many.
        seed: Of the permutations.
        note: Passed on.
    """
    found = against_chance(train, permutations=permutations, seed=seed)
    positive, negative = held_out.positive, held_out.negative
    return Told(
        found.tested,
        found.statistic,
        found.p,
        np.asarray(positive.mean(axis=0) - negative.mean(axis=0)).ravel(),
        _aurocs(held_out),
        (_frequency(positive), _frequency(negative)),
        held_out,
        (train.positive.shape[0], train.negative.shape[0]),
        (positive.shape[0], negative.shape[0]),
        note,
    )


def against_chance(sides: Sides, *, permutations: int, seed: int) -> AgainstChance:
    """Test every feature's difference between the sides.

    The statistic is the difference of means over the root of the sum of squares, of differences within pairs where the
    set is paired, of deviations from the common mean where not; neither root changes when signs or labels do. The
    p-value is the share of permutations (signs of pairs, or labels) in which the largest statistic of *any* feature is
    as large: the single-step maxT correction of Westfall and Young (1993), which holds the chance of any false find.

    Args:
        sides: The texts.
        permutations: How many.
        seed: Of the permutations.
    """
    features = np.flatnonzero(sides.positive.getnnz(axis=0) + sides.negative.getnnz(axis=0))
    statistic, p = np.full((2, sides.positive.shape[1]), np.nan)
    if len(features):
        statistic[features], p[features] = _permuted(sides, features, permutations, seed)
    return AgainstChance(features, statistic, p)


def _permuted(sides: Sides, features: np.ndarray, permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Statistic and corrected p-value of some features."""
    rng, n, m = np.random.default_rng(seed), sides.positive.shape[0], sides.negative.shape[0]
    if sides.paired:
        signs = rng.integers(0, 2, size=(permutations, n)) * 2.0 - 1.0
        given = np.full(n, 1.0)
    else:
        given = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)]) * np.sqrt(n * m / (n + m))
        signs = rng.permuted(np.tile(given, (permutations, 1)), axis=1)
    statistic, largest = [], np.zeros(permutations)
    for positive, negative in _dense(sides, features):
        look_for_stop()
        rows = positive - negative if sides.paired else np.vstack([positive, negative])
        rows = rows if sides.paired else rows - rows.mean(axis=0)
        scale = np.sqrt(np.square(rows).sum(axis=0)) * (np.sqrt(n) if sides.paired else 1)
        rows = np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0)
        statistic.append(given @ rows)
        np.maximum(largest, np.abs(signs @ rows).max(axis=1), out=largest)
    found = np.concatenate(statistic)
    largest.sort()
    # Arrangements that are the same but for rounding count as equally large.
    as_large = permutations - np.searchsorted(largest, np.abs(found) * (1 - 1e-9))
    return found, (1 + as_large) / (1 + permutations)


def _aurocs(sides: Sides) -> np.ndarray:
    """AUROC of every feature, ties counting half; 0.5 where it is active on no text."""
    n, m = sides.positive.shape[0], sides.negative.shape[0]
    found = np.full(sides.positive.shape[1], 0.5)
    active = np.flatnonzero(sides.positive.getnnz(axis=0) + sides.negative.getnnz(axis=0))
    parts = []
    for positive, negative in _dense(sides, active):
        look_for_stop()
        ranks = rankdata(np.vstack([positive, negative]), axis=0)[:n].sum(axis=0)
        parts.append((ranks - n * (n + 1) / 2) / (n * m))
    if parts:
        found[active] = np.concatenate(parts)
    return found


def _frequency(side: csr_matrix) -> np.ndarray:
    return np.asarray((side > 0).mean(axis=0)).ravel()


def _dense(sides: Sides, features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both sides' activations of some features at a time, float64, (text, feature) each."""
    columns = csc_matrix(sides.positive), csc_matrix(sides.negative)
    for start in range(0, len(features), _FEATURES):
        some = features[start : start + _FEATURES]
        positive, negative = (side[:, some].toarray().astype(np.float64) for side in columns)
        yield positive, negative
