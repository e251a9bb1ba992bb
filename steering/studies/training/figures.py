"""Figures of a comparison of losses, from its tables alone: what each gains, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, RECIPE_A, SEVERAL, UNSTEERED, error_bars, styled
from steering.studies.figures import LAYOUT, Drawn, estimates_of


_ROW = 26
_CURVES = {
    "loss": ("Loss over the training", "loss", "validation_loss"),
    "margin": ("Margin over the training", "margin, nats", "validation_margin"),
}
_GREY = {"none": UNSTEERED, "random": FLOOR, "shuffled": FLOOR, "mean_difference": "#009e73"}


def train_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """Title, figure and caption of each."""
    rows, curve = tables["methods"], tables["curve"]
    judged = bool(rows["mark"].notna().any())
    what, axis = ("mark", "mean mark of held-out replies") if judged else ("margin", "held-out margin, nats")
    n = int(rows["prompts" if judged else "examples"].max())
    caption = (
        f"n = {n} held-out {'prompts' if judged else 'examples'}; 95 % intervals by bootstrap. Grey: random directions "
        "and shuffled labels."
    )
    yield "What each gains", _gains(rows, what, axis), caption
    for column, (title, label, watched) in _CURVES.items():
        said = "Lines: the batch of each step; dots: held-out examples that choose the step. Margin: how much likelier "
        said += "chosen replies became, less rejected ones (rlvr: the mean reward)."
        yield title, _curve(curve, column, label, watched), said
    if curve["kl"].notna().any():
        caption = "95th percentile over tokens of KL, before the length is set anew; every ten steps."
        yield "KL over the training", _kl(curve), caption


def _gains(rows: pd.DataFrame, what: str, axis: str) -> go.Figure:
    """One row a method, the best above."""
    rows = rows.sort_values(what, kind="stable")
    values, titles = estimates_of(rows, what), rows["title"].tolist()
    figure = go.Figure()
    figure.add_scatter(
        x=[each.value for each in values],
        y=list(range(len(rows))),
        mode="markers",
        marker={"color": [_GREY.get(kind, RECIPE_A) for kind in rows["kind"]], "size": 9},
        error_x=error_bars(values, 1),
        customdata=[
            [title, each.low, each.high, nats]
            for title, each, nats in zip(titles, values, rows["nats"].tolist(), strict=True)
        ],
        hovertemplate="%{customdata[0]}: %{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}], %{customdata[3]:.2f} "
        "nats<extra></extra>",
        showlegend=False,
    )
    figure = styled(figure, axis, "", y_range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(dtick=None)
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=titles, dtick=None)
    return figure.update_layout(height=110 + _ROW * len(rows), margin={"l": 240, "r": 16, "t": 12, "b": 44})


def _curve(curve: pd.DataFrame, column: str, label: str, watched: str) -> go.Figure:
    figure = go.Figure()
    for hue, (title, rows) in zip(cycle(SEVERAL), curve.groupby("title", sort=False), strict=False):
        figure.add_scatter(
            x=rows["step"].tolist(),
            y=rows[column].tolist(),
            name=str(title),
            mode="lines",
            line={"color": hue, "width": 1.4},
            hovertemplate=f"{title}, step %{{x}}: %{{y:.3g}}<extra></extra>",
        )
        seen = rows[rows[watched].notna()]
        if len(seen):
            figure.add_scatter(
                x=seen["step"].tolist(),
                y=seen[watched].tolist(),
                mode="markers",
                marker={"color": hue, "size": 6},
                hovertemplate=f"{title}, held out, step %{{x}}: %{{y:.3g}}<extra></extra>",
                showlegend=False,
            )
    figure = styled(figure, "step", label).update_layout(**LAYOUT)
    figure.update_xaxes(dtick=None)
    return figure


def _kl(curve: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    seen = curve[curve["kl"].notna()]
    for hue, (title, rows) in zip(cycle(SEVERAL), seen.groupby("title", sort=False), strict=False):
        figure.add_scatter(
            x=rows["step"].tolist(),
            y=rows["kl"].tolist(),
            name=str(title),
            mode="lines+markers",
            line={"color": hue, "width": 1.4},
            marker={"color": hue, "size": 5},
            hovertemplate=f"{title}, step %{{x}}: %{{y:.3g}} nats<extra></extra>",
        )
    figure = styled(figure, "step", "KL, nats").update_layout(**LAYOUT)
    figure.update_xaxes(dtick=None)
    return figure
