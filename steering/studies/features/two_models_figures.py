"""Figures of the comparison from its table alone: how far each feature's firing and activation moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, LEGEND, RECIPE_A, RULE, SEVERAL, error_bars, styled
from steering.statistics import Estimate


_ROW = 22
_NAMES = {
    "rate": ("share of tokens at which it is active, tuned less base, %", 100),
    "activation": ("mean activation, tuned less base", 1),
}
_TITLES = {"rate": "Change of firing rate", "activation": "Change of mean activation"}


def shift_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, go.Figure, str]]:
    """Title, figure and caption of each."""
    rows = tables["features"]
    if not len(rows):
        return
    tokens = int(tables["models"]["tokens"].max())
    caption = (
        f"{tokens:,} tokens, read by both models; bars: 95 % intervals by bootstrap over texts. Blue: more on the "
        "tuned model; red: less; grey: not told from chance, corrected for all features."
    )
    for name, title in _TITLES.items():
        yield title, _moved(rows, name), caption


def _moved(rows: pd.DataFrame, name: str) -> go.Figure:
    """One row a feature, those that changed most above."""
    axis, scale = _NAMES[name]
    titles = [f"feature {feature}" for feature in rows["feature"]][::-1]
    records = rows.to_dict("records")
    kinds = {
        "more on the tuned model": (RECIPE_A, lambda row: row[f"{name}_changed"] and row[f"{name}_change"] > 0),
        "less on the tuned model": (SEVERAL[1], lambda row: row[f"{name}_changed"] and row[f"{name}_change"] <= 0),
        "not told from chance": (FLOOR, lambda row: not row[f"{name}_changed"]),
    }
    figure = go.Figure()
    for words, (hue, belongs) in kinds.items():
        own = [row for row in records if belongs(row)]
        if not own:
            continue
        values = [Estimate(*(float(row[f"{name}_change{end}"]) for end in ("", "_low", "_high"))) for row in own]
        figure.add_scatter(
            x=[scale * each.value for each in values],
            y=[titles.index(f"feature {row['feature']}") for row in own],
            name=words,
            mode="markers",
            marker={"color": hue, "size": 8},
            error_x=error_bars(values, scale),
            customdata=[[row["feature"], scale * row[f"{name}_base"], scale * row[f"{name}_tuned"]] for row in own],
            hovertemplate="feature %{customdata[0]}: %{customdata[1]:.3g} → %{customdata[2]:.3g}<extra></extra>",
        )
    figure = styled(figure, axis, "", y_range=[-0.6, len(titles) - 0.4])
    figure.add_vline(x=0, line=RULE)
    figure.update_xaxes(dtick=None)
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(titles))), ticktext=titles, dtick=None)
    margin = {"l": 110, "r": 16, "t": 12, "b": 44}
    return figure.update_layout(showlegend=True, height=120 + _ROW * len(titles), margin=margin, legend=LEGEND)
