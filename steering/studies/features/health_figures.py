"""A dictionary's health as figures, drawn from the tables of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, LEGEND, SEVERAL, error_bars, styled
from steering.statistics import Estimate


OWN, RANDOM = "dictionary", "random"
"""What a row of the table `health` is of."""
_NAMES = {OWN: "this dictionary", RANDOM: "random dictionary"}
_HUES = {OWN: SEVERAL[0], RANDOM: FLOOR}
SHARES = {
    "explained_variance": "explained variance",
    "cosine": "cosine",
    "recovered_mean": "loss recovered",
}
"""Figures of a health card that are drawn, by their columns."""
_ROW = 34
_LETTER = 6.4
"""Pixels of a letter of a row's name, about."""
_LEAST = -0.05
"""Where a share's axis begins: what lies under it stands at its edge."""


def health_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, go.Figure, str]]:
    """Title, figure and caption of each."""
    rows = tables["health"]
    texts, tokens = int(rows["texts"].max()), int(rows["tokens"].max())
    if any(rows[name].notna().any() for name in SHARES):  # of one layer of several nothing is known
        yield (
            "What the dictionary gives back, by kind of token",
            given_back_figure(rows),
            f"n = {texts} texts, up to {tokens:,} tokens a kind; bars: 95 % intervals by bootstrap over texts; grey: "
            "as many random directions with as many of them active. Loss recovered: against mean states. What lies "
            "under 0 stands at the edge.",
        )
    places = tables["places"]
    if places["explained_variance"].notna().any():
        yield (
            "Explained variance where it says that it belongs, and around",
            places_figure(places),
            f"n = {int(places['tokens'].max()):,} tokens. What lies under 0 stands at the edge.",
        )
    yield (
        "How often features are active",
        frequencies_figure(tables["frequencies"]),
        "Share of the features by the share of tokens at which they are active. Never: not at any token that was read.",
    )


def given_back_figure(rows: pd.DataFrame) -> go.Figure:
    """Explained variance, cosine and loss recovered of each kind of token, with the random dictionary beside."""
    names = [name for name in SHARES if rows[name].notna().any()]
    kinds = list(rows["kind"].unique())
    titles = [f"{SHARES[name]}, {kind}" for name in names for kind in kinds]
    figure = go.Figure()
    for of, hue in _HUES.items():
        own = {row["kind"]: row for row in rows[rows["of"] == of].to_dict("records")}
        found = {f"{SHARES[name]}, {kind}": _estimate(own[kind], name) for name in names for kind in kinds}
        _dots(figure, titles, found, _NAMES[of], hue)
    return _rows(styled(figure, "share", ""), titles).update_layout(showlegend=True, legend=LEGEND)


def places_figure(rows: pd.DataFrame) -> go.Figure:
    """Explained variance at every place that was tried."""
    figure = go.Figure()
    titles = [_place(row) for row in rows.to_dict("records")]
    for named, name, hue in ((True, "named in its files", SEVERAL[0]), (False, "around it", SEVERAL[1])):
        own = rows[rows["named"] == named].to_dict("records")
        found = {_place(row): Estimate(*[float(row["explained_variance"])] * 3) for row in own}
        _dots(figure, titles, found, name, hue)
    return _rows(styled(figure, "explained variance", ""), titles).update_layout(showlegend=True, legend=LEGEND)


def frequencies_figure(rows: pd.DataFrame) -> go.Figure:
    """How many features are active at how large a share of tokens, by kind of token."""
    figure = go.Figure()
    for hue, (kind, own) in zip(SEVERAL, rows.groupby("kind", sort=False), strict=False):
        figure.add_scatter(
            x=own["active"].tolist(),
            y=own["share"].tolist(),
            name=str(kind),
            mode="lines+markers",
            line={"color": hue, "width": 1.8},
            marker={"color": hue, "size": 6},
            hovertemplate=f"{kind}, active at %{{x}} of tokens: %{{y:.1%}} of features<extra></extra>",
        )
    figure = styled(figure, "share of tokens at which a feature is active", "share of features")
    return figure.update_xaxes(dtick=None).update_layout(height=280, showlegend=True, legend=LEGEND)


def _place(row: Mapping[Any, Any]) -> str:
    return str(row["reads"]) if row["reads"] == row["gives"] else f"{row['reads']} to {row['gives']}"


def _estimate(row: Mapping[Any, Any], name: str) -> Estimate:
    return Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))


def _dots(figure: go.Figure, titles: Sequence[str], found: Mapping[str, Estimate], name: str, hue: str) -> None:
    """A series of shares, each in its row."""
    known = {title: each for title, each in found.items() if each.value == each.value}
    drawn = [Estimate(*(max(_LEAST, value) for value in each)) for each in known.values()]
    figure.add_scatter(
        x=[each.value for each in drawn],
        y=[len(titles) - 1 - titles.index(title) for title in known],
        name=name,
        mode="markers",
        marker={"color": hue, "size": 9},
        error_x=error_bars(drawn, 1),
        customdata=[[title, *each] for title, each in known.items()],
        hovertemplate=f"{name}, %{{customdata[0]}}: %{{customdata[1]:.3f}} [%{{customdata[2]:.3f}}, "
        "%{customdata[3]:.3f}]<extra></extra>",
    )


def _rows(figure: go.Figure, titles: Sequence[str]) -> go.Figure:
    left = 16 + _LETTER * max(map(len, titles))
    figure.update_yaxes(
        tickvals=list(range(len(titles))),
        ticktext=list(titles)[::-1],
        range=[-0.6, len(titles) - 0.4],
    )
    figure.update_xaxes(range=[_LEAST - 0.01, 1.02], dtick=0.25)
    return figure.update_layout(height=110 + _ROW * len(titles), margin={"l": left, "r": 16, "t": 30, "b": 44})
