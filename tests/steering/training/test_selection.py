"""Choosing pairs: the best of those that differ, and curves over their number with intervals over draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.training.selection import at_random, best_and_different, by_quality, learning_curves


QUALITY = torch.tensor([5.0, 4.0, 3.0, 2.0])
STATES = torch.tensor([[1.0, 0.0], [0.99, 0.01], [-1.0, 0.0], [0.0, 1.0]])
"""The two best say the same."""


def test_the_second_of_two_alike_is_passed_over() -> None:
    assert best_and_different(QUALITY, STATES, 2) == [0, 2]
    assert best_and_different(QUALITY, STATES, 2, alike=1.1) == [0, 1], "without diversity, the best"


def test_what_was_passed_over_fills_up() -> None:
    assert best_and_different(QUALITY, STATES, 4) == [0, 2, 3, 1]


def test_a_chooser_stays_in_its_pool() -> None:
    choose = by_quality(QUALITY, STATES)
    assert choose([1, 2, 3], 2, seed=9) == [1, 2]
    drawn = at_random([4, 7, 9], 2, 0)
    assert set(drawn) < {4, 7, 9}
    assert drawn == at_random([4, 7, 9], 2, 0)
    assert {tuple(at_random([4, 7, 9], 2, seed)) for seed in range(9)} != {tuple(drawn)}


def test_curves_hold_two_ways_against_each_other_draw_by_draw() -> None:
    """The worth is the best index among those chosen: known for both ways."""
    told: list[tuple[int, int]] = []
    quality = torch.arange(20.0)
    curves = learning_curves(
        20,
        [1, 4],
        {"best": by_quality(quality, torch.eye(20)), "random": at_random},
        lambda chosen, seed: float(max(chosen)),
        draws=6,
        on_value=lambda *each: told.append(each),
    )
    best, random = curves
    assert best.values.shape == (6, 2)
    assert (best.values[:, 0] == best.values[:, 1]).all(), "the best one is taken first"
    assert (best.values >= random.values).all(), "from the same pools"
    assert random.estimates[1].value > random.estimates[0].value
    over = best.over(random)[0]
    assert over.value == pytest.approx(np.mean(best.values[:, 0] - random.values[:, 0]))
    assert over.low > 0
    assert told[-1] == (24, 24)


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(SteeringError, match="5 of 4 pairs"):
        best_and_different(QUALITY, STATES, 5)
    with pytest.raises(SteeringError, match="no number"):
        best_and_different(torch.tensor([1.0, torch.nan]), STATES[:2], 1)
    for sizes in ([], [4, 2], [99]):
        with pytest.raises(SteeringError, match="were asked for"):
            learning_curves(10, sizes, {"random": at_random}, lambda chosen, seed: 0.0)
