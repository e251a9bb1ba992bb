"""The three charts: both scores over strength, what each method pays for what it gains, and what a nat buys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, product
from typing import Any

import numpy as np
import plotly.graph_objects as go

from steering.figures.styling import (
    ALIGNMENT,
    FLOOR,
    HELPFULNESS,
    INK,
    LEGEND,
    RULE,
    SEVERAL,
    UNSTEERED,
    error_bars,
    styled,
)
from steering.statistics import Estimate
from steering.studies.tradeoff.analysis import AXES, Floor, Line, Point
from steering.studies.tradeoff.measures import Measure
from steering.studies.tradeoff.recommendation import Best, Front


HUES = {"alignment": ALIGNMENT, "helpfulness": HELPFULNESS}
_BAND = "rgba(139,144,152,0.28)"
_OF_METHODS = (*SEVERAL[:3], SEVERAL[5])
"""Okabe-Ito without the hues of the two axes."""
_SMOOTH = 201
_LAYOUT: dict[str, Any] = {
    "height": 380,
    "showlegend": True,
    "legend": LEGEND,
    "margin": {"l": 60, "r": 20, "t": 58, "b": 48},
}


def method_hues(lines: Sequence[Line]) -> dict[str, tuple[str, str]]:
    """Hue and dash by a curve's key; controls are grey."""
    styles = ((hue, dash) for dash, hue in cycle(product(("solid", "dash", "dot"), _OF_METHODS)))
    chosen = [line.curve for line in lines if not line.curve.floor]
    return {curve.key: (FLOOR, "dash") if curve.control else next(styles) for curve in chosen}


def over_strength(
    line: Line, floor: Floor | None, best: Best | None, unsteered: Mapping[str, Estimate], title: str
) -> go.Figure:
    """Alignment and helpfulness of one curve at every strength, with intervals, fits as fitted, and the floor.

    Args:
        line: The curve.
        floor: Random directions, where there are any.
        best: Its strength of most utility.
        unsteered: The unsteered model by axis.
        title: What both are measured on.
    """
    figure = go.Figure()
    for axis in AXES:
        if floor is not None and floor.unit == line.curve.unit:
            _floor(figure, floor, axis)
    for axis in AXES:
        _scores(figure, line, axis)
    _levels(figure, line, unsteered)
    if best is not None and best.gains:
        figure.add_vline(x=best.strength.value, line={"color": INK, "width": 1.5, "dash": "dot"})
        middle = (line.curve.strengths[0] + line.curve.strengths[-1]) / 2
        side = "left" if best.strength.value <= middle else "right"
        _label(figure, best.strength.value, 0.0, f"recommended {best.strength.value:g}", side, yref="paper")
    where = "" if not line.curve.writes else ", " + _where(line)
    figure = styled(figure, f"strength, {line.curve.unit}{where}", "alignment, helpfulness", y_range=_range(line))
    margin = 0.04 * (line.curve.strengths[-1] - line.curve.strengths[0])
    figure.update_xaxes(dtick=None, range=[line.curve.strengths[0] - margin, line.curve.strengths[-1] + margin])
    return _titled(figure, title)


def joint_plane(
    lines: Sequence[Line],
    front: Sequence[Front],
    unsteered: Mapping[str, Estimate],
    measures: tuple[Measure, Measure],
    title: str,
) -> go.Figure:
    """Helpfulness against alignment, one curve a method with a point a strength; ringed: on the Pareto front."""
    figure, hues = go.Figure(), method_hues(lines)
    for line in (line for line in lines if line.curve.floor):
        _plane_line(figure, line, FLOOR, "solid", faint=True)
    for line in (line for line in lines if not line.curve.floor):
        _plane_line(figure, line, *hues[line.curve.key])
    if front:
        figure.add_scatter(
            x=[each.point.values["alignment"].value for each in front],
            y=[each.point.values["helpfulness"].value for each in front],
            mode="markers",
            name="Pareto front",
            marker={"symbol": "circle-open", "size": 12, "color": INK, "line": {"width": 1.2}},
            hoverinfo="skip",
        )
    if all(axis in unsteered for axis in AXES):
        figure.add_scatter(
            x=[unsteered["alignment"].value],
            y=[unsteered["helpfulness"].value],
            mode="markers",
            name="unsteered",
            marker={"symbol": "diamond", "size": 11, "color": UNSTEERED, "line": {"width": 1.5, "color": INK}},
            hovertemplate="unsteered: alignment %{x:.3f}, helpfulness %{y:.3f}<extra></extra>",
        )
    figure = styled(figure, measures[0].label, measures[1].label)
    figure.update_xaxes(dtick=None)
    return _titled(figure, title)


def per_nat(lines: Sequence[Line], title: str) -> go.Figure:
    """Alignment gained and helpfulness lost against KL, on the side of each curve that gains alignment."""
    figure, hues = go.Figure(), method_hues(lines)
    for line in lines:
        if line.curve.floor or line.curve.control:
            continue
        points = list(_gaining(line))
        for axis, sign, dash in (("alignment", 1, "solid"), ("helpfulness", -1, "dot")):
            what = "alignment gained" if sign > 0 else "helpfulness lost"
            figure.add_scatter(
                x=[point.kl_p95 for point in points],
                y=[sign * point.changes[axis].value for point in points],
                name=line.curve.title,
                legendgroup=line.curve.key,
                showlegend=sign > 0,
                mode="lines+markers",
                line={"color": hues[line.curve.key][0], "dash": dash, "width": 1.8},
                marker={"size": 5, "symbol": "circle" if sign > 0 else "x"},
                customdata=[[point.strength] for point in points],
                hovertemplate=f"{line.curve.title} at %{{customdata[0]:g}}: {what} %{{y:.3f}} for %{{x:.3g}} nats"
                "<extra></extra>",
            )
    figure.add_hline(y=0, line=RULE)
    figure = styled(figure, "KL, 95th percentile, nats", "change of alignment, helpfulness")
    figure.update_xaxes(dtick=None)
    return _titled(figure, title)


def _titled(figure: go.Figure, title: str) -> go.Figure:
    """With what is measured above the chart, so that a picture of it says so too."""
    words = {
        "text": title,
        "font": {"size": 12, "color": INK},
        "x": 0.01,
        "xanchor": "left",
        "y": 0.98,
        "yanchor": "top",
    }
    return figure.update_layout(title=words, **_LAYOUT)


def _floor(figure: go.Figure, floor: Floor, axis: str) -> None:
    """The range of random directions, with a mark at each strength where they were read."""
    _area(figure, floor.strengths, floor.low[axis], floor.high[axis], _BAND)
    for name, edge in (("lowest", floor.low[axis]), ("highest", floor.high[axis])):
        figure.add_scatter(
            x=list(floor.strengths),
            y=edge.tolist(),
            mode="markers",
            name=floor.of.several,
            legendgroup="floor",
            showlegend=axis == "alignment" and name == "highest",
            marker={"symbol": "line-ew", "size": 7, "line": {"width": 1.5, "color": FLOOR}},
            hovertemplate=f"{name} of {floor.of.several}, {axis} at %{{x:g}}: %{{y:.3f}}<extra></extra>",
        )


def _scores(figure: go.Figure, line: Line, axis: str) -> None:
    points, hue = line.points, HUES[axis]
    values = [point.values[axis] for point in points]
    strengths = line.curve.strengths
    _area(figure, strengths, [v.low for v in values], [v.high for v in values], _faint(hue))
    figure.add_scatter(
        x=list(strengths),
        y=[value.value for value in values],
        name=axis,
        mode="markers" if axis in line.fits else "lines+markers",
        marker={"color": hue, "size": 6},
        line={"color": hue, "width": 1.5},
        error_y=error_bars(values, 1),
        customdata=[[value.low, value.high, point.n[axis]] for value, point in zip(values, points, strict=True)],
        hovertemplate=f"{axis} at %{{x:g}}: %{{y:.3f}} [%{{customdata[0]:.3f}}, %{{customdata[1]:.3f}}], "
        "n %{customdata[2]}<extra></extra>",
    )
    if axis in line.fits:
        verdict = line.fits[axis]
        x = np.linspace(strengths[0], strengths[-1], _SMOOTH)
        figure.add_scatter(
            x=x.tolist(),
            y=verdict.theory(x).tolist(),
            name=f"{verdict.theory.name} fit" + ("" if verdict.holds else ", does not hold"),
            mode="lines",
            line={"color": hue, "width": 1.8, "dash": "solid" if verdict.holds else "dot"},
            hoverinfo="skip",
        )


def _levels(figure: go.Figure, line: Line, unsteered: Mapping[str, Estimate]) -> None:
    """Where the unsteered model stands, for curves without a 0 of their own."""
    if 0.0 in line.curve.strengths and line.curve.key != "affine":
        return
    for axis in AXES:
        if axis in unsteered:
            figure.add_hline(y=unsteered[axis].value, line={**RULE, "color": HUES[axis]})


def _plane_line(figure: go.Figure, line: Line, hue: str, dash: str, *, faint: bool = False) -> None:
    points = line.points
    both = [[point.values[axis].value for point in points] for axis in AXES]
    figure.add_scatter(
        x=both[0],
        y=both[1],
        name=line.curve.floor.several if line.curve.floor else line.curve.title,
        legendgroup="floor" if faint else line.curve.key,
        showlegend=not faint or line.curve.key.endswith(" 0"),
        mode="lines" if faint else "lines+markers",
        opacity=0.45 if faint else 1.0,
        line={"color": hue, "dash": dash, "width": 1 if faint else 2},
        marker={"size": 6, "color": hue},
        error_x=None if faint else _thin([point.values["alignment"] for point in points], hue),
        error_y=None if faint else _thin([point.values["helpfulness"] for point in points], hue),
        customdata=[[point.strength, point.n["alignment"], point.n["helpfulness"]] for point in points],
        hovertemplate=f"{line.curve.title} at %{{customdata[0]:g}}: alignment %{{x:.3f}} (n %{{customdata[1]}}), "
        "helpfulness %{y:.3f} (n %{customdata[2]})<extra></extra>",
    )


def _gaining(line: Line) -> Iterator[Point]:
    """Points on the side that gains alignment, by KL, from 0 on."""
    up, down = (
        max((p.changes["alignment"].value for p in line.points if p.strength * side > 0), default=-math.inf)
        for side in (1, -1)
    )
    side = 1 if up >= down else -1
    chosen = [point for point in line.points if point.strength * side >= 0 and not math.isnan(point.kl_p95)]
    yield from sorted(chosen, key=lambda point: abs(point.strength))


def _area(
    figure: go.Figure,
    x: Sequence[float],
    low: Iterable[float],
    high: Iterable[float],
    hue: str,
) -> None:
    figure.add_scatter(
        x=[*x, *list(x)[::-1]],
        y=[*map(float, high), *map(float, list(low)[::-1])],
        mode="lines",
        fill="toself",
        fillcolor=hue,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _label(figure: go.Figure, x: float, y: float, text: str, anchor: str, *, yref: str = "y") -> None:
    figure.add_annotation(
        x=x,
        y=y,
        yref=yref,
        text=text,
        showarrow=False,
        xanchor=anchor,
        yanchor="bottom",
        xshift=4 if anchor == "left" else -4,
        font={"size": 11, "color": INK},
    )


def _thin(values: Sequence[Estimate], hue: str) -> dict[str, object]:
    return {**error_bars(values, 1), "color": hue, "thickness": 0.8}


def _faint(hue: str) -> str:
    red, green, blue = (int(hue[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _range(line: Line) -> list[float]:
    values = [point.values[axis] for point in line.points for axis in AXES]
    return [min(-0.05, min(v.low for v in values) - 0.08), max(1.05, max(v.high for v in values) + 0.05)]


def _where(line: Line) -> str:
    """The blocks that a curve writes."""
    plans = [treatment.plan for treatment in line.curve.treatments if treatment.plan]
    blocks = sorted({write.block for plan in plans for write in plan})
    if not blocks:
        return "nothing written"
    return f"block {blocks[0]}" if len(blocks) == 1 else f"blocks {blocks[0]} to {blocks[-1]}"
