"""Results side by side: differences with their intervals, and curves of all on common axes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from steering.figures.plain import plain
from steering.statistics import Estimate, difference, mean_interval, wilson
from steering.studies.comparison import measure_rows, told_apart
from steering.studies.overlays import MOST_DOTS, dots, overlays
from steering.studies.study import Measure, Result


def _result(*measures: Measure, study: str = "tradeoff", **tables: pd.DataFrame) -> Result:
    return Result(study, {}, (), {}, measures, tables, next(iter(tables), ""))


def test_the_difference_of_two_shares_is_newcombes() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II, example (a): 56 of 70 against 48 of 80, method 10.
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_the_interval_of_a_difference_of_means_holds_the_true_one_as_often_as_it_says() -> None:
    chance, hits, rounds = np.random.default_rng(0), 0, 400
    for _ in range(rounds):
        one, other = chance.normal(1.0, 2, 60), chance.normal(0.5, 1, 40)
        found = difference(mean_interval(one, resamples=400), mean_interval(other, resamples=400))
        hits += found.low <= 0.5 <= found.high
    # 95 % of 400 is 380 with a standard deviation of 4.4; percentile intervals of 40 items are a little short.
    assert 362 <= hits <= 394


def test_measures_stand_beside_each_other_and_only_intervals_are_told_apart() -> None:
    first = _result(
        Measure("share", 0.2, 0.1, 0.3, 50),
        Measure("plain", 1.0, None, None, 5),
        Measure("flat", 1.0, 1.0, 1.0, 5),
        Measure("auroc", 1.0, 1.0, 1.0, 20),
        Measure("strength", 1.0, 0.5, 1.5, 5, "raw"),
    )
    second = _result(
        Measure("share", 0.5, 0.4, 0.6, 50),
        Measure("plain", 9.0, None, None, 5),
        Measure("flat", 0.9, 0.9, 0.9, 5),
        Measure("auroc", 0.9, 0.8, 1.0, 20),
        Measure("strength", 1.0, 0.5, 1.5, 5, "nats"),
        Measure("new", math.nan, 0.1, 0.2, 1),
    )
    rows = {(row.name, row.unit): row for row in measure_rows([first, second, None])}
    (share, none) = rows["share", ""].differences
    assert none is None
    # By hand: 0.3 and the root of 0.1² + 0.1².
    assert share == pytest.approx((0.3, 0.3 - math.sqrt(0.02), 0.3 + math.sqrt(0.02)))
    assert rows["share", ""].differs
    for name in ("plain", "flat", "new"):
        assert rows[name, ""].differences == (None, None)
        assert not rows[name, ""].differs
    assert rows["auroc", ""].differences[0] == pytest.approx((-0.1, -0.2, 0.0))
    assert not rows["auroc", ""].differs  # the interval reaches 0
    assert rows["strength", "raw"].measures[1] is None  # another unit is another measure
    assert rows["strength", "nats"].measures[0] is None
    assert [name for name, _ in rows] == ["share", "plain", "flat", "auroc", "strength", "strength", "new"]
    assert not told_apart(Estimate(0.1, 0.0, 0.2))


def test_the_chart_of_measures_shows_those_that_differ_and_says_how_many_it_leaves_out() -> None:
    same = [Measure(f"m{n}", 0.5, 0.4, 0.6, 9) for n in range(MOST_DOTS + 3)]
    first, second = (_result(*same, Measure("last", value, value - 0.1, value + 0.1, 9)) for value in (0.1, 0.9))
    charted = dots(measure_rows([first, second]), ["run 1", "run 2"])
    assert charted is not None
    figure, caption = charted
    assert caption == "4 more stand in the table."
    assert figure.layout.yaxis.ticktext[-1] == "last"  # at the top
    top = [(trace.x[0], trace.error_x.array[0], trace.customdata[0][0]) for trace in figure.data]
    assert [each[2] for each in top] == ["last", "last"]
    assert [each[:2] for each in top] == [pytest.approx((0.1, 0.1)), pytest.approx((0.9, 0.1))]
    plain(figure)  # the page can draw it
    assert dots(measure_rows([_result(Measure("kl", 1.0, 0.5, 2.0, 9, "nats"))] * 2), ["a", "b"]) is None


def _points(unit: str, shift: float) -> pd.DataFrame:
    rows = [("joy, add", s, unit, False, 0.1 * s + shift, 0.9, 0.05) for s in (-1.0, 0.0, 1.0)]
    rows += [("ablation", 1.0, "share", False, 0.3, 0.8, 0.1), ("random direction 0", 1.0, unit, True, 0.0, 0.9, 0.1)]
    columns = ["method", "strength", "unit", "random", "alignment", "helpfulness", "width"]
    table = pd.DataFrame(rows, columns=columns)
    ends = {
        f"{axis}_{end}": table[axis] + sign * table["width"]
        for axis in ("alignment", "helpfulness")
        for end, sign in (("low", -1), ("high", 1))
    }
    return table.assign(**ends)


def test_curves_of_several_runs_share_axes_where_they_can_be_compared() -> None:
    results = [_result(points=_points("raw", shift)) for shift in (0.0, 0.25)]
    charts = {title: figure for title, figure, _ in overlays(results, ["run 1", "run 2"])}
    assert [*charts] == ["Alignment over strength", "Helpfulness over strength", "What is paid for what is gained"]
    curves = charts["Alignment over strength"].data
    assert [curve.name for curve in curves] == ["Run 1, joy, add", "Run 2, joy, add"]  # of one unit, and no chance
    assert curves[1].y == pytest.approx((0.15, 0.25, 0.35))
    assert curves[1].error_y.array == pytest.approx([0.05] * 3)
    assert curves[0].line.color != curves[1].line.color
    assert len(charts["What is paid for what is gained"].data) == 4
    for figure in charts.values():
        plain(figure)
    other = [results[0], _result(points=_points("nats", 0.0))]
    assert [title for title, *_ in overlays(other, ["a", "b"])] == ["What is paid for what is gained"]
    assert list(overlays([results[0], _result(study="grid")], ["a", "b"])) == []
    assert list(overlays([results[0], None], ["a", "b"])) == []
    alone = list(overlays(results[:1], [""]))
    assert [figure.data[0].name for _, figure, _ in alone] == ["Joy, add"] * 3
    odd = _points("raw", 0.0).assign(
        alignment=["x", "0.5", None, "1", "2"], alignment_low="?"
    )  # of somebody else's file
    (curve, *_) = next(iter(overlays([_result(points=odd)], [""])))[1].data
    assert (curve.y, tuple(curve.error_y.arrayminus)) == ((0.5,), (0.0,))
    assert list(overlays([_result(points=pd.DataFrame({"odd": [1]}))] * 2, ["a", "b"])) == []
