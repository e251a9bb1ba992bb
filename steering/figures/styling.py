"""What Plotly figures have in common: transparent ground, and one meaning per colour in light and dark alike."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from steering.statistics import Estimate


RECIPE_A = "#0072b2"
"""Okabe-Ito blue: the vector at hand."""
SEVERAL = (RECIPE_A, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe-Ito, without the yellow that a light ground swallows."""
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


def styled(figure: go.Figure, x: str, y: str, *, y_range: list[float] | None = None) -> go.Figure:
    """The common layout: transparent ground, grey ink, thin lines, titled axes."""
    places = figure.data[-1].x if figure.data else None  # a list, or an array
    few = places is not None and 0 < len(places) <= 16
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
            "dtick": 1 if few else None,
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
