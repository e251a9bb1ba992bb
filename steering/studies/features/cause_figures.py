"""Figures of the study from its tables alone: what is left of the behaviour, and what was foretold beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import LEGEND, RECIPE_A, RULE, SEVERAL, error_bars, styled
from steering.numbers import counted
from steering.statistics import Estimate


_ROW = 30
_BAND = "rgba(139,144,152,0.35)"
_MARKERS = {"off": (RECIPE_A, "circle"), "up": (SEVERAL[1], "square")}
_WAYS = {
    "direct": ("decoder times unembedding", SEVERAL[2], "diamond"),
    "whole": ("activation times gradient", RECIPE_A, "circle"),
}


def cause_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, go.Figure, str]]:
    """Title, figure and caption of each."""
    changes, features = tables["changes"], tables["features"]
    sets = int(changes["random"].astype(bool).groupby(changes["done"]).sum().max())
    floor = f" Grey: range over {counted(sets, 'random set')} of equal activity." if sets else ""
    n = ", ".join(f"{row['n']} {row['group']}" for row in changes[changes["done"] == "none"].to_dict("records"))
    if "refusal" in changes:
        caption = f"n = {n} prompts; judged by rules; bars: 95 % Wilson intervals.{floor}"
        yield "Prompts refused, by what is done with features", _by_change(changes, "refusal", 100), caption
    caption = f"n = {n} prompts; bars: 95 % bootstrap over prompts.{floor}"
    yield "Logit difference, by what is done with features", _by_change(changes, "difference", 1), caption
    for done, own in features.groupby("done", sort=False):
        words = "switched off" if done == "off" else "turned up"
        caption = (
            f"{counted(len(own), 'feature')} {words} alone; n = {own['n'].iloc[0]} prompts; open: random features; "
            "dotted: foretold as measured."
        )
        yield f"Foretold and measured, {words}", agreement_figure(own), caption


def _by_change(changes: pd.DataFrame, name: str, scale: float) -> go.Figure:
    """One row a change of chosen features, over the range of the random sets that stand for all of them."""
    shown = changes[~changes["random"].astype(bool) & changes[name].notna()]
    rows = [*shown.to_dict("records")]
    titles = [f"{row['change']}, {row['group']}" for row in rows][::-1]
    figure = go.Figure()
    for done in _MARKERS:
        random = changes[(changes["done"] == done) & changes["random"].astype(bool)][name] * scale
        together = next((row for row in rows if row["done"] == done), None)
        if len(random) and together is not None:
            place = titles.index(f"{together['change']}, {together['group']}")
            _band(figure, place, float(random.min()), float(random.max()))
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for group, (hue, symbol) in zip(groups, _MARKERS.values(), strict=False):
        own = [row for row in rows if row["group"] == group]
        figure.add_scatter(
            x=[scale * row[name] for row in own],
            y=[titles.index(f"{row['change']}, {row['group']}") for row in own],
            name=group,
            mode="markers",
            marker={"color": hue, "size": 9, "symbol": symbol},
            error_x=error_bars([_estimate(row, name) for row in own], scale),
            customdata=[[row["change"], row["n"]] for row in own],
            hovertemplate=f"{group}, %{{customdata[0]}}: %{{x:.3g}} {'%' if scale > 1 else 'logits'} of "
            "%{customdata[1]} prompts<extra></extra>",
        )
    title = "prompts refused, %" if scale > 1 else "logit difference, logits"
    figure = styled(figure, title, "", y_range=[-0.6, len(titles) - 0.4])
    figure.update_xaxes(dtick=None, **({"range": [-3, 103]} if scale > 1 else {}))
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(titles))), ticktext=titles, dtick=None)
    margin = {"l": 230, "r": 16, "t": 12, "b": 44}
    return figure.update_layout(showlegend=True, height=120 + _ROW * len(titles), margin=margin, legend=LEGEND)


def agreement_figure(features: pd.DataFrame) -> go.Figure:
    """What was foretold of every feature, both ways, against what was measured."""
    figure = go.Figure()
    ends = [float(features[way].min()) for way in _WAYS] + [float(features[way].max()) for way in _WAYS]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line=RULE, name="foretold as measured", hoverinfo="skip"
    )
    for way, (title, hue, symbol) in _WAYS.items():
        for random, own in features.groupby("random", sort=False):
            marker: dict[str, Any] = {"color": hue, "size": 9, "symbol": f"{symbol}-open" if random else symbol}
            figure.add_scatter(
                x=own[way].tolist(),
                y=own["measured"].tolist(),
                name=f"{title}{', random features' if random else ''}",
                mode="markers",
                marker=marker,
                customdata=[[feature] for feature in own["feature"]],
                hovertemplate=f"feature %{{customdata[0]}}, {title}: foretold %{{x:.3g}}, measured %{{y:.3g}} logits"
                "<extra></extra>",
            )
    figure = styled(figure, "foretold, logits", "measured, logits")
    figure.update_xaxes(dtick=None)
    return figure.update_layout(showlegend=True, height=340, legend=LEGEND)


def _band(figure: go.Figure, y: float, low: float, high: float) -> None:
    line = {"width": 3, "color": _BAND}
    figure.add_shape(type="rect", x0=low, x1=high, y0=y - 0.3, y1=y + 0.3, fillcolor=_BAND, line=line, layer="below")


def _estimate(row: Mapping[Any, Any], name: str) -> Estimate:
    return Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
