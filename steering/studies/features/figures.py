"""Features as figures, drawn from the tables of their result: a prompt's heat map, and what a vector is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, LEGEND, RULE, SEVERAL, error_bars, styled
from steering.statistics import Estimate


_RISING = [[0.0, "rgba(0,114,178,0.05)"], [1.0, "#0072b2"]]
_ROW = 24
_LABEL = 7
_MOST_TOKENS = 120
"""Of a prompt, the last ones that a map shows."""


def feature_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, go.Figure, str]]:
    """Title, figure and caption of each that the tables give."""
    rows = tables["features"]
    told = rows[rows["found_by"].str.contains("contrast")] if "auroc" in rows else rows[:0]
    if len(told):
        yield (
            "How well features tell the sides apart",
            auroc_figure(_best_first(told)),
            "Held-out AUROC of features found by contrast, bars: 95 % intervals by bootstrap; dotted: chance. Under "
            "0.5 a feature is more active on the negative side.",
        )
    cells = tables.get("map")
    if cells is not None and len(cells):
        cut = cells["token_number"].nunique() > _MOST_TOKENS
        last = f" The last {_MOST_TOKENS} tokens are shown." if cut else ""
        yield (
            "Features at every token of the prompt",
            map_figure(cells),
            f"Activation as a share of the feature's typical maximum; fully coloured at 1 and above.{last}",
        )
    parts = tables.get("decomposition")
    if parts is not None and len(parts) > 1:
        yield (
            "What the vector is made of",
            explained_figure(parts),
            "Share of the vector's squared norm that features taken so far explain; grey: mean over random vectors.",
        )


def auroc_figure(rows: pd.DataFrame) -> go.Figure:
    """Held-out AUROC of every feature that is shown, of each contrast set in a colour of its own."""
    figure = go.Figure()
    sets = rows.groupby("set", sort=False) if "set" in rows else [("", rows)]
    for (name, own), colour in zip(sets, cycle(SEVERAL)):
        values = [Estimate(*each) for each in own[["auroc", "auroc_low", "auroc_high"]].itertuples(index=False)]
        figure.add_scatter(
            x=[str(each) for each in own["feature"]],
            y=[each.value for each in values],
            name=str(name),
            mode="markers",
            marker={"color": colour, "size": 8},
            error_y=error_bars(values, 1),
            customdata=[[each.low, each.high] for each in values],
            hovertemplate="feature %{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
        )
    figure.add_hline(y=0.5, line=RULE)
    figure = styled(figure, "feature", "held-out AUROC", y_range=[-0.03, 1.03]).update_xaxes(dtick=None)
    return figure.update_layout(showlegend=True, legend=LEGEND) if len(figure.data) > 1 else figure


def map_figure(cells: pd.DataFrame) -> go.Figure:
    """Features by the tokens of a prompt."""
    numbers = sorted(cells["token_number"].unique())[-_MOST_TOKENS:]
    firsts = cells.drop_duplicates("token_number").set_index("token_number")
    pieces = firsts["token"].astype(str) if "token" in firsts else firsts["feature"] * 0
    wide = cells.pivot(index="feature", columns="token_number", values="of_maximum")[numbers]
    features = list(dict.fromkeys(cells["feature"]))[::-1]
    figure = go.Figure()
    figure.add_heatmap(
        x=[f"{number} {_short(str(pieces[number]))}" for number in numbers],
        y=[str(feature) for feature in features],
        z=wide.loc[features].to_numpy().tolist(),
        colorscale=_RISING,
        zmin=0.0,
        zmax=1.0,
        xgap=1,
        ygap=1,
        colorbar={"thickness": 8, "outlinewidth": 0, "title": {"text": "share", "side": "right"}},
        hovertemplate="feature %{y} at token %{x}: %{z:.2f} of its typical maximum<extra></extra>",
    )
    figure = styled(figure, "token of the prompt", "feature").update_xaxes(dtick=None)
    return figure.update_layout(height=120 + _ROW * len(features), margin={"l": 64, "r": 16, "t": 12, "b": 44})


def explained_figure(parts: pd.DataFrame) -> go.Figure:
    """The share explained over the number of features."""
    own = parts[parts["feature"] != "remainder"]
    figure = go.Figure()
    figure.add_scatter(
        x=own["step"].tolist(),
        y=own["explained"].tolist(),
        name="this vector",
        mode="lines+markers",
        line={"color": SEVERAL[0], "width": 1.8},
        marker={"color": SEVERAL[0], "size": 7},
        customdata=[[each] for each in own["feature"]],
        hovertemplate="%{x} features, the last %{customdata[0]}: %{y:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=own["step"].tolist(),
        y=own["explained_random"].tolist(),
        name="random vectors",
        mode="lines+markers",
        line={"color": FLOOR, "width": 1.5},
        marker={"color": FLOOR, "size": 6},
        hovertemplate="%{x} features, random vectors: %{y:.2f}<extra></extra>",
    )
    figure = styled(figure, "features", "share of the squared norm", y_range=[0, 1.03])
    return figure.update_layout(showlegend=True, legend=LEGEND)


def _best_first(told: pd.DataFrame) -> pd.DataFrame:
    """By AUROC, within each contrast set."""
    if "set" not in told:
        return told.sort_values("auroc", ascending=False)
    return pd.concat([own.sort_values("auroc", ascending=False) for _, own in told.groupby("set", sort=False)])


def _short(token: str) -> str:
    text = repr(token)[1:-1]
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"
