"""Figures on the page: a control that draws a Plotly figure as SVG once somebody sees it.

Plotly's own script is 4.8 MB, which a browser on a slow core needs a second to read, and drawing anew what grows during
a run would stop the page each time. So the page draws what the workbench's figures are made of by itself
(`assets/picture`), and nothing before it comes into view. Reports carry the same figures with Plotly's script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from steering.resources import resource
from workbench.page.blocks import Unwritten


_LINES = {"color", "width", "dash"}
_MARKS = {"color", "size", "symbol", "opacity", "line"}
_BARS = {"type", "symmetric", "array", "arrayminus", "thickness", "width", "color"}
_SAID = {"type", "name", "customdata", "hovertemplate", "hovertext", "hoverinfo", "text", "opacity"}
_SCATTER = {"x", "y", "mode", "line", "marker", "fill", "fillcolor", "error_x", "error_y", "showlegend", "legendgroup"}
_MAP = {"x", "y", "z", "colorscale", "zmin", "zmax", "xgap", "ygap", "colorbar"}
_TRACES = {"scatter": _SCATTER | _SAID, "bar": {"x", "y", "marker"} | _SAID, "heatmap": _MAP | _SAID}
_WITHIN = {"line": _LINES, "marker": _MARKS, "error_x": _BARS, "error_y": _BARS}
"""What is drawn of a trace, in Plotly's words."""
_AXIS = {"title", "range", "dtick", "type", "tickvals", "ticktext", "autorange"}
_LAYOUT = {"height", "showlegend", "shapes", "annotations"}
_MARKUP = resource("assets", "picture", "picture.html").read_text(encoding="utf-8")
_LOAD = "window.pictureControl(element, props, watch);"


class Picture(gr.HTML, metaclass=Unwritten):
    """As an output it takes a figure, a figure with a caption (plain text) as a tuple, or None for none."""

    def preprocess(self, payload: Any) -> None:
        """Nothing: what is drawn is no setting."""

    def postprocess(self, value: go.Figure | tuple[go.Figure, str] | dict[str, Any] | None) -> dict[str, Any] | None:
        """What the page draws of a figure; what was kept of one stays as it is."""
        if value is None or isinstance(value, dict):
            return value
        figure, caption = value if isinstance(value, tuple) else (value, "")
        title = ": ".join(filter(None, (self.props.get("title"), figure.layout.title.text)))
        # With the value: Gradio may draw a component anew from its value alone.
        return {**self.props, **plain(figure), "title": title, "caption": caption}

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def place_picture(elem_id: str, *, title: str = "", note: str = "", card: bool = False, texts: bool = False) -> Picture:
    """Place a figure that shows nothing until it has one, with buttons that save it as SVG and PNG.

    Args:
        elem_id: Unique on the page.
        title: What it shows, above it, before what the figure's own title adds; also the name of a file that is saved.
        note: What stands under it, behind the caption that comes with a figure.
        card: Whether it is a card of its own; else it stands in one.
        texts: Whether prompts or replies can be read off it: then it is not saved while these are to be left out.
    """
    return Picture(
        None,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["sw-picture-block", *(["sw-texts"] if texts else [])],
        title=title,
        note=note,
        card=card,
    )


def plain(figure: go.Figure) -> dict[str, Any]:
    """What the page draws of a figure, as plain data: {"traces": [...], "layout": {...}}.

    Raises:
        ValueError: It has something that would not be drawn; `gr.Plot` draws everything.
    """
    layout = figure.layout.to_plotly_json()
    axes = {name: _only(layout.get(name, {}), _AXIS) for name in ("xaxis", "yaxis")}
    shown = {**_only(layout, _LAYOUT), **axes}
    return {"traces": [_drawn(trace.to_plotly_json()) for trace in figure.data], "layout": _plain(shown)}


def _drawn(trace: Mapping[str, Any]) -> dict[str, Any]:
    known = _TRACES.get(trace["type"])
    if known is None:
        raise ValueError(f"A picture draws {', '.join(_TRACES)}, and no {trace['type']}; use gr.Plot for it.")
    found = {name: value for name, value in trace.items() if value is not None}
    unknown = [name for name in found if name not in known]
    for name, inside in _WITHIN.items():
        unknown += [f"{name}.{each}" for each in found.get(name, {}) if each not in inside]
    if unknown:
        raise ValueError(f"A picture does not draw {', '.join(unknown)} of {trace['type']}; use gr.Plot for it.")
    return {name: _plain(value) for name, value in found.items()}


def _only(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) is not None}


def _plain(value: Any) -> Any:
    """A value as JSON has it; numbers that are none become None, which is a gap."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
