"""Figures of what pairs are made and of what they are worth, from the tables of the results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, LEGEND, RECIPE_A, RULE, SEVERAL, styled
from steering.studies.figures import LAYOUT, Drawn, curve, estimates_of


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


def worth_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """What leaving each pair out does, what was foretold beside what happened, and the learning curves."""
    pairs = tables["pairs"]
    ways = [way for way in ("exact", "traced", "foretold") if way in pairs]
    caption = f"n = {len(pairs)} pairs, each way from the most harmful one on; below 0 it does harm."
    for way in ways:
        yield f"What each pair does ({way})", influence_figure(pairs, way), caption
    checked = pairs[pairs["retrained"].notna()]
    if len(checked) and "foretold" in pairs:
        caption = f"n = {len(checked)} trainings without a pair; dotted: as foretold. Held-out loss, nats."
        yield "Foretold and retrained", retrained_figure(checked), caption
    if "curve" in tables:
        curves = tables["curve"]
        caption = f"Means over {int(curves['draws'].max())} draws of a pool; bars: 95 % bootstrap over draws."
        yield "What more pairs bring", curve_figure(curves), caption


def influence_figure(pairs: pd.DataFrame, way: str) -> go.Figure:
    """One point a pair, by rank."""
    rows = pairs.sort_values(f"{way}_rank")
    figure = go.Figure()
    figure.add_scatter(
        x=rows[f"{way}_rank"].tolist(),
        y=rows[way].tolist(),
        name=way,
        mode="markers",
        marker={"color": RECIPE_A, "size": 7},
        customdata=rows[["pair"]].to_numpy().tolist(),
        hovertemplate="pair %{customdata[0]}, rank %{x}: %{y:.3g}<extra></extra>",
    )
    figure.add_hline(y=0, line=RULE)
    unit = "held-out mean differences" if way == "exact" else "held-out loss, nats"
    figure = styled(figure, "rank, 1 harms most", unit)
    figure.update_xaxes(dtick=None)
    return figure.update_layout(height=300)


def retrained_figure(checked: pd.DataFrame) -> go.Figure:
    """What trainings without a pair did, over what was foretold."""
    low = float(min(checked["foretold"].min(), checked["retrained"].min(), 0.0))
    high = float(max(checked["foretold"].max(), checked["retrained"].max(), 0.0))
    figure = go.Figure()
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=RULE, name="as foretold", hoverinfo="skip")
    figure.add_scatter(
        x=checked["foretold"].tolist(),
        y=checked["retrained"].tolist(),
        name="pairs",
        mode="markers",
        marker={"color": RECIPE_A, "size": 8},
        customdata=checked[["pair"]].to_numpy().tolist(),
        hovertemplate="pair %{customdata[0]}: foretold %{x:.3g}, retrained %{y:.3g} nats<extra></extra>",
    )
    figure = styled(figure, "foretold, nats", "retrained, nats")
    figure.update_xaxes(dtick=None)
    return figure.update_layout(showlegend=True, height=320, legend=LEGEND)


def curve_figure(curves: pd.DataFrame) -> go.Figure:
    """What came of each number of pairs, by how they were chosen."""
    figure = go.Figure()
    hues = {"random": FLOOR}
    for place, (name, rows) in enumerate(curves.groupby("chosen_by", sort=False)):
        hue = hues.get(str(name), SEVERAL[place % len(SEVERAL)])
        curve(figure, rows["size"], estimates_of(rows, "worth"), str(name), hue)
    figure = styled(figure, "pairs", "worth")
    figure.update_xaxes(dtick=None)
    return figure.update_layout(**LAYOUT)


def rewarding_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """Marks, how good the judge is, and how different replies are, round by round."""
    rounds = tables["rounds"]
    n, k = int(rounds["requests"].max()), int(rounds["replies"].max())
    caption = f"n = {n} requests, {k} replies each; bars: 95 % intervals over requests. Round 0 is not steered."
    yield "Marks by round", rounds_figure(rounds, _MARKS, "mark"), caption
    yield "The judge by round", rounds_figure(rounds, _JUDGE, "share"), f"{caption} Ties count half."
    yield "How different replies are by round", rounds_figure(rounds, _DIFFERENCE, "share"), caption


_MARKS = {
    "mark": ("the judge", RECIPE_A),
    "held_out_mark": ("the held-out judge", SEVERAL[1]),
    "spread": ("best less worst", FLOOR),
}
_JUDGE = {
    "known": ("right on known pairs", RECIPE_A),
    "agrees": ("the held-out judge agrees on new pairs", SEVERAL[1]),
}
_DIFFERENCE = {
    "different": ("different replies to a request", RECIPE_A),
    "distinct": ("different pairs of words", SEVERAL[2]),
    "degenerate": ("empty or in a loop", SEVERAL[1]),
}


def rounds_figure(rounds: pd.DataFrame, shown: Mapping[str, tuple[str, str]], unit: str) -> go.Figure:
    """Several numbers by round."""
    figure = go.Figure()
    for name, (title, hue) in shown.items():
        rows = rounds[rounds[name].notna()]
        if len(rows):
            curve(figure, rows["round"], estimates_of(rows, name), title, hue)
    return styled(figure, "round", unit).update_layout(**LAYOUT)
