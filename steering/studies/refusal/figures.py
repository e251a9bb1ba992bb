"""The study's figures: candidates as a map, effects with intervals and random floors, and where refusal lives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from torch import Tensor

from steering.figures import ALIGNMENT, FLOOR, HELPFULNESS, INK, RECIPE_A, SEVERAL, styled
from steering.statistics import Estimate
from steering.studies.refusal.arms import FLOORS, NONE
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.location import GOOD_F1, Drift, Projection, Surrogate, TwoProbes
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.replies import Said
from steering.studies.refusal.rules import By, Choice, Rules, Score


SCORES = {
    "bypass": ("Bypass: refusal that is left when it is ablated", "log-odds", "lower is better"),
    "induce": ("Induce: refusal that adding it brings", "log-odds", "higher is better"),
    "kl": ("KL on harmless first tokens when it is ablated", "nats", "lower is better"),
    "cosmic": ("COSMIC: states like the other side's", "sum of two cosines", "higher is better"),
}
"""Title, unit and reading of each score's map."""
_DIVERGING = [[0.0, "#0072b2"], [0.5, "rgba(139,144,152,0.10)"], [1.0, "#d55e00"]]
_RISING = [[0.0, "rgba(0,114,178,0.08)"], [1.0, "#0072b2"]]
_GROUPS = (ALIGNMENT, HELPFULNESS, SEVERAL[5])
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
        colorscale=_DIVERGING if signed else _RISING,
        zmin=-limit if signed else min(known, default=0.0),
        zmax=limit,
        xgap=2,
        ygap=2,
        colorbar={
            "thickness": 8,
            "outlinewidth": 0,
            "title": {"text": unit, "side": "right"},
            "tickfont": {"size": 10},
        },
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


def refusal_rates(rates: Sequence[Rates], *, system: bool = False) -> go.Figure:
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
                "color": _GROUPS[place % len(_GROUPS)],
                "size": 9,
                "symbol": ("circle", "square", "diamond")[place % 3],
            },
            error_x=_error([each.refusal for each in of_group], 100),
            customdata=[[each.title, each.n] for each in of_group],
            hovertemplate=f"{group}, %{{customdata[0]}}: %{{x:.0f}} % of %{{customdata[1]}} refused<extra></extra>",
        )
    figure = styled(figure, "requests refused, %", "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(range=[-3, 103], dtick=25)
    return _rows(figure, titles)


def damage(costs: Sequence[Cost]) -> go.Figure:
    """KL from the unedited model on its own replies to harmless requests, over the range of random interventions."""
    shown = [each for each in costs if not each.floor and each.arm != NONE]
    titles = [each.title for each in shown][::-1]
    figure = go.Figure()
    for each in shown:
        floor = [r.kl_mean.value for r in costs if r.floor == FLOORS.get(each.arm)]
        if floor:
            _band(figure, titles.index(each.title), min(floor), max(floor), half=0.3)
    figure.add_scatter(
        x=[each.kl_mean.value for each in shown],
        y=[titles.index(each.title) for each in shown],
        mode="markers",
        marker={"color": RECIPE_A, "size": 9},
        error_x=_error([each.kl_mean for each in shown], 1),
        customdata=[[each.title, each.kl_p95] for each in shown],
        hovertemplate="%{customdata[0]}: mean %{x:.3g} nats, 95th percentile %{customdata[1]:.3g}<extra></extra>",
    )
    figure = styled(figure, "mean KL a token, nats (log scale)", "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(type="log", dtick=1, tickangle=0)
    return _rows(figure, titles).update_layout(showlegend=False)


def projection_map(found: Projection) -> go.Figure:
    """Cosine of the state with the direction at every token and block of one rendered prompt."""
    tokens = [f"{place} {token!r}" for place, token in enumerate(found.prompt.tokens)]
    figure = go.Figure()
    limit = float(found.cosine.abs().max())
    figure.add_heatmap(
        x=tokens,
        y=list(range(found.cosine.shape[1])),
        z=found.cosine.T.tolist(),
        customdata=found.raw.T.tolist(),
        colorscale=_DIVERGING,
        zmin=-limit,
        zmax=limit,
        xgap=1,
        ygap=1,
        colorbar={
            "thickness": 8,
            "outlinewidth": 0,
            "title": {"text": "cosine", "side": "right"},
            "tickfont": {"size": 10},
        },
        hovertemplate="token %{x}, input of block %{y}: cosine %{z:.2f}, %{customdata:.3g} raw<extra></extra>",
    )
    figure = styled(figure, "token of the rendered prompt", "block (its input)")
    figure.update_xaxes(tickangle=-60, tickfont={"size": 10})
    return figure.update_layout(height=300, margin={"l": 56, "r": 16, "t": 12, "b": 110})


def two_probe_chart(probes: TwoProbes, said: Sequence[Said]) -> go.Figure:
    """Every test request by harmfulness and by refusal; filled where the model refused."""
    figure = go.Figure()
    for place, group in enumerate(dict.fromkeys(each.group for each in said)):
        picked = [index for index, each in enumerate(said) if each.group == group]
        hue = _GROUPS[place % len(_GROUPS)]
        shape = ("circle", "square", "diamond")[place % 3]
        figure.add_scatter(
            x=[probes.harmfulness[index] for index in picked],
            y=[probes.refusal[index] for index in picked],
            name=group,
            mode="markers",
            marker={
                "color": hue,
                "size": 8,
                "symbol": [shape if said[index].refusal else f"{shape}-open" for index in picked],
                "line": {"width": 1.2, "color": hue},
            },
            customdata=[[said[index].prompt, "refused" if said[index].refusal else "answered"] for index in picked],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra>" + group + "</extra>",
        )
    for line in ("hline", "vline"):
        getattr(figure, f"add_{line}")(**{line[0].replace("h", "y").replace("v", "x"): 0.5}, line=_RULE)
    figure = styled(figure, "harmfulness at the last instruction token", "refusal at the direction's own token")
    return figure.update_layout(showlegend=True, height=380, legend=_LEGEND)


def by_block(found: Surrogate, moved: Drift | None) -> go.Figure:
    """F1 of the surrogate classifier at every block, and the cosine with the aligned base."""
    figure = go.Figure()
    if found.f1:
        blocks = list(range(len(found.f1)))
        figure.add_scatter(
            x=blocks,
            y=[each.value for each in found.f1],
            name="F1 of the model's own refusals",
            mode="lines+markers",
            line={"color": RECIPE_A, "width": 2},
            error_y=_error(found.f1, 1),
            hovertemplate="after block %{x}: F1 %{y:.2f}<extra></extra>",
        )
        figure.add_hline(y=GOOD_F1, line=_RULE)
    if moved:
        for values, name, hue in (
            (moved.target, f"cosine with {moved.reference}: mean state", SEVERAL[1]),
            (moved.difference, f"cosine with {moved.reference}: mean difference", SEVERAL[2]),
        ):
            figure.add_scatter(
                x=list(range(len(values))),
                y=list(values),
                name=name,
                mode="lines+markers",
                line={"color": hue, "dash": "dash"},
            )
    lowest = min([0.0, *(moved.target if moved else ()), *(moved.difference if moved else ())])
    figure = styled(figure, "block (its output)", "F1, or cosine", y_range=[lowest - 0.05, 1.05])
    return figure.update_layout(showlegend=True, height=300, legend=_LEGEND)


def cosine_map(candidates: Sequence[Candidate], cosines: Tensor) -> go.Figure:
    """Cosine of every two candidates."""
    names = [f"{each.position}/{each.block}" for each in candidates]
    figure = go.Figure()
    figure.add_heatmap(
        x=names,
        y=names,
        z=[[None if math.isnan(each) else each for each in row] for row in cosines.tolist()],
        colorscale=_DIVERGING,
        zmin=-1,
        zmax=1,
        colorbar={
            "thickness": 8,
            "outlinewidth": 0,
            "title": {"text": "cosine", "side": "right"},
            "tickfont": {"size": 10},
        },
        hovertemplate="%{x} and %{y}: cosine %{z:.2f}<extra></extra>",
    )
    figure = styled(figure, "candidate, token/block", "candidate, token/block")
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(type="category", autorange="reversed")
    return figure.update_layout(height=420, margin={"l": 72, "r": 16, "t": 12, "b": 72})


_RULE = {"color": FLOOR, "width": 1, "dash": "dot"}
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 11}}


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


def _error(values: Sequence[Estimate], scale: float) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (each.high - each.value) for each in values],
        "arrayminus": [scale * (each.value - each.low) for each in values],
        "thickness": 1.5,
        "width": 0,
    }


def _rows(figure: go.Figure, titles: Sequence[str]) -> go.Figure:
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(titles))), ticktext=list(titles), dtick=None)
    return figure.update_layout(
        showlegend=True,
        height=120 + _ROW * max(1, len(titles)),
        margin={"l": 210, "r": 16, "t": 12, "b": 44},
        legend=_LEGEND,
    )
