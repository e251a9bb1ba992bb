"""Figures drawn without a browser: every mark at its place, texts as texts, and damaged data as one error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import plotly.graph_objects as go
import pytest

from steering.figures.drawing import svg
from steering.figures.plain import plain
from steering.figures.styling import error_bars, styled
from steering.statistics import Estimate


NAME = "{http://www.w3.org/2000/svg}"


def _drawn(figure: go.Figure, **more: Any) -> ElementTree.Element:
    return ElementTree.fromstring(svg({**plain(figure), **more}))


def _floats(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?[\d.]+", text)]


def _texts(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{NAME}text")]


def test_points_and_intervals_lie_where_their_values_are() -> None:
    figure = go.Figure()
    values = [Estimate(0.2, 0.1, 0.4), Estimate(0.6, 0.5, 0.9), Estimate(1.0, 0.8, 1.0)]
    figure.add_scatter(
        x=[0, 1, 3], y=[each.value for each in values], error_y=error_bars(values, 1), name="joy", mode="lines+markers"
    )
    figure = styled(figure, "strength", "share", y_range=[0, 1]).update_xaxes(range=[0, 4], dtick=None)
    root = _drawn(figure.update_layout(showlegend=True))
    circles = [(float(each.get("cx", 0)), float(each.get("cy", 0))) for each in root.iter(f"{NAME}circle")]
    key, *points = circles  # the first one stands in the legend
    assert len(points) == 3
    (x0, y0), (x1, y1), (x3, y3) = points
    assert x3 - x0 == pytest.approx(3 * (x1 - x0), abs=0.05)  # two decimals are written
    assert y0 - y3 == pytest.approx(2 * (y0 - y1), abs=0.05)
    unit = (y0 - y3) / 0.8
    bars = [
        _floats(each.get("d", ""))
        for each in root.iter(f"{NAME}path")
        if re.fullmatch(r"M\S+ \S+V\S+", each.get("d", ""))
    ]
    mine = [bar for bar in bars if bar[0] in {x0, x1, x3} and abs(abs(bar[2] - bar[1]) - 0.3 * unit) < 0.1]
    assert (x0, y0 + 0.1 * unit) == pytest.approx((mine[0][0], max(mine[0][1:])), abs=0.1)
    assert {"strength", "share", "joy", "0.5", "2"} <= {*_texts(root)}
    assert key not in points


def test_bars_maps_names_and_logarithms_have_their_places() -> None:
    bars = _drawn(styled(go.Figure(go.Bar(x=[0, 1, 2], y=[1.0, 2.0, 4.0])), "block", "n"))
    heights = [float(each.get("height", 0)) for each in bars.iter(f"{NAME}rect") if each.get("fill") == "currentColor"]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.05)
    assert heights[2] == pytest.approx(4 * heights[0], abs=0.05)
    scale = [[0, "#0072b2"], [1, "#d55e00"]]
    figure = go.Figure(go.Heatmap(x=[0, 1], y=["a", "b"], z=[[0, None], [0.5, 1]], colorscale=scale, zmin=0, zmax=1))
    hues = [each.get("fill") for each in _drawn(figure).iter(f"{NAME}rect")]
    # 0x00..0xd5, 0x72..0x5e, 0xb2..0x00: both ends, and the middle of each channel.
    assert [each for each in hues if "rgba" in str(each)] == [
        "rgba(0,114,178,1)",
        "rgba(106,104,89,1)",
        "rgba(213,94,0,1)",
    ]
    log = go.Figure(go.Scatter(x=[1, 10, 1000, 0], y=["a", "b", "c", "d"], mode="markers")).update_xaxes(type="log")
    places = [float(each.get("cx", 0)) for each in _drawn(log).iter(f"{NAME}circle")]
    assert len(places) == 3  # 0 has no place
    assert places[2] - places[1] == pytest.approx(2 * (places[1] - places[0]), abs=0.05)


def test_texts_are_texts_and_two_figures_share_no_ids() -> None:
    evil = "<script>alert(1)</script>\x00\ud800&"
    figure = styled(go.Figure(go.Scatter(x=[0], y=[0], name=evil)), evil, "y").update_layout(showlegend=True)
    text = svg({**plain(figure), "title": evil, "caption": evil})
    root = ElementTree.fromstring(text.encode("utf-8", "backslashreplace"))
    assert not list(root.iter(f"{NAME}script"))
    assert sum("<script>" in each for each in _texts(root)) == 3
    other = svg({**plain(figure), "title": "b"})
    assert not {*re.findall(' id="(.*?)"', text)} & {*re.findall(' id="(.*?)"', other)}
    assert re.findall(' id="(.*?)"', text)


@pytest.mark.parametrize(
    "damaged",
    [
        {"traces": [], "layout": None},
        {"traces": [{"type": "pie"}], "layout": {}},
        {"traces": [{"type": "bar", "x": [1], "y": [1, 2]}], "layout": {}},
        {"traces": [{"type": "heatmap", "z": 3}], "layout": {}},
        {"traces": [{"type": "scatter", "x": [1], "y": ["a"], "error_y": {"array": [{}]}}], "layout": {}},
        {"traces": [{"type": "scatter", "x": [1], "y": [1]}], "layout": {"xaxis": {"range": [0, float("inf")]}}},
        {"traces": [{"type": "scatter", "x": [1], "y": [1]}], "layout": {"xaxis": {"range": 3}}},
    ],
)
def test_what_is_no_figure_is_one_error(damaged: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is for nobody
        svg(damaged)


def test_every_figure_of_the_page_is_drawn_by_it() -> None:
    """It knows the kinds of traces that `plain` lets through, and no others."""
    source = (Path(__file__).parents[2] / "steering/figures/traces.py").read_text(encoding="utf-8")
    assert {*re.findall(r'"(\w+)": _\w+', source)} == {"scatter", "bar", "heatmap"}


def test_a_range_of_nothing_is_a_line_that_is_seen() -> None:
    """A rectangle without any width is not drawn at all, nor is its edge (SVG 2, 10.2)."""
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))
    figure.add_shape(type="rect", x0=0.5, x1=0.5, y0=0.2, y1=0.8, line={"width": 3, "color": "#123456"})
    (box,) = [each for each in _drawn(figure).iter(f"{NAME}rect") if each.get("stroke") == "#123456"]
    assert 0 < float(box.get("width", 0)) < 1
    assert float(box.get("height", 0)) > 20


def test_within_html_a_figure_takes_the_ink_around_it_and_says_what_its_marks_are() -> None:
    figure = styled(go.Figure(go.Bar(x=["a<b", "c"], y=[1.0, 2.5], name="joy")), "block", "n")
    whole = svg(plain(figure))
    within = svg({**plain(figure), "title": "", "caption": "Joy & n"}, alone=False)
    root = ElementTree.fromstring(within)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Joy & n"
    assert root.get("width") is None, "as wide as there is room"
    assert "#ffffff" in whole
    assert "#ffffff" not in within
    assert {each.get("fill") for each in root.iter("text")} == {"currentColor"}
    assert [each.text for each in root.iter("title")] == ["a<b, 1\njoy", "c, 2.5\njoy"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("at %{x}: %{y:.2f}", "at 0: 1.23"),
        ("%{customdata[1]:.0%} of %{customdata[0]}<extra>n</extra>", "25 % of a & b\nn"),
        ("%{y:+.1f}<br>%{y:.3g}", "+1.2\n1.23"),
        ("%{nothing}", "–"),
    ],
)
def test_hover_texts_are_filled_in_as_on_the_page(template: str, said: str) -> None:
    figure = go.Figure(
        go.Scatter(x=[0], y=[1.234], mode="markers", customdata=[["a & b", 0.25]], hovertemplate=template)
    )
    root = ElementTree.fromstring(svg(plain(figure), alone=False))
    assert [each.text for each in root.iter("title")] == [said]
