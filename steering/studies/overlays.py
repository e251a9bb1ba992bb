"""Figures of several results on common axes: one hue a result, one dash a curve of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import LEGEND, SEVERAL, error_bars, styled
from steering.names import upper_first
from steering.studies.comparison import MeasureRow, estimate_of


if TYPE_CHECKING:
    from steering.studies.study import Result

MOST_DOTS = 24
"""Measures in one chart."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "x")
_MARGIN = {"l": 60, "r": 20, "t": 58, "b": 48}


@dataclass(frozen=True)
class Curves:
    """Which columns of a table are drawn against each other."""

    table: str
    x: str
    y: str
    title: str
    across: str
    """What stands below the axis of x."""
    up: str
    by: str = ""
    """Column that tells curves apart; one curve where empty."""
    unit: str = ""
    """Column with the unit of x, where there are several: only curves of the first one's unit share its axis."""


_TABLES: Mapping[str, tuple[Curves, ...]] = {
    "tradeoff": (
        Curves("points", "strength", "alignment", "Alignment over strength", "strength", "alignment", "method", "unit"),
        Curves(
            "points",
            "strength",
            "helpfulness",
            "Helpfulness over strength",
            "strength",
            "helpfulness",
            "method",
            "unit",
        ),
        Curves(
            "points",
            "alignment",
            "helpfulness",
            "What is paid for what is gained",
            "alignment",
            "helpfulness",
            "method",
        ),
    ),
    "extract": (Curves("blocks", "block", "auroc", "Held-out AUROC by block", "block", "held-out AUROC"),),
    "probe": (
        Curves("blocks", "block", "ccs_esa", "CCS by block", "block", "ESA (0.5: chance)"),
        Curves("blocks", "block", "logistic_auroc", "Logistic probe by block", "block", "held-out AUROC"),
    ),
}
"""What a study's results have in common to draw, in order."""


def dots(rows: Sequence[MeasureRow], labels: Sequence[str]) -> tuple[go.Figure, str] | None:
    """Measures without a unit, which share an axis, as dots with their intervals; None where there are none.

    Args:
        rows: Of the comparison.
        labels: What the results are called.
    """
    able = [row for row in rows if not row.unit and sum(estimate_of(m) is not None for m in row.measures) > 1]
    if not able:
        return None
    shown = sorted(able, key=lambda row: not row.differs)[:MOST_DOTS]  # those that differ first, else as they come
    figure = go.Figure()
    places = range(len(shown))
    for n, label in enumerate(labels):
        known = [
            (place, row, found)
            for place, row in zip(places, shown, strict=True)
            if (found := estimate_of(row.measures[n]))
        ]
        values = [found for *_, found in known]
        shift = 0.16 * ((len(labels) - 1) / 2 - n)
        figure.add_scatter(
            x=[each.value for each in values],
            y=[len(shown) - 1 - place + shift for place, *_ in known],
            mode="markers",
            name=label,
            marker={"color": SEVERAL[n], "symbol": _SYMBOLS[n], "size": 7},
            error_x=error_bars(values, 1),
            customdata=[[row.name, each.low, each.high] for _, row, each in known],
            hovertemplate=f"{label}, %{{customdata[0]}}: %{{x:.3f}} [%{{customdata[1]:.3f}}, %{{customdata[2]:.3f}}]"
            "<extra></extra>",
        )
    figure = styled(figure, "value, with its 95 % interval", "", y_range=[-0.6, len(shown) - 0.4])
    ticks = {"tickvals": list(places), "ticktext": [row.name[:60] for row in reversed(shown)], "dtick": None}
    figure.update_yaxes(**ticks).update_xaxes(dtick=None)
    figure.update_layout(
        height=110 + (24 + 7 * len(labels)) * len(shown), showlegend=True, legend=LEGEND, margin=_MARGIN
    )
    left = len(able) - len(shown)
    return figure, f"{left} more stand in the table." if left else ""


def overlays(results: Sequence[Result | None], labels: Sequence[str]) -> Iterator[tuple[str, go.Figure, str]]:
    """(title, figure, caption) of each chart that the tables of these results allow, of results of one study alone.

    Args:
        results: Those that are compared; one alone gives its own curves.
        labels: What they are called; "" names curves alone.
    """
    studies = {result.study for result in results if result is not None}
    if len(studies) != 1 or any(result is None for result in results):
        return
    for curves in _TABLES.get(studies.pop(), ()):
        tables = [_table(result, curves) for result in results if result is not None]
        if sum(table is not None and len(table) > 0 for table in tables) < min(2, len(tables)):
            continue
        units = {
            str(table[curves.unit].iloc[0]) for table in tables if curves.unit and table is not None and len(table)
        }
        if len(units) > 1:  # strengths that cannot be compared
            continue
        figure = go.Figure()
        for n, (label, table) in enumerate(zip(labels, tables, strict=True)):
            if table is not None:
                _add(figure, curves, table, label, SEVERAL[n])
        figure = styled(figure, ", ".join(filter(None, (curves.across, *units))), curves.up)
        figure.update_xaxes(dtick=None).update_layout(height=360, showlegend=True, legend=LEGEND, margin=_MARGIN)
        hues = "" if len(results) == 1 else "A hue a run, a dash a method. " if curves.by else "A hue a run. "
        yield curves.title, figure, f"{hues}Bars: 95 % intervals."


def _table(result: Result, curves: Curves) -> pd.DataFrame | None:
    """The rows that are drawn; None where the result has no such table. Curves of chance are left out."""
    table = result.tables.get(curves.table)
    if table is None or not {curves.x, curves.y, *filter(None, (curves.by, curves.unit))} <= set(table.columns):
        return None
    ends = (f"{column}{end}" for column in (curves.x, curves.y) for end in ("_low", "_high"))
    numbers = [curves.x, curves.y, *(each for each in ends if each in table.columns)]
    known = table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in numbers})
    known = known.dropna(subset=[curves.x, curves.y])
    known = known[~known["random"].astype(bool)] if "random" in known.columns else known
    return known[known[curves.unit] == known[curves.unit].iloc[0]] if curves.unit and len(known) else known


def _add(figure: go.Figure, curves: Curves, table: pd.DataFrame, label: str, hue: str) -> None:
    """The curves of one result."""
    groups = table.groupby(curves.by, sort=False) if curves.by else [("", table)]
    for (name, rows), dash in zip(groups, cycle(_DASHES), strict=False):
        called = upper_first(", ".join(filter(None, (label, str(name)))) or curves.up)
        figure.add_scatter(
            x=rows[curves.x].tolist(),
            y=rows[curves.y].tolist(),
            mode="lines+markers",
            name=called,
            line={"color": hue, "dash": dash, "width": 1.8},
            marker={"size": 5, "color": hue},
            **_intervals(rows, curves),
            hovertemplate=f"{called}: {curves.across} %{{x:.4g}}, {curves.up} %{{y:.3f}}<extra></extra>",
        )


def _intervals(rows: pd.DataFrame, curves: Curves) -> dict[str, Any]:
    """Error bars along each axis whose column has its ends."""
    found = {}
    for axis, column in (("x", curves.x), ("y", curves.y)):
        ends = [f"{column}_low", f"{column}_high"]
        if set(ends) <= set(rows.columns):
            triples = zip(rows[column], *(rows[end] for end in ends), strict=True)
            bars = [(max(0.0, v - low), max(0.0, high - v)) for v, low, high in triples]
            found[f"error_{axis}"] = {
                "type": "data",
                "symmetric": False,
                "arrayminus": [0.0 if math.isnan(down) else down for down, _ in bars],
                "array": [0.0 if math.isnan(up) else up for _, up in bars],
                "thickness": 0.8,
                "width": 0,
            }
    return found
