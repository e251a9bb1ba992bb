"""Our numbers against other code: scikit-learn, scipy, and the formulas of the papers in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from concept_erasure import LeaceEraser
from scipy.linalg import sqrtm
from scipy.optimize import minimize
from sklearn.covariance import OAS
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid

from steering.extraction import METHODS
from steering.writes.operations import Erase


PAIRS, BLOCKS, WIDTH = 30, 2, 10
SIDES = np.repeat([1, 0], PAIRS)


@pytest.fixture(scope="module")
def states() -> torch.Tensor:
    """(side, pair, block, width), the positive side first: correlated, off the origin, and shifted apart."""
    generator = torch.Generator().manual_seed(5)
    mixed = torch.randn(2, PAIRS, BLOCKS, WIDTH, generator=generator) @ torch.randn(WIDTH, WIDTH, generator=generator)
    middle, shift = torch.randn(2, BLOCKS, WIDTH, generator=generator)
    return mixed + 3 * middle + torch.tensor([1.0, -1.0])[:, None, None, None] * 2 * shift


def fitted(name: str, states: torch.Tensor):
    fitter = METHODS[name].build(0)
    for side, own in zip(("positive", "negative"), states, strict=True):
        for indices in torch.arange(PAIRS).split(7):
            fitter.update(side, indices, own[indices])
    return fitter


def rows_of(states: torch.Tensor, block: int) -> np.ndarray:
    """Positive rows, then negative ones, float64, (2 pairs, width)."""
    return states[:, :, block].reshape(-1, WIDTH).double().numpy()


def check(found: torch.Tensor, wanted: np.ndarray, tolerance: float = 1e-9) -> None:
    """Whether two directions are one, sign included."""
    np.testing.assert_allclose(found.numpy(), wanted / np.linalg.norm(wanted), atol=tolerance)


def towards(direction: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A component of whatever sign, from the negative side to the positive."""
    apart = rows[:PAIRS].mean(axis=0) - rows[PAIRS:].mean(axis=0)
    return direction * np.sign(direction @ apart)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_mean_difference_lies_between_the_centroids(block, states) -> None:
    rows = rows_of(states, block)
    negative, positive = NearestCentroid().fit(rows, SIDES).centroids_
    check(fitted("mean_difference", states).directions()[block], positive - negative)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_lda_is_that_of_scikit_learn_at_the_same_shrinkage(block, states) -> None:
    """Which shrinks each side's covariance by itself: with equal sides their mean is the shrunk pooled one."""
    rows = rows_of(states, block)
    within = np.concatenate([side - side.mean(axis=0) for side in np.split(rows, 2)])
    shrinkage = OAS(assume_centered=True).fit(within).shrinkage_
    assert 0.01 < shrinkage < 0.99
    pooled = [np.cov(side.T, bias=True) for side in np.split(within, 2)]
    covariance = sum((1 - shrinkage) * each + shrinkage * np.trace(each) / WIDTH * np.eye(WIDTH) for each in pooled) / 2
    lda = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=_Known(covariance)).fit(rows, SIDES)
    found = fitted("lda", states).directions()[block]
    check(found, lda.coef_[0])
    plain = LinearDiscriminantAnalysis(solver="lsqr").fit(rows, SIDES).coef_[0]
    assert found.numpy() @ plain / np.linalg.norm(plain) < 0.9999, "the shrinkage matters here"


class _Known:
    """A covariance that is known already, in the form that scikit-learn asks for."""

    def __init__(self, covariance: np.ndarray) -> None:
        self.covariance_ = covariance

    def fit(self, rows: np.ndarray) -> _Known:
        return self


@pytest.mark.parametrize("block", range(BLOCKS))
def test_logistic_regression_is_the_least_penalised_loss(block, states) -> None:
    """Found by scipy from the formula: Σ ln(1 + exp(-s (w·x + b))) + |w|² / 2, x centred and of unit mean square."""
    rows = rows_of(states, block)
    rows = rows - rows.mean(axis=0)
    rows /= np.sqrt(np.square(rows).mean())
    signs = 2 * SIDES - 1

    def loss(given: np.ndarray) -> float:
        return np.logaddexp(0, -signs * (rows @ given[:-1] + given[-1])).sum() + given[:-1] @ given[:-1] / 2

    best = minimize(loss, np.zeros(WIDTH + 1), method="BFGS", options={"gtol": 1e-6}).x[:-1]
    # Both stop where the gradient is small: scikit-learn's at 1e-4 of the mean loss.
    check(fitted("logistic", states).directions()[block], best, tolerance=2e-3)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_components_are_those_of_scikit_learn(block, states) -> None:
    rows = rows_of(states, block)
    centred, pairwise = fitted("centred_pca", states), fitted("pairwise_pca", states)
    pca = PCA(n_components=1).fit(rows)  # with equal sides, the middle of the means is the mean
    check(centred.directions()[block], towards(pca.components_[0], rows))
    assert float(centred.explained()[block]) == pytest.approx(pca.explained_variance_ratio_[0], abs=1e-9)
    svd = TruncatedSVD(n_components=1, algorithm="arpack").fit(rows[:PAIRS] - rows[PAIRS:])
    check(pairwise.directions()[block], towards(svd.components_[0], rows), tolerance=1e-7)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_leace_is_the_formula_of_its_paper_and_the_authors_code_on_all_states_at_once(block, states) -> None:
    """r(x) = x - W^-1 P W (x - m), W = Σ^-1/2, P onto W Σ_xz (Belrose et al. 2023, theorem 4.2).

    Σ is the covariance S shrunk to t I, t its mean variance: a S + (1 - a) t I with a = 1 - (p t)² / n / (|S|² - p t²)
    (Bodnar et al. 2014, arXiv 1308.2608).
    """
    rows = rows_of(states, block)
    middle, concept = rows.mean(axis=0), SIDES - SIDES.mean()
    plain = np.cov(rows.T, bias=True)
    variance = np.trace(plain) / WIDTH
    kept = 1 - (WIDTH * variance) ** 2 / len(rows) / (np.square(plain).sum() - WIDTH * variance**2)
    assert 0.1 < kept < 0.99
    whiten = np.linalg.inv(sqrtm(kept * plain + (1 - kept) * variance * np.eye(WIDTH)).real)
    along = whiten @ ((rows - middle).T @ concept)
    project = np.outer(along, along) / (along @ along)
    wanted = rows - (rows - middle) @ (np.linalg.inv(whiten) @ project @ whiten).T
    eraser = fitted("leace", states).eraser()
    assert eraser is not None
    erase = Erase(eraser.left[block][:, None], eraser.right[block][None], eraser.mean[block])
    found = erase(torch.from_numpy(rows).float()).numpy()
    scale = np.abs(rows).max()
    assert np.abs(wanted - rows).max() > 0.1 * scale, "something is taken away"
    np.testing.assert_allclose(found, wanted, atol=1e-5 * scale)  # the eraser is kept as float32
    authors = LeaceEraser.fit(torch.from_numpy(rows), torch.from_numpy(SIDES)).P.numpy()
    np.testing.assert_allclose(found, middle + (rows - middle) @ authors.T, atol=1e-5 * scale)
