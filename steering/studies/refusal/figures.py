"""The study's figures: candidates as a map, effects with intervals and random floors, and where refusal lives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go

from steering.figures.styling import ALIGNMENT, HELPFULNESS, INK, LEGEND, RECIPE_A, SEVERAL, error_bars, styled
from steering.statistics import Estimate
from steering.studies.refusal.arms import FLOORS, NONE
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.rules import By, Choice, Rules, Score


class Named(Protocol):
    """What every figure says of an intervention."""

    @property
    def arm(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def floor(self) -> str: ...


class Rated(Named, Protocol):
    """What is drawn of the rates of an intervention (`Rates`)."""

    @property
    def group(self) -> str: ...
    @property
    def system(self) -> bool: ...
    @property
    def n(self) -> int: ...
    @property
    def refusal(self) -> Estimate: ...


class Costed(Named, Protocol):
    """What is drawn of the cost of an intervention (`Cost`)."""

    @property
    def kl_mean(self) -> Estimate: ...
    @property
    def kl_p95(self) -> float: ...


SCORES = {
    "bypass": ("Bypass: refusal that is left when it is ablated", "log-odds", "lower is better"),
    "induce": ("Induce: refusal that adding it brings", "log-odds", "higher is better"),
    "kl": ("KL on harmless first tokens when it is ablated", "nats", "lower is better"),
    "cosmic": ("COSMIC: states like the other side's", "sum of two cosines", "higher is better"),
}
"""Title, unit and reading of each score's map."""
DIVERGING = [[0.0, "#0072b2"], [0.5, "rgba(139,144,152,0.10)"], [1.0, "#d55e00"]]
_RISING = [[0.0, "rgba(0,114,178,0.08)"], [1.0, "#0072b2"]]
GROUPS = (ALIGNMENT, HELPFULNESS, SEVERAL[5])
LEAST_NATS = 0.0001
"""Where the axis of costs begins."""
_DECADES = (0.0001, 0.001, 0.01, 0.1, 1, 10)
_ROW = 34
_LABEL = 13


def score_map(
    name: str, scores: Sequence[Score], rules: Rules, blocks: int, by: By, choice: Choice | None
) -> go.Figure:
    """One score at every token and block; dropped candidates are crossed out, the chosen one is ringed."""
    _, unit, _ = SCORES[name]
    tokens = {score.candidate.position: score.token for score in scores}
    positions = sorted(tokens)
    labels = [f"{position} {_short(tokens[position])}" for position in positions]
    value = {score.candidate: getattr(score, name) for score in scores}
    z = [[value.get(Candidate(position, block)) for block in range(blocks)] for position in positions]
    figure = go.Figure()
    known = [each for row in z for each in row if each is not None and math.isfinite(each)]
    limit = max(map(abs, known), default=1.0)
    signed = name in ("bypass", "induce")
    figure.add_heatmap(
        x=list(range(blocks)),
        y=labels,
        z=z,
        colorscale=DIVERGING if signed else _RISING,
        zmin=-limit if signed else min(known, default=0.0),
        zmax=limit,
        xgap=2,
        ygap=2,
        colorbar=colour_bar(unit),
        hovertemplate="token %{y}, block %{x}: %{z:.3g} " + unit + "<extra></extra>",
    )
    dropped = [score for score in scores if score.reasons(rules, blocks, by)]
    figure.add_scatter(
        x=[score.candidate.block for score in dropped],
        y=[labels[positions.index(score.candidate.position)] for score in dropped],
        mode="markers",
        marker={"symbol": "x-thin", "size": 9, "line": {"width": 1.5, "color": INK}},
        hovertext=["dropped: " + "; ".join(score.reasons(rules, blocks, by)) for score in dropped],
        hoverinfo="text",
    )
    if choice is not None:
        place = choice.score.candidate
        figure.add_scatter(
            x=[place.block],
            y=[labels[positions.index(place.position)]],
            mode="markers",
            marker={"symbol": "circle-open", "size": 20, "color": INK, "line": {"width": 2.5}},
            hovertext=["chosen" if choice.passes else "best of those dropped"],
            hoverinfo="text",
        )
    figure = styled(figure, "block", "")
    return figure.update_layout(height=110 + _ROW * len(positions), margin={"l": 104, "r": 16, "t": 12, "b": 44})


def refusal_rates(rates: Sequence[Rated], *, system: bool = False) -> go.Figure:
    """Share of refused requests under every intervention, with Wilson's interval, over the range of random ones."""
    shown = [each for each in rates if not each.floor and each.system == system]
    titles = list(dict.fromkeys(each.title for each in shown))[::-1]
    groups = list(dict.fromkeys(each.group for each in shown))
    figure = go.Figure()
    for title in titles:
        arm = next(each.arm for each in shown if each.title == title)
        for place, group in enumerate(groups):
            floor = [
                r.refusal.value for r in rates if r.floor == FLOORS.get(arm) and r.group == group and r.system == system
            ]
            if floor:
                _band(figure, titles.index(title) + _offset(place, groups), 100 * min(floor), 100 * max(floor))
    for place, group in enumerate(groups):
        of_group = [each for each in shown if each.group == group]
        figure.add_scatter(
            x=[100 * each.refusal.value for each in of_group],
            y=[titles.index(each.title) + _offset(place, groups) for each in of_group],
            name=group,
            mode="markers",
            marker={
                "color": GROUPS[place % len(GROUPS)],
                "size": 9,
                "symbol": ("circle", "square", "diamond")[place % 3],
            },
            error_x=error_bars([each.refusal for each in of_group], 100),
            customdata=[[each.title, each.n] for each in of_group],
            hovertemplate=f"{group}, %{{customdata[0]}}: %{{x:.0f}} % of %{{customdata[1]}} refused<extra></extra>",
        )
    figure = styled(figure, "requests refused, %", "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(range=[-3, 103], dtick=25)
    return _rows(figure, titles)


def damage(costs: Sequence[Costed]) -> go.Figure:
    """KL from the unedited model on its own replies to harmless requests, over the range of random interventions.

    The axis is logarithmic and begins at `LEAST_NATS`: what lies under it is as good as nothing, and stands there.
    """
    shown = [each for each in costs if not each.floor and each.arm != NONE]
    titles = [each.title for each in shown][::-1]
    figure = go.Figure()
    for each in shown:
        floor = [max(r.kl_mean.value, LEAST_NATS) for r in costs if r.floor == FLOORS.get(each.arm)]
        if floor:
            _band(figure, titles.index(each.title), min(floor), max(floor), half=0.3)
    means = [Estimate(*(max(value, LEAST_NATS) for value in each.kl_mean)) for each in shown]
    figure.add_scatter(
        x=[each.value for each in means],
        y=[titles.index(each.title) for each in shown],
        mode="markers",
        marker={"color": RECIPE_A, "size": 9},
        error_x=error_bars(means, 1),
        hovertext=[
            f"{each.title}: mean {_nats(each.kl_mean.value)}, 95th percentile {_nats(each.kl_p95)}" for each in shown
        ],
        hoverinfo="text",
    )
    figure = styled(figure, "mean KL a token, nats (log scale)", "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(type="log", tickvals=list(_DECADES), ticktext=[f"{each:g}" for each in _DECADES], tickangle=0)
    return _rows(figure, titles).update_layout(showlegend=False)


def _nats(value: float) -> str:
    """As a reader needs it; NaN is what was not measured."""
    if math.isnan(value):
        return "not measured"
    return f"{value:.3g} nats" if value >= LEAST_NATS else f"under {LEAST_NATS:g} nats"


def _short(token: str) -> str:
    """A token as an axis label."""
    text = repr(token)[1:-1]
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def _band(figure: go.Figure, y: float, low: float, high: float, half: float = 0.09) -> None:
    """The range of random interventions, at least visible where it is a point."""
    figure.add_shape(
        type="rect",
        x0=low,
        x1=high,
        y0=y - half,
        y1=y + half,
        fillcolor="rgba(139,144,152,0.35)",
        line={"width": 3, "color": "rgba(139,144,152,0.35)"},
        layer="below",
    )


def _offset(place: int, groups: Sequence[str]) -> float:
    return 0.24 * ((len(groups) - 1) / 2 - place)


def colour_bar(title: str) -> dict[str, object]:
    """The scale beside a map."""
    named = {"text": title, "side": "right"}
    return {"thickness": 8, "outlinewidth": 0, "title": named, "tickfont": {"size": 10}}


def _rows(figure: go.Figure, titles: Sequence[str]) -> go.Figure:
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(titles))), ticktext=list(titles), dtick=None)
    return figure.update_layout(
        showlegend=True,
        height=120 + _ROW * max(1, len(titles)),
        margin={"l": 210, "r": 16, "t": 12, "b": 44},
        legend=LEGEND,
    )
