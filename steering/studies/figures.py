"""What figures of several studies have in common: curves with intervals, bands, and the AUROC of several vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, product
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from steering.extraction import METHODS
from steering.figures.styling import FLOOR, LEGEND, SEVERAL, error_bars, styled
from steering.statistics import Estimate
from steering.vectors.vector import SteeringVector


Drawn = tuple[str, go.Figure, str]
"""Title, figure and caption."""
BAND = "rgba(139,144,152,0.28)"
LAYOUT: dict[str, Any] = {"height": 340, "showlegend": True, "legend": LEGEND}
_DASHES = ("solid", "dash", "dot")


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
    return figure.update_layout(showlegend=True, height=300, legend=LEGEND)


def area(
    figure: go.Figure, x: Iterable[float], low: Iterable[float], high: Iterable[float], fill: str, name: str
) -> None:
    """Draw a band from low to high over x."""
    xs, lows, highs = (list(map(float, each)) for each in (x, low, high))
    figure.add_scatter(
        x=[*xs, *xs[::-1]],
        y=[*highs, *lows[::-1]],
        mode="lines",
        fill="toself",
        fillcolor=fill,
        line={"width": 1, "color": fill},
        name=name,
        showlegend=bool(name),
        hoverinfo="skip",
    )


def curve(figure: go.Figure, x: Iterable[float], values: Sequence[Estimate], name: str, hue: str) -> None:
    """Draw values with their intervals over x."""
    figure.add_scatter(
        x=list(map(float, x)),
        y=[each.value for each in values],
        name=name,
        mode="lines+markers",
        line={"color": hue, "width": 1.8},
        marker={"color": hue, "size": 6},
        error_y=error_bars(values, 1),
        customdata=[[each.low, each.high] for each in values],
        hovertemplate=f"{name} at %{{x:.4g}}: %{{y:.3f}} [%{{customdata[0]:.3f}}, %{{customdata[1]:.3f}}]"
        "<extra></extra>",
    )


def estimates_of(rows: pd.DataFrame, name: str) -> list[Estimate]:
    """The number of a name in each row, with its interval."""
    return [estimate_of(row, name) for row in rows.to_dict("records")]


def estimate_of(row: Mapping[Any, Any], name: str) -> Estimate:
    """The number of a name in a row of a table, with its interval from the columns beside it."""
    return Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
