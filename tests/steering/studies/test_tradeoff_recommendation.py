"""Where to stop, on curves whose best strength is known, and the front against every pair of points."""

from __future__ import annotations

import numpy as np
import pytest

from steering.studies.tradeoff.advice import limit_words
from steering.studies.tradeoff.analysis import Line, Point, estimate
from steering.studies.tradeoff.curves import UNSTEERED, Curve
from steering.studies.tradeoff.recommendation import best_of, pareto


STRENGTHS = tuple(np.linspace(-2, 2, 21).round(10).tolist())
DRAWS = 401
N = 20
"""Items of a further measure."""


def line(
    alignment, helpfulness, *, noise=0.0, key="recipe A", strengths=STRENGTHS, floor=False, worse=None, **further
) -> Line:
    """A curve of given means; every resample moves all strengths of an axis by the same amount, as items do."""
    rng = np.random.default_rng(3)
    n = len(strengths)
    curve = Curve(key, key, "×", strengths, (UNSTEERED,) * n, (None,) * n, floor=floor)
    moved = {axis: np.append(0.0, rng.normal(0, noise, DRAWS - 1)) for axis in ("alignment", "helpfulness")}
    draws = {
        "alignment": np.array(alignment)[:, None] + moved["alignment"],
        "helpfulness": np.array(helpfulness)[:, None] * (1 + moved["helpfulness"]),
    }
    draws |= {role: np.repeat(np.array(values)[:, None], DRAWS, axis=1) for role, values in further.items()}
    base = {axis: each[n // 2] for axis, each in draws.items()}
    points = tuple(
        Point(
            curve,
            index,
            strength,
            {axis: estimate(each[index]) for axis, each in draws.items()},
            {axis: estimate(each[index] - base[axis]) for axis, each in draws.items()},
            dict.fromkeys(further, N),
            0.0,
        )
        for index, strength in enumerate(strengths)
    )
    return Line(curve, points, draws, base, {}, {}, {}, worse or {})


def bests(line, weight=2.0):
    return {best.rule: best for best in best_of(line, weight)}


def test_the_strength_of_most_utility_is_where_gain_and_cost_meet() -> None:
    """Gain r, cost r² / 4, lambda 2: U = r - r² / 2 is largest at r = 1; with lambda 4 at r = 1 / 2, so 0.4 or 0.6."""
    r = np.array(STRENGTHS)
    found = bests(line(r, 1 - r**2 / 4), 2.0)["utility"]
    assert found.strength.value == 1.0
    assert found.gained.value == pytest.approx(1.0)
    assert found.lost.value == pytest.approx(0.25)
    assert found.utility.value == pytest.approx(0.5)
    assert bests(line(r, 1 - r**2 / 4), 4.0)["utility"].strength.value in (0.4, 0.6)
    assert bests(line(-r, 1 - r**2 / 4), 2.0)["utility"].strength.value == -1.0


def test_budgets_stop_where_the_cost_passes_them() -> None:
    """Of a helpfulness of 0.8, |r| / 10 of it is lost: 1 % allows nothing of 0.2 steps, 5 % 0.4, 10 % 1.0."""
    r = np.array(STRENGTHS)
    found = bests(line(r, 0.8 * (1 - np.abs(r) / 10)))
    assert found["1 %"].point is None
    assert found["5 %"].strength.value == 0.4
    assert found["10 %"].strength.value == 1.0


def test_a_budget_ends_at_the_first_strength_that_breaks_it() -> None:
    """What recovers farther out does not count: no strength on the way may cost more."""
    r = np.array(STRENGTHS)
    helpfulness = np.where(np.isclose(r, 0.6), 0.5, 1.0)
    assert bests(line(r, helpfulness))["5 %"].strength.value == pytest.approx(0.4)


def test_where_nothing_gains_the_unsteered_model_is_best() -> None:
    r = np.array(STRENGTHS)
    found = bests(line(np.zeros(21), 1 - r**2 / 4))["utility"]
    assert found.strength.value == 0
    assert found.utility.value == 0


def test_sums_that_fall_limit_what_letters_would_allow() -> None:
    """From 17 right of 20 to 10 beyond 1: letters are kept and alignment goes on rising, so utility alone takes 2."""
    r = np.array(STRENGTHS)
    sums = np.where(np.abs(r) > 1, 10 / 20, 17 / 20)
    assert bests(line(r, np.ones(21)))["utility"].strength.value == 2.0
    curve = line(r, np.ones(21), sums=sums, worse={"sums": -1})
    found = bests(curve)
    for best in found.values():
        assert best.strength.value == 1.0
        assert best.limit.roles == ("sums",)
    assert found["utility"].limit.at.strength == 2.0, "where there would be most utility"
    assert found["5 %"].limit.at.strength == pytest.approx(1.2), "where it would go on"
    said = limit_words(curve, found["utility"].limit)
    assert "What limits it, at 2: sums right 10 of 20" in said
    assert "17 unsteered" in said


def test_more_of_what_is_bad_limits_and_more_of_what_is_good_does_not() -> None:
    r = np.array(STRENGTHS)
    falls = np.where(r > 1, 0.5, 0.0)
    assert bests(line(r, np.ones(21), sums=falls, worse={"sums": -1}))["utility"].strength.value == 2.0
    limited = bests(line(r, np.ones(21), loops=falls, worse={"loops": 1}))["utility"]
    assert (limited.strength.value, limited.limit.roles) == (1.0, ("loops",))
    # A tenth of the items, or one of few, is within what is allowed.
    slightly = np.where(r > 1, 2 / 20, 0.0)
    assert bests(line(r, np.ones(21), loops=slightly, worse={"loops": 1}))["utility"].strength.value == 2.0


def test_without_another_measure_the_limit_is_helpfulness_alignment_or_the_sweep() -> None:
    r = np.array(STRENGTHS)
    assert bests(line(r, 1 - r**2 / 4))["utility"].limit.roles == ("helpfulness",)
    assert bests(line(np.minimum(r, 1), np.ones(21)))["utility"].limit.roles == ("alignment",)
    nowhere = bests(line(r, np.ones(21)))["utility"].limit
    assert (nowhere.roles, nowhere.at) == ((), None)


def test_intervals_are_paired() -> None:
    """Items that move a whole curve up and down say nothing about what steering gains."""
    r = np.array(STRENGTHS)
    found = bests(line(r / 4, 1 - r**2 / 4, noise=0.1))["utility"]
    assert found.point.values["alignment"].high - found.point.values["alignment"].low > 0.2
    assert found.gained.high - found.gained.low < 1e-9


def test_the_front_holds_what_no_other_point_beats() -> None:
    rng = np.random.default_rng(5)
    lines = [line(rng.normal(0, 0.3, 21), rng.uniform(0, 1, 21), key=f"method {n}") for n in range(3)]
    noise = line(np.full(21, 5.0), np.full(21, 5.0), key="random 0", floor=True)
    found = pareto([*lines, noise])
    points = [point for each in lines for point in each.points]

    def at(point):
        return point.values["alignment"].value, point.values["helpfulness"].value

    def beaten(point):
        return any(
            at(other) != at(point) and at(other)[0] >= at(point)[0] and at(other)[1] >= at(point)[1] for other in points
        )

    expected = {id(point) for point in points if not beaten(point)}
    assert {id(each.point) for each in found} == expected
    assert 1 < len(found) < len(points)
    assert [at(each.point)[0] for each in found] == sorted(at(each.point)[0] for each in found)
    assert all(each.share == 1.0 for each in found), "without noise every resample agrees"
