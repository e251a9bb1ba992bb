"""Features that tell two sides apart: the score by its definition, and p-values that hold for all features together."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from steering.statistics import auroc
from steering.studies.features.telling import Sides, against_chance, splits_of, tell_apart
from steering.texts.contrast import ContrastSet


def _sides(positive: np.ndarray, negative: np.ndarray, *, paired: bool) -> Sides:
    return Sides(csr_matrix(positive), csr_matrix(negative), paired)


def _drawn(n: int, features: int, seed: int) -> np.ndarray:
    """Activations of which two thirds are 0, as of features."""
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(n, features)) * (rng.random((n, features)) < 0.33)


def test_auroc_difference_and_frequency_are_those_of_the_held_out_texts() -> None:
    positive, negative = _drawn(30, 40, 0), _drawn(25, 40, 1)
    positive[:, 7] += 2
    told = tell_apart(
        _sides(_drawn(20, 40, 2), _drawn(20, 40, 3), paired=False),
        _sides(positive, negative, paired=False),
        permutations=100,
        seed=0,
    )
    np.testing.assert_allclose(told.auroc, auroc(positive, negative))
    assert told.auroc[7] > 0.95
    np.testing.assert_allclose(told.difference, positive.mean(axis=0) - negative.mean(axis=0))
    np.testing.assert_allclose(told.frequency[0], (positive > 0).mean(axis=0))
    low, high = told.intervals([7, 3], seed=0)
    assert (low <= told.auroc[[7, 3]]).all()
    assert (told.auroc[[7, 3]] <= high).all()


@pytest.mark.parametrize("paired", [True, False])
def test_p_of_few_texts_is_that_of_all_arrangements(paired: bool) -> None:
    """All sign flips of 6 pairs, and all labellings of 4 + 4 texts, by hand; 20,000 random ones come within 0.01."""
    n = 6 if paired else 4
    positive, negative = _drawn(n, 5, 4) + np.array([2.0, 0, 0, 0, 0.5]), _drawn(n, 5, 5)
    sides = _sides(positive, negative, paired=paired)
    told = tell_apart(sides, sides, permutations=20_000, seed=0)
    largest = []
    if paired:
        rows = positive - negative
        rows = rows / np.sqrt(np.square(rows).sum(axis=0))
        for signs in product((1, -1), repeat=n):
            largest.append(np.abs(np.array(signs) @ rows).max() / np.sqrt(n))
    else:
        rows = np.vstack([positive, negative])
        rows = rows - rows.mean(axis=0)
        rows = rows / np.sqrt(np.square(rows).sum(axis=0))
        for labels in product((1, 0), repeat=2 * n):
            if sum(labels) == n:
                on = np.array(labels, dtype=bool)
                largest.append(np.abs(rows[on].mean(axis=0) - rows[~on].mean(axis=0)).max() * np.sqrt(n / 2))
    for feature in range(5):
        as_large = np.mean(np.array(largest) >= abs(told.statistic[feature]) - 1e-9)
        assert told.p[feature] == pytest.approx(as_large, abs=0.01)


def test_the_chance_of_any_false_find_is_held_and_a_planted_feature_found() -> None:
    """Under the null 5 % of sets have a feature with p < 0.05; of 60 sets 9 or more have one with a chance of 0.3 %."""
    false = found = 0
    for seed in range(60):
        positive, negative = _drawn(20, 200, 2 * seed), _drawn(20, 200, 2 * seed + 1)
        sides = _sides(positive, negative, paired=True)
        false += bool((against_chance(sides, permutations=200, seed=seed).p < 0.05).any())
        planted = positive.copy()
        planted[:, 11] += 2.5
        told = tell_apart(_sides(planted, negative, paired=True), sides, permutations=200, seed=seed)
        found += told.best(1) == [11] and bool(told.p[11] < 0.05)
    assert false <= 8
    assert found == 60


def test_features_that_no_training_text_activates_are_not_tested() -> None:
    positive, negative = _drawn(10, 6, 0), _drawn(10, 6, 1)
    positive[:, 2] = negative[:, 2] = 0
    sides = _sides(positive, negative, paired=False)
    told = tell_apart(sides, sides, permutations=100, seed=0)
    assert 2 not in told.tested
    assert np.isnan(told.p[2])
    assert told.auroc[2] == 0.5
    assert 2 not in told.best(6)


def test_choice_and_score_are_of_different_texts_unless_the_set_is_too_small() -> None:
    contrast = ContrastSet.load("formality")
    train, held_out, note = splits_of(contrast, 1000)
    assert not (train & held_out).any()
    assert (train | held_out).all()
    assert note == ""
    few = ContrastSet.of([f"Calm {n}." for n in range(6)], [f"Loud {n}." for n in range(6)])
    train, held_out, note = splits_of(few, 1000)
    assert train.all()
    assert held_out.all()
    assert "same texts" in note
