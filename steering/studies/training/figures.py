"""Figures of a comparison of losses, from its tables alone: what each gains, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, RECIPE_A, SEVERAL, UNSTEERED, error_bars, styled
from steering.studies.figures import LAYOUT, Drawn, estimates_of


_ROW = 26
_LETTER = 6
CURVES = {
    "loss": "Loss over the training",
    "margin": "Margin over the training",
    "kl": "KL over the training",
    "mark": "The judge over the training",
}
"""Columns of the table of steps that are drawn, and what each figure is called."""
_AXES = {"loss": "loss", "margin": "margin, nats", "kl": "KL, nats", "mark": "mean mark"}
_CAPTIONS = {
    "loss": "Lines: the batch of each step; dots: examples kept aside to choose the step.",
    "margin": "How much likelier chosen replies became than rejected ones (RLVR: the mean reward). Dots: kept aside.",
    "kl": "95th percentile over tokens, every ten steps, before the budget sets the length anew.",
    "mark": "Mean mark of replies to requests kept aside to choose the step.",
}
_AXIS = {
    "mark": "mean mark of held-out replies",
    "reward": "mean reward of drawn replies to held-out prompts",
    "margin": "held-out margin, nats",
}
"""What methods are held against each other by, the first that is known."""
_SEEN = {"loss": "validation_loss", "margin": "validation_margin"}
"""What is drawn as dots beside a curve."""
_GREY = {"none": UNSTEERED, "random": FLOOR, "shuffled": FLOOR, "mean_difference": "#009e73"}


def train_figures(tables: Mapping[str, pd.DataFrame], budget: float | None) -> Iterator[Drawn]:
    """Title, figure and caption of each.

    Args:
        tables: Of the study.
        budget: What each may cost, in nats; None where costs differ.
    """
    yield gains_figure(tables["methods"])
    yield from curve_figures(tables["curve"], budget)


def gains_figure(rows: pd.DataFrame) -> Drawn:
    """What each method gains, from the table of methods."""
    what = next((name for name in ("mark", "reward") if rows[name].notna().any()), "margin")
    n = int(rows["prompts" if what == "mark" else "examples"].max())
    caption = (
        f"n = {n} held-out {'examples' if what == 'margin' else 'prompts'}; 95 % intervals by bootstrap. Grey: "
        "unsteered, random directions and shuffled labels; green: the mean difference."
    )
    return "What each gains", _gains(rows, what, _AXIS[what]), caption


def curve_figures(curve: pd.DataFrame, budget: float | None) -> Iterator[Drawn]:
    """The way of every training, from the table of steps, perhaps of some that go on; what was not read is left out.

    Args:
        curve: The table.
        budget: What each may cost, in nats, which is drawn beside what it costs; None where costs differ.
    """
    for column, title in CURVES.items():
        if curve[column].notna().any():
            figure, caption = _curve(curve, column), _CAPTIONS[column]
            if column == "kl" and budget is not None:
                figure.add_hline(y=budget, line={"color": UNSTEERED, "width": 1, "dash": "dot"})
                caption += f" Dotted: the budget, {budget:g}."
            yield title, figure, caption


def _gains(rows: pd.DataFrame, what: str, axis: str) -> go.Figure:
    """One row a method, the best above."""
    rows = rows[rows[what].notna()].sort_values([what, "margin"], kind="stable")
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
    return figure.update_layout(
        height=110 + _ROW * len(rows),
        margin={"l": _LETTER * max(map(len, titles), default=0) + 24, "r": 16, "t": 12, "b": 44},
    )


def _curve(curve: pd.DataFrame, column: str) -> go.Figure:
    figure, watched = go.Figure(), _SEEN.get(column, "")
    for hue, (title, rows) in zip(cycle(SEVERAL), curve.groupby("title", sort=False), strict=False):
        known = rows[rows[column].notna()]
        sparse = len(known) < len(rows)
        said = f"{title}, step %{{x}}: %{{y:.3g}}<extra></extra>"
        figure.add_scatter(
            x=known["step"].tolist(),
            y=known[column].tolist(),
            name=str(title),
            mode="lines+markers" if sparse else "lines",
            line={"color": hue, "width": 1.4},
            marker={"color": hue, "size": 5},
            hovertemplate=said,
        )
        seen = rows[rows[watched].notna()] if watched else rows[:0]
        if len(seen):
            figure.add_scatter(
                x=seen["step"].tolist(),
                y=seen[watched].tolist(),
                mode="markers",
                marker={"color": hue, "size": 6},
                hovertemplate=f"kept aside, {said}",
                showlegend=False,
            )
    figure = styled(figure, "step", _AXES[column]).update_layout(**LAYOUT)
    last = max(1.0, float(curve["step"].max()))
    figure.update_xaxes(dtick=None, range=[0, last])
    return figure.update_layout(height=260)
