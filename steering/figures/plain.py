"""What is drawn of a Plotly figure, on the page and in files, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np


if TYPE_CHECKING:
    import plotly.graph_objects as go

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
