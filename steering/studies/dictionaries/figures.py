"""Figures of trainings, from the tables of their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import INK, RECIPE_A, RULE, styled


Drawn = tuple[str, go.Figure, str]
"""Title, figure and caption."""


def training_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """The curve of a training, and what is left on held-out texts."""
    yield curve_drawn(tables["curve"], tables["held_out"])


def curve_drawn(curve: pd.DataFrame, held_out: pd.DataFrame) -> Drawn:
    """The share of the variance that is left unexplained, step by step.

    Args:
        curve: Columns `step` and `variance_left`.
        held_out: A row a dictionary; the last one is the random one.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=curve["step"].tolist(),
        y=curve["variance_left"].tolist(),
        mode="lines+markers",
        line={"color": RECIPE_A, "width": 1.8},
        marker={"color": RECIPE_A, "size": 6},
        hovertemplate="step %{x}: %{y:.3f} of the variance left<extra></extra>",
    )
    rows = held_out.to_dict("records")
    for row, line in ((rows[0], {"color": INK, "width": 1.5, "dash": "dash"}), (rows[-1], RULE)):
        if row["explained_variance"] is not None and row["explained_variance"] == row["explained_variance"]:
            figure.add_hline(y=1 - row["explained_variance"], line=line)
    figure = styled(figure, "step", "share of variance left").update_layout(height=300)
    figure.update_xaxes(dtick=None)
    figure.update_yaxes(range=[0, max(1.0, float(curve["variance_left"].max()))])
    caption = (
        f"Line: the batch of each step; dashed: on {int(rows[0]['tokens']):,} held-out tokens; dotted: a random "
        "dictionary of as many active features there."
    )
    return "Variance left over the training", figure, caption


def crosscoder_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """The curve of a crosscoder's training, and how its features are shared."""
    yield norms_drawn(tables["norms"], tables["held_out"])
    yield curve_drawn(tables["curve"], tables["held_out"])


def norms_drawn(norms: pd.DataFrame, held_out: pd.DataFrame) -> Drawn:
    """How many features have which relative norm of their two decoders.

    Args:
        norms: Columns `from`, `to`, `features`, `dead`.
        held_out: Whose first rows name the models, base first.
    """
    base, tuned = held_out["model"].tolist()[:2]
    figure = go.Figure()
    figure.add_bar(
        x=[f"{each:.2f}" for each in norms["from"]],  # names, so that bars stand side by side
        y=norms["features"].tolist(),
        marker={"color": RECIPE_A},
        customdata=norms[["from", "to"]].to_numpy().tolist(),
        hovertemplate="relative norm %{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} features<extra></extra>",
    )
    figure = styled(figure, f"relative decoder norm, from … on (0: {base} alone, 1: {tuned} alone)", "features")
    figure.update_layout(height=320)
    figure.update_xaxes(dtick=None)
    caption = (
        f"n = {int(norms['features'].sum()):,} features that are active on held-out tokens, "
        f"{int(norms['dead'].sum()):,} dead ones left out. ½ ((norm in {tuned} - norm in {base}) / the larger of them "
        "+ 1), each beside how much its model's states vary: at ½ a feature is shared alike."
    )
    return "Features by model", figure, caption
