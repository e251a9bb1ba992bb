"""Figures of an attribution from its tables alone: what was foretold and what is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, RECIPE_A, error_bars, styled
from steering.numbers import counted
from steering.statistics import Estimate
from steering.studies.features.cause_figures import agreement_figure


_ROW = 34


def attribution_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, go.Figure, str]]:
    """Title, figure and caption of each."""
    features = tables["features"]
    caption = (
        f"{counted(len(features), 'feature')} of one prompt, each switched off alone: what it adds by two first-order "
        "readings, against what is gone without it; open: random features; dotted: foretold as measured."
    )
    yield "Foretold and measured", agreement_figure(features), caption
    replaced = tables.get("replaced")
    if replaced is not None and len(replaced):
        caption = (
            f"KL from the unchanged model, mean over {int(replaced['tokens'].max()):,} tokens; bars: 95 % intervals by "
            "bootstrap over texts; grey: what stands in without any dictionary."
        )
        yield "What it costs to put the dictionary in place of what it describes", _replaced(replaced), caption


def _replaced(rows: pd.DataFrame) -> go.Figure:
    titles = list(rows["in_words"])[::-1]
    figure = go.Figure()
    for row in rows.to_dict("records"):
        value = Estimate(*(float(row[f"kl_mean{end}"]) for end in ("", "_low", "_high")))
        figure.add_scatter(
            x=[value.value],
            y=[titles.index(row["in_words"])],
            name=row["in_words"],
            mode="markers",
            marker={"color": RECIPE_A if row["treatment"] == "dictionary" else FLOOR, "size": 9},
            error_x=error_bars([value], 1),
            customdata=[[row["kl_p95"], 100 * row["same_token"]]],
            hovertemplate=f"{row['in_words']}: %{{x:.3g}} nats, 95th percentile %{{customdata[0]:.3g}}; "
            "likeliest token stays at %{customdata[1]:.0f} %<extra></extra>",
        )
    figure = styled(figure, "mean KL a token, nats", "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(dtick=None, rangemode="tozero")
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(titles))), ticktext=titles, dtick=None)
    return figure.update_layout(height=110 + _ROW * len(titles), margin={"l": 190, "r": 16, "t": 12, "b": 44})
