"""Figures of what pairs are made and of what they are worth, from the tables of the results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, LEGEND, RECIPE_A, RULE, SEVERAL, styled
from steering.studies.figures import Drawn


def making_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """What became of the requests, and the judge's marks of both replies."""
    outcomes, pairs = tables["outcomes"], tables["pairs"]
    n = int(outcomes["of"].iloc[0])
    dropped = outcomes[(outcomes["n"] > 0) & (outcomes["outcome"] != "kept")]
    meanings = "; ".join(f"{row['outcome']}: {row['meaning']}" for row in dropped.to_dict("records"))
    yield "What became of the requests", outcome_figure(outcomes), f"n = {n} requests. {meanings}."
    judged = pairs[pairs["chosen_mark"].notna()]
    if len(judged):
        caption = f"n = {len(judged)} requests with two replies that can be judged; dotted: both marked alike."
        yield "The judge's marks of both replies", marks_figure(judged), caption


def outcome_figure(outcomes: pd.DataFrame) -> go.Figure:
    """One bar an outcome."""
    figure = go.Figure()
    figure.add_bar(
        x=outcomes["outcome"].tolist(),
        y=outcomes["n"].tolist(),
        marker={"color": [RECIPE_A if each == "kept" else FLOOR for each in outcomes["outcome"]]},
        customdata=outcomes[["meaning"]].to_numpy().tolist(),
        hovertemplate="%{y} requests: %{customdata[0]}<extra></extra>",
    )
    figure = styled(figure, "", "requests")
    figure.update_xaxes(dtick=None)
    return figure


def marks_figure(judged: pd.DataFrame) -> go.Figure:
    """The chosen reply's mark over the rejected one's, kept pairs apart from dropped ones."""
    figure = go.Figure()
    low, high = (float(end(judged[["chosen_mark", "rejected_mark"]].to_numpy().ravel())) for end in (min, max))
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=RULE, name="marked alike", hoverinfo="skip")
    for name, hue, kept in (("kept", RECIPE_A, True), ("dropped", SEVERAL[1], False)):
        rows = judged[(judged["outcome"] == "kept") == kept]
        if len(rows):
            figure.add_scatter(
                x=rows["rejected_mark"].tolist(),
                y=rows["chosen_mark"].tolist(),
                name=name,
                mode="markers",
                marker={"color": hue, "size": 8},
                hovertemplate=f"{name}: plain %{{x:.3g}}, with it %{{y:.3g}}<extra></extra>",
            )
    figure = styled(figure, "judge's mark of the plain reply", "mark of the reply with it")
    figure.update_xaxes(dtick=None)
    return figure.update_layout(showlegend=True, height=320, legend=LEGEND)
