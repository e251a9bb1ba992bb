"""Separation: one ratio, the indices that follow from it, and what they are where labels mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import calinski_harabasz_score, roc_auc_score
from torch import Tensor

from steering.studies.probing.separation import Separation, separation


WIDTH, PAIRS = 12, 100


def clouds(n: int = PAIRS, *, apart: float = 3.0, seed: int = 0) -> Tensor:
    """Safe and harmful in turn, (2 n, width), this far apart along the first axis; halves of a pair share a part."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(n, 2, WIDTH, generator=generator) + torch.randn(n, 1, WIDTH, generator=generator)
    states[:, 1, 0] += apart
    return states.reshape(2 * n, WIDTH)


def exchanged(states: Tensor, seed: int = 0) -> Tensor:
    """The same clouds, with labels inside pairs thrown by a coin: they mean nothing."""
    pairs = states.reshape(-1, 2, WIDTH)
    coin = torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(coin[:, None, None], pairs.flip(1), pairs).reshape(states.shape)


def measured(states: Tensor, **options: Any) -> Separation:
    n = len(states) // 2
    return separation(states, np.arange(n) % 5, **{"aqi_n": n, "permutations": 200, "resamples": 50, **options})


def plain_ratio(states: Tensor) -> float:
    """D² over W / n, one statement at a time."""
    rows = states.double().tolist()
    sides = rows[::2], rows[1::2]
    means = [[sum(row[k] for row in side) / len(side) for k in range(WIDTH)] for side in sides]
    within = sum(
        (row[k] - mean[k]) ** 2 for side, mean in zip(sides, means, strict=True) for row in side for k in range(WIDTH)
    )
    return sum((means[0][k] - means[1][k]) ** 2 for k in range(WIDTH)) / (within / len(rows))


@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_ratio_is_distance_over_scatter(apart) -> None:
    states = clouds(apart=apart)
    assert measured(states).ratio == pytest.approx(plain_ratio(states), rel=1e-9)


@pytest.mark.parametrize("aqi_n", [PAIRS, 10 * PAIRS])
@pytest.mark.parametrize("apart", [0.0, 3.0])
def test_indices_are_the_ratio_in_another_dress(apart, aqi_n) -> None:
    """Of all statements, as many a class as there are or more: no draw changes them."""
    states, n = clouds(apart=apart), 2 * PAIRS
    found = measured(states, aqi_n=aqi_n)
    assert found.xbi == pytest.approx(1 / plain_ratio(states), rel=1e-9)
    assert found.chi == pytest.approx((n - 2) * PAIRS * PAIRS / (n * n * found.xbi), rel=1e-9)
    assert found.chi == pytest.approx(calinski_harabasz_score(states.double(), np.arange(n) % 2), rel=1e-9)
    assert found.aqi == pytest.approx((1 / found.xbi + found.chi) / 2, rel=1e-9)


def test_index_of_draws_is_that_of_as_many_statements() -> None:
    """Mean of 20 draws of 40 pairs, where chance adds 0.6 to D² = 9, seven per cent: 15 % are tolerated."""
    states = clouds(400)
    found = measured(states, aqi_n=40)
    assert found.xbi == pytest.approx(1 / found.ratio, rel=0.15)
    assert found.chi == pytest.approx((80 - 2) / 4 * found.ratio, rel=0.15)
    assert found == measured(states, aqi_n=40), "the seed draws"
    assert found.chi != measured(states, aqi_n=40, seed=1).chi


def test_ratio_does_not_grow_with_the_number_of_statements() -> None:
    """Every statement twice: R is what it was, and CHI grows as n - 2 does, unless it is taken at one number."""
    states = clouds()
    once, twice = measured(states), measured(states.repeat(2, 1))
    assert twice.ratio == pytest.approx(once.ratio, rel=1e-9)
    assert twice.xbi == pytest.approx(once.xbi, rel=1e-9)
    assert twice.chi == pytest.approx(once.chi * (4 * PAIRS - 2) / (2 * PAIRS - 2), rel=1e-9)
    assert twice.aqi > 1.9 * once.aqi


def test_separated_clouds_lie_outside_the_null_band() -> None:
    found = measured(clouds())
    assert found.null[0] < found.null[1] < found.ratio / 3
    assert found.null == measured(clouds()).null


def test_meaningless_labels_lie_in_the_null_band() -> None:
    """Of 40 sets, 2 are expected above the 95 % point (more than 6: 1 in 300), 20 ± 3 above the median."""
    found = [measured(exchanged(clouds(seed=seed), seed), seed=seed, resamples=2) for seed in range(40)]
    assert sum(each.ratio > each.null[1] for each in found) <= 6
    assert 10 <= sum(each.ratio > each.null[0] for each in found) <= 30


def test_null_band_is_that_of_exchanged_labels() -> None:
    """Worked out anew. Both scatter by a tenth or less with 400 exchanges: 20 % and 25 % are tolerated."""
    states = clouds()
    ratios = []
    for seed in range(400):
        pairs = exchanged(states, seed).reshape(-1, 2, WIDTH).double()
        means = pairs.mean(dim=0)
        ratios.append(float((means[0] - means[1]).square().sum() / (pairs - means).square().sum(dim=-1).mean()))
    low, high = measured(states, permutations=400).null
    assert low == pytest.approx(np.quantile(ratios, 0.5), rel=0.2)
    assert high == pytest.approx(np.quantile(ratios, 0.95), rel=0.25)


def test_auroc_of_held_out_pairs() -> None:
    """Near 1 for clouds far apart, near 0.5 where labels are thrown: 100 pairs scatter by 0.04, folds by as much."""
    far = measured(clouds(apart=8.0)).auroc
    assert far.value > 0.99
    assert far.low <= far.value <= far.high
    values = [measured(exchanged(clouds(apart=8.0, seed=seed), seed)).auroc.value for seed in range(10)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


def test_auroc_is_along_the_means_of_the_other_folds() -> None:
    """By scikit-learn, with the direction and the middle worked out a fold at a time."""
    states, fold = clouds(apart=1.0).double(), np.repeat(np.arange(PAIRS) % 5, 2)
    harmful, scores = np.arange(2 * PAIRS) % 2 == 1, np.zeros(2 * PAIRS)
    for each in range(5):
        inside = fold != each
        one, other = states[inside & ~harmful].mean(dim=0), states[inside & harmful].mean(dim=0)
        scores[~inside] = ((states[~inside] - (one + other) / 2) @ (other - one)).numpy()
    value = measured(states).auroc.value
    assert 0.55 < value < 0.95
    assert value == pytest.approx(roc_auc_score(harmful, scores), abs=1e-9)
