"""Plotly figures of a vector: how well it separates, and how long it is, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from steering.figures.styling import FLOOR, INK, RECIPE_A, styled


if TYPE_CHECKING:
    from steering.vectors.vector import SteeringVector


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
