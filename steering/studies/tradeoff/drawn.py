"""Figures of a trade-off from its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import ALIGNMENT, HELPFULNESS, INK, styled
from steering.numbers import counted
from steering.studies.figures import BAND, LAYOUT, Drawn, area, curve, estimates_of
from steering.studies.overlays import overlays


if TYPE_CHECKING:
    from steering.studies.result import Result

_HUES = {"alignment": ALIGNMENT, "helpfulness": HELPFULNESS}
_PLANE = "What is paid for what is gained"


def tradeoff_drawn(result: Result) -> Iterator[Drawn]:
    """The first curve over strength; of several, all in the plane."""
    points = result.tables["points"]
    if not len(points):
        return
    random = points["random"].astype(bool)
    main = points[~random]
    method, unit = main["method"].iloc[0], main["unit"].iloc[0]
    rows, floor = main[main["method"] == method], points[random & (points["unit"] == unit)]
    figure = go.Figure()
    random_word = _random_word(floor)
    for axis in _HUES if len(floor) else ():
        ends = floor.groupby("strength")[axis].agg(["min", "max"])
        area(figure, ends.index, ends["min"], ends["max"], BAND, f"{random_word}s" * (axis == "alignment"))
    for axis, hue in _HUES.items():
        curve(figure, rows["strength"], estimates_of(rows, axis), axis, hue)
    best = _recommended(result, method)
    if best is not None:
        figure.add_vline(x=best, line={"color": INK, "width": 1.5, "dash": "dot"})
    figure = styled(figure, f"strength, {unit}", "alignment, helpfulness")
    figure.update_xaxes(dtick=None).update_layout(**LAYOUT)
    yield f"Alignment and helpfulness over strength: {method}", figure, _tradeoff_caption(result, rows, floor, best)
    if main["method"].nunique() > 1:
        yield from (each for each in overlays([result], [""]) if each[0] == _PLANE)


def _tradeoff_caption(result: Result, rows: pd.DataFrame, floor: pd.DataFrame, best: float | None) -> str:
    n = [f"n = {rows[f'n_{axis}'].iloc[0]:.0f} for {axis}{_judged(result, axis)}" for axis in _HUES]
    parts = [*n, "bars: 95 % intervals, paired bootstrap over items"]
    if len(floor):
        word = _random_word(floor)
        alike = "of equal norm" if word == "random direction" else "of features of equal activity"
        parts.append(f"grey: range over {counted(floor['method'].nunique(), word)} {alike}")
    if best is not None:
        parts.append(f"dotted: recommended, {best:g}")
    return f"{'; '.join(parts)}."


def _random_word(floor: pd.DataFrame) -> str:
    """What each of a floor's curves is, as its name says before the number."""
    return str(floor["method"].iloc[0]).rpartition(" ")[0] if len(floor) else ""


def _judged(result: Result, axis: str) -> str:
    """By what an axis is measured, as the items' table says."""
    items = result.tables.get("items")
    if items is None or "judge" not in items:
        return ""
    judges = items[items["measure"] == axis]["judge"].unique()
    return f" ({', '.join(map(str, judges))})" if len(judges) else ""


def _recommended(result: Result, method: str) -> float | None:
    stop = result.tables.get("stop")
    if stop is None or not len(stop):
        return None
    row = stop[(stop["method"] == method) & (stop["rule"] == "utility")]
    found = float(row["strength"].iloc[0]) if len(row) else 0.0
    return found or None
