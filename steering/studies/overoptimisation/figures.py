"""The curves of over-optimisation from their tables alone: what both judges say as KL grows, and where they part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import ALIGNMENT, HELPFULNESS, INK, styled
from steering.studies.figures import BAND, LAYOUT, Drawn, curve, estimates_of


_TITLES = {"n": "Both judges along best of n", "steps": "Both judges along the training"}
_JUDGES = {"training": ("judge that is optimised", ALIGNMENT), "held_out": ("held-out judge", HELPFULNESS)}


def overoptimisation_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Drawn]:
    """Title, figure and caption of each."""
    for row in tables["parting"].to_dict("records"):
        points = tables["curve"][tables["curve"]["along"] == row["along"]]
        figure = go.Figure()
        for name, (words, hue) in _JUDGES.items():
            curve(figure, np.sqrt(points["nats"]), estimates_of(points, f"{name}_gain"), words, hue)
        low, at, high = (float(np.sqrt(row[f"nats{end}"])) for end in ("_low", "", "_high"))
        figure.add_vrect(x0=min(low, high), x1=max(low, high), fillcolor=BAND, line={"width": 0})
        figure.add_vline(x=at, line={"color": INK, "width": 1.5, "dash": "dot"})
        unit = points["unit"].iloc[0]
        figure = styled(figure, f"square root of KL, {unit}", "gain, standard deviations")
        figure.update_xaxes(dtick=None).update_yaxes(dtick=None).update_layout(**LAYOUT)
        part = "the judges part there" if row["parted"] else "the judges do not part"
        yield (
            _TITLES[row["along"]],
            figure,
            f"n = {row['n']} requests; bars: 95 % intervals by bootstrap over requests. Dotted: where the held-out "
            f"judge is at its best, with the interval of that place in grey; {part}.",
        )
