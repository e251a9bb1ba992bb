"""Figures of a study of probes from its tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from steering.figures.styling import FLOOR, RULE, SEVERAL, styled
from steering.studies.figures import BAND, LAYOUT, Drawn, area, curve, estimates_of


if TYPE_CHECKING:
    from steering.studies.result import Result


def probe_drawn(result: Result) -> Iterator[Drawn]:
    """Probes by block, a figure a site."""
    scores = result.tables["scores"]
    scores = scores[scores["part"] == "all"]
    for site, rows in scores[scores["block"].notna()].groupby("site", sort=False):
        figure = go.Figure()
        random = rows[rows["method"] == "random directions"].sort_values("block")
        if len(random):
            area(figure, random["block"], random["esa"], random["esa_high"], BAND, "random directions")
        hues = cycle(SEVERAL)
        for name, own in rows[rows["method"] != "random directions"].groupby("method", sort=False):
            hue = FLOOR if "shuffled" in str(name) else next(hues)
            own = own.sort_values("block")
            curve(figure, own["block"], estimates_of(own, "esa"), str(name), hue)
        for row in scores[(scores["block"].isna()) & (scores["method"] == "bag of words")].to_dict("records"):
            figure.add_hline(y=row["esa"], line=RULE)
        figure = styled(figure, "block", "ESA (0.5: chance)").update_layout(**LAYOUT)
        n = int(rows["pairs"].max())
        caption = f"n = {n} pairs; bars: 95 % bootstrap over pairs; grey: median to 95 % point of random directions; "
        yield f"Probes by block, {str(site).replace('_', ' ')}", figure, f"{caption}dotted: a bag of words."
