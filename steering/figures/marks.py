"""Marks of a figure as SVG elements: lines, symbols and colours, in Plotly's names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from steering.figures.axes import there


_DASHES = {"dot": "1.5 3", "dash": "6 4", "dashdot": "6 3 1.5 3", "longdash": "10 4", "longdashdot": "10 4 1.5 4"}
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML file may hold."""
Node = ElementTree.Element
Point = tuple[float | None, float | None]


def node(kind: str, inside: Sequence[Node] = (), text: str = "", **given: Any) -> Node:
    """An element; `_` in names stands for `-`, and None leaves an attribute out."""
    named = {name.replace("_", "-"): _attribute(value) for name, value in given.items() if value is not None}
    node = Node(kind, named)
    node.text = _CONTROL.sub("\ufffd", text) or None
    node.extend(inside)
    return node


def titled(drawn: Node, text: str) -> Node:
    """A mark that says what it is when it is pointed at; as it is where there is nothing to say."""
    if text:
        drawn.append(node("title", text=text))
    return drawn


def _attribute(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else _CONTROL.sub("\ufffd", str(value))


def pick(value: Any, n: int) -> Any:
    if isinstance(value, list):
        return value[n] if n < len(value) else None
    return value


def hue(trace: Mapping[str, Any], n: int) -> str:
    marker, line = trace.get("marker") or {}, trace.get("line") or {}
    return str(pick(marker.get("color"), n) or line.get("color") or "currentColor")


def stroke(line: Mapping[str, Any]) -> dict[str, Any]:
    width = line.get("width")
    return {
        "fill": "none",
        "stroke": line.get("color") or "currentColor",
        "stroke_width": 2 if width is None else width,
        "stroke_dasharray": _DASHES.get(str(line.get("dash"))),
    }


def joined(points: Sequence[Point]) -> str:
    path, on = "", False
    for x, y in points:
        known = there(x) and there(y)
        path += f"{'L' if on else 'M'}{x:.2f} {y:.2f}" if known else ""
        on = known
    return path


def symbol(kind: str, x: float, y: float, size: float, trace: Mapping[str, Any], n: int) -> Node:
    """The mark of one point, in Plotly's names."""
    r, base = size / 2, kind.removesuffix("-open")
    marker = trace.get("marker") or {}
    border, tone = marker.get("line") or {}, hue(trace, n)
    edge, width, opened = pick(border.get("color"), n), float(border.get("width") or 0), base != kind
    paint: dict[str, Any] = {"fill": "none" if opened else tone, "opacity": marker.get("opacity")}
    paint |= {"stroke": tone, "stroke_width": max(1.5, width)} if opened else {"stroke": edge, "stroke_width": width}
    cross = f"M{x - r:.2f} {y - r:.2f}L{x + r:.2f} {y + r:.2f}M{x - r:.2f} {y + r:.2f}L{x + r:.2f} {y - r:.2f}"
    strokes = {"x": cross, "x-thin": cross, "line-ew": f"M{x - r:.2f} {y:.2f}H{x + r:.2f}"}
    if base in strokes:
        ink = (
            {"stroke": tone, "stroke_width": 2}
            if base == "x"
            else {"stroke": edge or tone, "stroke_width": width or 1.5}
        )
        return node("path", d=strokes[base], **{**paint, "fill": "none", **ink})
    if base == "square":
        return node("rect", x=x - r * 0.9, y=y - r * 0.9, width=1.8 * r, height=1.8 * r, **paint)
    if base == "diamond":
        d = f"M{x:.2f} {y - 1.3 * r:.2f}L{x + 1.3 * r:.2f} {y:.2f}L{x:.2f} {y + 1.3 * r:.2f}L{x - 1.3 * r:.2f} {y:.2f}Z"
        return node("path", d=d, **paint)
    return node("circle", cx=x, cy=y, r=r, **paint)


def _channels(colour: str) -> list[float]:
    if len(colour) == 7 and colour.startswith("#"):
        return [*(float(int(colour[start : start + 2], 16)) for start in (1, 3, 5)), 1.0]
    found = [float(each) for each in re.findall(r"[\d.]+", colour)]
    return found if len(found) > 3 else [*found, 1.0]


def shade(scale: Sequence[Sequence[Any]], share: float) -> str:
    """The colour of a map at a share of its range."""
    place = min(1.0, max(0.0, share))
    n = max(1, next(n for n, (at, _) in enumerate(scale) if at >= place))
    (start, first), (end, last) = scale[n - 1], scale[n]
    t = (place - start) / ((end - start) or 1)
    red, green, blue, alpha = (a + t * (b - a) for a, b in zip(_channels(first), _channels(last), strict=True))
    return f"rgba({red:.0f},{green:.0f},{blue:.0f},{alpha:.2g})"
