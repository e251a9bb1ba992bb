"""Intervals and separation against published values and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from steering.statistics import (
    auroc,
    auroc_intervals,
    balanced_accuracy,
    balanced_accuracy_intervals,
    f1_interval,
    mcnemar,
    mean_interval,
    wilson,
)


def test_auroc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 6, (30, 2)) + np.array([2, 0]), rng.integers(0, 6, (20, 2))
    labels = np.r_[np.ones(30), np.zeros(20)]
    expected = [roc_auc_score(labels, np.r_[positive[:, c], negative[:, c]]) for c in range(2)]
    np.testing.assert_allclose(auroc(positive, negative), expected, rtol=1e-12)
    assert auroc(positive, negative)[0] > 0.6


def test_auroc_interval_covers_the_value_narrows_with_n_and_is_seeded() -> None:
    rng = np.random.default_rng(0)

    def width(n: int, paired: bool) -> float:
        positive, negative = rng.normal(0.5, 1, (n, 1)), rng.normal(0, 1, (n, 1))
        low, high = auroc_intervals(positive, negative, paired=paired)
        again = auroc_intervals(positive, negative, paired=paired)
        assert low[0] == again[0][0]
        assert low[0] <= auroc(positive, negative)[0] <= high[0]
        return high[0] - low[0]

    for paired in (True, False):
        assert width(200, paired) < 0.6 * width(20, paired)


def test_paired_resampling_keeps_pairs_together() -> None:
    """Every pair is ordered alike, so with pairs that differ widely the paired interval of two items collapses."""
    scores = np.array([[0.0], [10.0]])
    low, high = auroc_intervals(scores + 1, scores, paired=True)
    # Resamples: both pairs -> 3 of 4 wins; one pair twice -> its own comparison, always won.
    assert (low[0], high[0]) == (0.75, 1.0)


def test_wilson_matches_its_closed_form_and_stays_in_range() -> None:
    # 8 of 10: centre (0.8 + z^2/20) / (1 + z^2/10), worked out by hand
    estimate = wilson(8, 10)
    assert estimate.value == 0.8
    assert estimate.low == pytest.approx(0.4902, abs=5e-5)
    assert estimate.high == pytest.approx(0.9433, abs=5e-5)
    assert wilson(10, 10).high == pytest.approx(1.0)
    assert wilson(10, 10).low == pytest.approx(0.7225, abs=5e-5)
    assert math.isnan(wilson(0, 0).value)


def test_mean_interval_has_nominal_coverage() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        estimate = mean_interval(rng.normal(0.3, 1, 40), resamples=400, seed=trial)
        hits += estimate.low <= 0.3 <= estimate.high
    assert (
        178 <= hits <= 199
    )  # 95 % of 200 is 190; four binomial standard deviations (3.1) below, and a little undercoverage


def test_balanced_accuracy_is_the_mean_over_both_sides_with_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, (40, 2)), rng.normal(-1, 1, (10, 2))
    threshold = np.array([0.0, 5.0])
    found = balanced_accuracy(positive, negative, threshold)
    by_hand = (sum(x > 0 for x in positive[:, 0]) / 40 + sum(x < 0 for x in negative[:, 0]) / 10) / 2
    assert found[0] == pytest.approx(by_hand)
    assert found[1] == 0.5  # nothing lies above 5
    low, high = balanced_accuracy_intervals(positive, negative, threshold, paired=False, seed=1)
    assert low[0] < found[0] < high[0]
    again = balanced_accuracy_intervals(positive, negative, threshold, paired=False, seed=1)
    assert np.array_equal(low, again[0])
    # The variance of two shares from 40 and 10 items, twice the standard deviation each side; a bootstrap is near it.
    p, q = (positive[:, 0] > 0).mean(), (negative[:, 0] < 0).mean()
    expected = 2 * 1.96 * np.sqrt(p * (1 - p) / 40 + q * (1 - q) / 10) / 2
    assert high[0] - low[0] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (0, 12, 2 / 2**12), (5, 5, 1.0), (1, 9, 2 * (1 + 10) / 2**10)],
)
def test_mcnemar_is_the_exact_binomial_test_on_the_pairs_that_changed(gained: int, lost: int, p: float) -> None:
    before = [False] * gained + [True] * lost + [True, False] * 3
    after = [True] * gained + [False] * lost + [True, False] * 3
    assert mcnemar(before, after) == pytest.approx(p)


def test_f1_by_hand_and_its_interval_holds_it() -> None:
    true = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    predicted = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    found = f1_interval(true, predicted)
    assert found.value == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert found.low < found.value < found.high <= 1
    assert f1_interval(true, ~true).value == 0.0


def test_wilsons_interval_always_holds_its_rate() -> None:
    for n in range(1, 60):
        for hits in (0, n):
            rate = wilson(hits, n)
            assert rate.low <= rate.value <= rate.high
