"""A vector taken apart: what it was put together from is found, and what is left is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steering.studies.features.decomposition import by_chance, decompose


def _directions(n: int, width: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(n, width, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=-1, keepdim=True)


def test_the_features_that_a_vector_was_made_of_are_found_with_their_weights() -> None:
    directions = _directions(400, 96)
    made = 3 * directions[17] + 2 * directions[203] + 1 * directions[391]
    parts = decompose(made, directions, 3)
    assert parts.features == (17, 203, 391)
    length = float(made.norm())
    assert parts.weights == pytest.approx((3 / length, 2 / length, 1 / length), abs=1e-5)
    assert parts.share == pytest.approx(1, abs=1e-6)
    assert list(parts.explained) == sorted(parts.explained)


def test_features_and_remainder_add_up_and_no_weight_is_below_0() -> None:
    directions = _directions(300, 64)
    vector = torch.randn(64, generator=torch.Generator().manual_seed(3))
    parts = decompose(vector, directions, 10)
    weights = torch.tensor(parts.weights)
    total = weights @ directions[list(parts.features)] + parts.remainder
    torch.testing.assert_close(total, vector / vector.norm(), atol=1e-5, rtol=0)
    assert (weights >= 0).all()
    assert parts.share == pytest.approx(1 - float(parts.remainder.square().sum()), abs=1e-6)
    assert parts.share < 0.95
    # At the optimum no feature that was taken could take over more of what is left.
    assert float((directions[list(parts.features)] @ parts.remainder).max()) < 1e-5


def test_a_vector_against_all_features_has_none() -> None:
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    parts = decompose(torch.tensor([-1.0, -1.0]), directions, 5)
    assert parts.features == ()
    assert parts.share == 0
    torch.testing.assert_close(parts.remainder, torch.tensor([-1.0, -1.0]) / 2**0.5)


def test_random_vectors_are_explained_less_than_one_that_is_made_of_features() -> None:
    directions = _directions(400, 96)
    made = decompose(directions[:4].sum(dim=0), directions, 4).share
    chance = by_chance(directions, 4, draws=10, seed=1)
    assert made > 0.95
    assert chance.shape == (10, 4)
    assert chance.max() < 0.7
    assert (np.diff(chance, axis=1) >= 0).all()
    assert len(set(chance[:, -1].tolist())) == 10
