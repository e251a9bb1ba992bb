"""Figures of the comparison from its tables alone: the score by method, and that of the choosing half by factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, RECIPE_A, SEVERAL, error_bars, styled
from steering.studies.axbench.marks import MOST, title_of
from steering.studies.axbench.rows import ROWS
from steering.studies.figures import LAYOUT, Drawn, curve, estimates_of


_ROW = 26


def axbench_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """Title, figure and caption of each."""
    methods = tables["methods"]
    judge = str(methods["judge"].iloc[0])
    caption = (
        f"{title_of(judge)}; not the published benchmark. Mean over {methods['n'].max()} concepts of the harmonic "
        "mean of concept, instruction and fluency, 0 to 2 each; bars: 95 % intervals by resampling concepts."
    )
    yield "Score by method", _scores(methods), caption
    yield (
        "Score by factor",
        _factors(tables["factors"]),
        f"{caption} The half of the instructions that choose the factor.",
    )


def _scores(methods: pd.DataFrame) -> go.Figure:
    """One row a method, the best above."""
    rows = methods.iloc[::-1]
    values, titles = estimates_of(rows, "score"), rows["title"].tolist()
    figure = go.Figure()
    figure.add_scatter(
        x=[each.value for each in values],
        y=list(range(len(rows))),
        mode="markers",
        marker={"color": [_hue(key) for key in rows["method"]], "size": 9},
        error_x=error_bars(values, 1),
        customdata=[[title, each.low, each.high] for title, each in zip(titles, values, strict=True)],
        hovertemplate="%{customdata[0]}: %{x:.2f} [%{customdata[1]:.2f}, %{customdata[2]:.2f}]<extra></extra>",
        showlegend=False,
    )
    figure = styled(figure, "score, 0 to 2", "", y_range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(range=[-0.05, MOST + 0.05], dtick=None)
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=titles, dtick=None)
    return figure.update_layout(height=110 + _ROW * len(rows), margin={"l": 240, "r": 16, "t": 12, "b": 44})


def _factors(factors: pd.DataFrame) -> go.Figure:
    """One curve a method that has factors, controls in grey; a line for one that has none."""
    figure, hues = go.Figure(), cycle(SEVERAL)
    for key, rows in factors.groupby("method", sort=False):
        values, title = estimates_of(rows, "score"), ROWS[str(key)].title
        hue = FLOOR if ROWS[str(key)].control else next(hues)
        if len(rows) > 1:
            curve(figure, rows["factor"], values, title, hue)
        else:
            figure.add_hline(y=values[0].value, line={"color": hue, "width": 1, "dash": "dot"})
    figure = styled(figure, "factor, × what 1 × mean difference adds", "score, 0 to 2", y_range=[-0.05, MOST + 0.05])
    return figure.update_layout(**LAYOUT)


def _hue(key: str) -> str:
    return FLOOR if ROWS[key].control else RECIPE_A
