"""Plotly figures of results: transparent ground, and one meaning per colour in light and dark alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, product

import plotly.graph_objects as go

from steering.extraction import METHODS
from steering.statistics import Estimate
from steering.vectors.vector import SteeringVector


RECIPE_A = "#0072b2"
"""Okabe-Ito blue: the vector at hand."""
SEVERAL = (RECIPE_A, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe-Ito, without the yellow that a light ground swallows."""
_DASHES = ("solid", "dash", "dot")
HELPFULNESS = "#e69f00"
"""The fixed hue of helpfulness; that of alignment is `ALIGNMENT`."""
ALIGNMENT = "#cc79a7"
UNSTEERED = "#7a8794"
FLOOR = "#8b9098"
INK = "#7d838c"
"""Grey that reads on a light and on a dark ground, since a figure does not know which one it will stand on."""
RULE = {"color": FLOOR, "width": 1, "dash": "dot"}
"""A thin line for a bound or for chance."""
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 11}}
"""A legend above the figure."""


def auroc_by_block(vector: SteeringVector) -> go.Figure:
    """Held-out AUROC at every block with its 95 % interval, and chance as a line."""
    assert vector.auroc is not None
    assert vector.auroc_low is not None
    assert vector.auroc_high is not None
    blocks = list(range(vector.n_blocks))
    figure = go.Figure()
    figure.add_scatter(
        x=[*blocks, *blocks[::-1]],
        y=[*vector.auroc_high.tolist(), *vector.auroc_low.tolist()[::-1]],
        mode="lines",
        fill="toself",
        fillcolor="rgba(0,114,178,0.15)",
        line={"width": 0},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=blocks,
        y=vector.auroc.tolist(),
        mode="lines+markers",
        line={"color": RECIPE_A, "width": 2},
        hovertemplate="block %{x}: AUROC %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=0.5, line={"color": FLOOR, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=1, xref="paper", xanchor="left", y=0.5, text="chance", showarrow=False, font={"color": INK, "size": 11}
    )
    _mark_default(figure, vector)
    low = min(0.4, float(vector.auroc_low.min()) - 0.05)
    return styled(figure, "block", "held-out AUROC", y_range=[low, 1.03])


def auroc_of_several(vectors: Mapping[str, SteeringVector]) -> go.Figure:
    """Held-out AUROC at every block of several vectors, controls in grey, and chance as a line."""
    figure, hues, greys = go.Figure(), cycle(product(_DASHES, SEVERAL)), cycle(_DASHES)
    for name, vector in vectors.items():
        if vector.auroc is None:
            continue
        made = METHODS.get(vector.provenance.method)
        control = made is not None and made.control
        dash, hue = (next(greys), FLOOR) if control else next(hues)
        figure.add_scatter(
            x=list(range(vector.n_blocks)),
            y=vector.auroc.tolist(),
            name=name,
            mode="lines+markers",
            line={"color": hue, "dash": dash, "width": 1.5 if control else 2},
            hovertemplate=f"{name}, block %{{x}}: AUROC %{{y:.3f}}<extra></extra>",
        )
    figure.add_hline(y=0.5, line={"color": FLOOR, "width": 1, "dash": "dot"})
    lowest = min((min(line.y) for line in figure.data), default=0.5)
    figure = styled(figure, "block", "held-out AUROC", y_range=[min(0.4, lowest - 0.05), 1.03])
    return figure.update_layout(
        showlegend=True, height=300, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 11}}
    )


def norms_by_block(vector: SteeringVector) -> go.Figure:
    """Mean difference as a share of the mean residual norm at every block."""
    share = (100 * vector.mean_differences / vector.residual_norms).tolist()
    figure = go.Figure()
    figure.add_bar(
        x=list(range(vector.n_blocks)),
        y=share,
        marker={
            "color": [RECIPE_A if b == vector.default_block else "rgba(0,114,178,0.45)" for b in range(vector.n_blocks)]
        },
        customdata=list(zip(vector.mean_differences.tolist(), vector.residual_norms.tolist(), strict=True)),
        hovertemplate="block %{x}: %{y:.1f} %<br>%{customdata[0]:.3g} of %{customdata[1]:.3g} raw<extra></extra>",
    )
    return styled(figure, "block", "% of residual norm", y_range=[0, max(share) * 1.1 or 1])


def _mark_default(figure: go.Figure, vector: SteeringVector) -> None:
    figure.add_vline(x=vector.default_block, line={"color": FLOOR, "width": 1})
    figure.add_annotation(
        x=vector.default_block,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=f"default block {vector.default_block}",
        showarrow=False,
        font={"color": INK, "size": 11},
    )


def styled(figure: go.Figure, x: str, y: str, *, y_range: list[float] | None = None) -> go.Figure:
    """The common layout: transparent ground, grey ink, thin lines, titled axes."""
    axis = {
        "gridcolor": "rgba(125,131,140,0.2)",
        "zeroline": False,
        "title": {"font": {"size": 12}},
        "tickfont": {"size": 11},
    }
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "family": "Inter, 'Segoe UI', system-ui, sans-serif"},
        margin={"l": 56, "r": 48, "t": 20, "b": 44},
        height=240,
        showlegend=False,
        xaxis={
            **axis,
            "title": {"text": x, "font": {"size": 12}},
            "dtick": 1 if figure.data and figure.data[-1].x and len(figure.data[-1].x) <= 16 else None,
        },
        yaxis={**axis, "title": {"text": y, "font": {"size": 12}}, "range": y_range},
    )
    return figure


def error_bars(values: Sequence[Estimate], scale: float) -> dict[str, object]:
    """The 95 % intervals of some values as a plotly error bar."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (each.high - each.value) for each in values],
        "arrayminus": [scale * (each.value - each.low) for each in values],
        "thickness": 1.5,
        "width": 0,
    }
