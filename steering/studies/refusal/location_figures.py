"""Figures of where refusal lives: along the direction, in two probes, in the decisions, among the candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from torch import Tensor

from steering.figures.styling import LEGEND, RECIPE_A, RULE, SEVERAL, error_bars, styled
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.figures import DIVERGING, GROUPS, colour_bar
from steering.studies.refusal.location import GOOD_F1, Drift, Projection, Surrogate, TwoProbes
from steering.studies.refusal.replies import Said


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
        colorscale=DIVERGING,
        zmin=-limit,
        zmax=limit,
        xgap=1,
        ygap=1,
        colorbar=colour_bar("cosine"),
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
        hue = GROUPS[place % len(GROUPS)]
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
        getattr(figure, f"add_{line}")(**{line[0].replace("h", "y").replace("v", "x"): 0.5}, line=RULE)
    figure = styled(figure, "harmfulness at the last instruction token", "refusal at the direction's own token")
    return figure.update_layout(showlegend=True, height=380, legend=LEGEND)


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
            error_y=error_bars(found.f1, 1),
            hovertemplate="after block %{x}: F1 %{y:.2f}<extra></extra>",
        )
        figure.add_hline(y=GOOD_F1, line=RULE)
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
    return figure.update_layout(showlegend=True, height=300, legend=LEGEND)


def cosine_map(candidates: Sequence[Candidate], cosines: Tensor) -> go.Figure:
    """Cosine of every two candidates."""
    names = [f"{each.position}/{each.block}" for each in candidates]
    figure = go.Figure()
    figure.add_heatmap(
        x=names,
        y=names,
        z=[[None if math.isnan(each) else each for each in row] for row in cosines.tolist()],
        colorscale=DIVERGING,
        zmin=-1,
        zmax=1,
        colorbar=colour_bar("cosine"),
        hovertemplate="%{x} and %{y}: cosine %{z:.2f}<extra></extra>",
    )
    figure = styled(figure, "candidate, token/block", "candidate, token/block")
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(type="category", autorange="reversed")
    return figure.update_layout(height=420, margin={"l": 72, "r": 16, "t": 12, "b": 72})
