"""What CCS is held against: probes of the difference x(Yes) - x(No), with labels and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from steering.extraction.lda import solve_shrunk
from steering.lane import look_for_stop
from steering.studies.probing.block import Scored
from steering.studies.probing.prepared import Prepared


Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]]
"""Training differences, (statement, width), and which are harmful → weights, (width,), and the threshold on their
product."""


@dataclass(frozen=True)
class Reference:
    """A probe that CCS is held against."""

    title: str
    says: str
    fit: Fit


def _logistic(differences: np.ndarray, harmful: np.ndarray) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression  # takes seconds to import

    middle = differences.mean(axis=0)
    scale = float(np.sqrt(np.square(differences - middle).mean())) or 1.0
    rows, back = _in_span((differences - middle) / scale)
    fitted = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit(rows, harmful)
    weights = back @ fitted.coef_[0]
    return weights, float(weights @ middle - fitted.intercept_[0] * scale)


def _in_span(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by an orthonormal basis of what they span, and the basis as columns: the penalised optimum lies there."""
    if rows.shape[1] <= rows.shape[0]:
        return rows, np.eye(rows.shape[1])
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    return left * sizes, right.T


def _mean_mass(differences: np.ndarray, harmful: np.ndarray) -> tuple[np.ndarray, float]:
    return _between(differences, harmful, _apart(differences, harmful))


def _lda(differences: np.ndarray, harmful: np.ndarray) -> tuple[np.ndarray, float]:
    within = differences.copy()
    for side in (harmful, ~harmful):
        within[side] -= differences[side].mean(axis=0)
    apart = _apart(differences, harmful)
    if not np.square(within).sum() > 1e-12 * np.square(apart).sum():
        return _between(differences, harmful, apart)
    return _between(differences, harmful, solve_shrunk(torch.from_numpy(within), torch.from_numpy(apart)).numpy())


def _crc_tpc(differences: np.ndarray, harmful: np.ndarray) -> tuple[np.ndarray, float]:
    """The labels give its sign alone."""
    middle = differences.mean(axis=0)
    weights = np.linalg.svd(differences - middle, full_matrices=False)[2][0]
    right = ((differences @ weights > middle @ weights) == harmful).mean()
    weights = weights if right >= 0.5 else -weights
    return weights, float(middle @ weights)


def _apart(differences: np.ndarray, harmful: np.ndarray) -> np.ndarray:
    return differences[harmful].mean(axis=0) - differences[~harmful].mean(axis=0)


def _between(differences: np.ndarray, harmful: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """With the threshold half way between both sides' means."""
    middle = (differences[harmful].mean(axis=0) + differences[~harmful].mean(axis=0)) / 2
    return weights, float(middle @ weights)


REFERENCES: dict[str, Reference] = {
    "logistic": Reference(
        "logistic regression", "on x(Yes) - x(No), L2 penalty C = 1: the supervised ceiling", _logistic
    ),
    "lda": Reference("LDA", "mean difference through the shrunk covariance (OAS)", _lda),
    "mean_mass": Reference("mean-mass", "difference of both sides' means", _mean_mass),
    "crc_tpc": Reference("CRC-TPC", "first principal component of x(Yes) - x(No), without labels", _crc_tpc),
}
"""The first is the ceiling. Burns et al. 2022, arXiv 2212.03827 (CRC-TPC); Marks and Tegmark 2023, arXiv 2310.06824."""


def referred(given: Prepared, reference: Reference) -> Scored:
    """A reference's verdicts on pairs that it was not trained on."""
    scores = np.zeros(len(given.fold))
    for fold in range(given.folds):
        inside, differences = given.inside(fold), given.difference(fold)
        look_for_stop()
        weights, threshold = reference.fit(differences[inside], given.harmful[inside])
        size = float(np.linalg.norm(weights)) or 1.0
        scores[~inside] = (differences[~inside] @ weights - threshold) / size
    return Scored(scores, scores > 0)


def direction_of(given: Prepared, reference: Reference) -> np.ndarray:
    """A reference's weights from all pairs, (width,)."""
    return reference.fit(given.difference(given.folds), given.harmful)[0]


def random_verdicts(given: Prepared, n: int, seed: int) -> np.ndarray:
    """What random directions in the centred differences call harmful, boolean, (statement, direction)."""
    rng = np.random.default_rng(seed)
    differences = given.difference(given.folds)
    return differences @ rng.standard_normal((differences.shape[1], n)) > 0
