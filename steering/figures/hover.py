"""What a mark says when it is pointed at, by the hover texts of Plotly's form that figures have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steering.figures.axes import number_text
from steering.figures.marks import pick


_FORM = re.compile(r"(\+?)(?:\.(\d+))?([fg%]?)")
_PLACE = re.compile(r"%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}")
_EXTRA = re.compile(r"<extra>(.*?)</extra>", re.DOTALL)


def point_text(trace: Mapping[str, Any], n: int) -> str:
    """What a point or bar says; "" where it says nothing."""
    if trace.get("hoverinfo") == "skip":
        return ""
    if trace.get("hoverinfo") == "text":
        return str(pick(trace.get("hovertext"), n) or "")
    template = trace.get("hovertemplate") or ("%{x}, %{y}<extra>%{name}</extra>" if trace.get("name") else "%{x}, %{y}")
    return _told(template, {name: pick(trace.get(name), n) for name in ("x", "y", "customdata", "text")}, trace)


def cell_text(trace: Mapping[str, Any], i: int, j: int) -> str:
    """What a cell of a map says."""
    more = pick(pick(trace.get("customdata"), j), i)
    values = {"x": pick(trace.get("x"), i), "y": pick(trace.get("y"), j), "z": trace["z"][j][i], "customdata": more}
    return _told(trace.get("hovertemplate") or "%{z}", values, trace)


def _told(template: str, values: Mapping[str, Any], trace: Mapping[str, Any]) -> str:
    def put(found: re.Match[str]) -> str:
        name, place, form = found.groups()
        value = trace.get("name") if name == "name" else values.get(name)
        return _formatted(value if place is None else pick(value, int(place)), form or "")

    extra = _EXTRA.search(template)
    lines = [*_EXTRA.sub("", template).split("<br>"), extra[1] if extra else ""]
    return "\n".join(line for each in lines if (line := _PLACE.sub(put, each)))


def _formatted(value: Any, form: str) -> str:
    """A value in one of the forms that figures use: `.3f`, `.2g`, `.0%`, with or without a sign."""
    if not isinstance(value, int | float):
        return "–" if value is None else str(value)
    known = _FORM.fullmatch(form)
    sign, places, kind = known.groups() if known and form else ("", "4", "g")
    if kind == "f":
        text = f"{value:.{places or 0}f}"
    elif kind == "%":
        text = f"{100 * value:.{places or 0}f} %"
    else:
        text = number_text(value, int(places or 6) or 1)
    return (sign if value >= 0 else "") + text.replace("-", "−")
