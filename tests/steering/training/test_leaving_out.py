"""Leaving a pair out: the same as the formula for the mean difference, and as fitting anew by hand."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import conversation
from steering.texts.preferences import Preference
from steering.training.leaving_out import Sides, aligned, leave_one_out, sides_of
from steering.training.selection import at_random, by_quality, learning_curves


def made(n: int, seed: int, *, swapped: int | None = None) -> Sides:
    """Pairs that differ by one direction and noise of the same length, in width 8."""
    rng = torch.Generator().manual_seed(seed)
    base = torch.randn(n, 8, generator=rng, dtype=torch.float64)
    apart = torch.eye(8, dtype=torch.float64)[0] * 3 + torch.randn(n, 8, generator=rng, dtype=torch.float64)
    chosen, rejected = base + apart, base.clone()
    if swapped is not None:
        chosen[swapped], rejected[swapped] = rejected[swapped].clone(), chosen[swapped].clone()
    return Sides(chosen, rejected)


def test_the_mean_difference_follows_its_formula() -> None:
    sides, held_out = made(12, 0), made(9, 1)
    own, along = sides.chosen - sides.rejected, held_out.difference
    expected = ((own - own.mean(dim=0)) @ along) / (11 * along @ along)
    found = leave_one_out("mean_difference", sides, held_out)
    assert torch.allclose(found.values, expected, rtol=1e-9)
    assert found.all_pairs == pytest.approx(float(own.mean(dim=0) @ along / (along @ along)), rel=1e-9)
    assert found.values.abs().max() > 1e-3, "pairs do differ"


@pytest.mark.parametrize("method", ["pairwise_pca", "logistic"])
def test_other_methods_are_fitted_anew(method) -> None:
    """Against the same method on the eleven others, whose mean difference gives the length."""
    sides, held_out = made(12, 2), made(9, 3)
    found = leave_one_out(method, sides, held_out)
    others = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    less = leave_one_out(method, sides[others], held_out).all_pairs
    assert float(found.values[3]) == pytest.approx(found.all_pairs - less, rel=1e-6)


def test_a_judge_that_is_right_leaves_mislabelled_pairs_out() -> None:
    """A quarter of the pairs are swapped, and marked lower: what is chosen comes nearer to the truth than chance."""
    sides, held_out = made(24, 6), made(20, 7)
    swapped = list(range(0, 24, 4))
    mixed = Sides(sides.chosen.clone(), sides.rejected.clone())
    mixed.chosen[swapped], mixed.rejected[swapped] = sides.rejected[swapped], sides.chosen[swapped]
    quality = torch.ones(24)
    quality[swapped] = -1.0
    choosers = {"judged": by_quality(quality, mixed.chosen), "random": at_random}
    curves = learning_curves(
        24, [8], choosers, lambda chosen, seed: aligned("mean_difference", mixed[chosen], held_out), draws=10
    )
    judged, random = curves
    assert judged.over(random)[0].low > 0
    assert judged.estimates[0].value > 0.9


@pytest.mark.parametrize("method", ["mean_difference", "logistic"])
def test_a_swapped_pair_is_the_most_harmful_one(method) -> None:
    found = leave_one_out(method, made(20, 4, swapped=7), made(20, 5))
    assert found.harmful_first[0] == 7
    assert found.values[7] < 0
    assert leave_one_out(method, made(20, 4), made(20, 5)).harmful_first[0] != 7


def test_states_are_those_of_both_replies(demo) -> None:
    asked = conversation("How are you?")
    one, other = "I am fine.", "I am sad."
    sides = sides_of(demo, [Preference(asked, one, other), Preference(asked, other, one)], block=2)
    assert sides.chosen.shape == (2, demo.info.width)
    assert torch.allclose(sides.chosen[0], sides.rejected[1], atol=1e-4)
    assert not torch.allclose(sides.chosen[0], sides.rejected[0], atol=1e-2)


def test_too_few_pairs_and_sides_alike_are_refused() -> None:
    with pytest.raises(SteeringError, match="The method 'guess' was asked for"):
        leave_one_out("guess", made(9, 0), made(9, 1))
    with pytest.raises(SteeringError, match="3 pairs were given"):
        leave_one_out("mean_difference", made(3, 0), made(9, 1))
    same = made(9, 1)
    with pytest.raises(SteeringError, match="do not differ"):
        leave_one_out("mean_difference", made(9, 0), Sides(same.chosen, same.chosen))
