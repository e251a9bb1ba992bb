"""The traces of a figure as SVG elements: points with lines and intervals, bars, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering.figures.axes import Axis, entries
from steering.figures.hover import cell_text, point_text
from steering.figures.marks import Node, Point, hue, joined, node, pick, shade, stroke, symbol, titled


@dataclass(frozen=True)
class Space:
    """Where the marks of a figure stand, in pixels."""

    x: Axis
    y: Axis
    left: float
    right: float
    top: float
    bottom: float

    @property
    def across(self) -> float:
        """How wide it is."""
        return self.right - self.left

    @property
    def up(self) -> float:
        """How high it is."""
        return self.bottom - self.top

    def at_x(self, value: Any) -> float | None:
        """Where a value lies; None where it has no place."""
        share = self.x.at(value)
        return None if share is None else self.left + share * self.across

    def at_y(self, value: Any) -> float | None:
        """As `at_x`."""
        share = self.y.at(value)
        return None if share is None else self.bottom - share * self.up


def marks(space: Space, trace: Mapping[str, Any], *, said: bool = False) -> list[Node]:
    """What is drawn of a trace.

    Args:
        space: Where.
        trace: What.
        said: Whether each mark says what it is, as a title that is shown when it is pointed at.
    """
    said = said and not trace.get("fill")
    return {"scatter": _scattered, "bar": _barred, "heatmap": _mapped}[trace["type"]](space, trace, said)


def _scattered(space: Space, trace: Mapping[str, Any], said: bool) -> list[Node]:
    points = [
        (space.at_x(x), space.at_y(y)) for x, y in zip(entries(trace.get("x")), entries(trace.get("y")), strict=False)
    ]
    mode, line = trace.get("mode") or "lines+markers", trace.get("line") or {}
    parts = []
    if trace.get("fill") == "toself":
        parts.append(node("path", d=joined(points) + "Z", fill=trace.get("fillcolor"), stroke="none"))
    if "lines" in mode and line.get("width") != 0:
        parts.append(node("path", d=joined(points), stroke_linejoin="round", **stroke(line)))
    parts += _error_bars(space, trace, points)
    marker = trace.get("marker") or {}
    for n, (x, y) in enumerate(points):
        if "markers" in mode and x is not None and y is not None:
            kind, size = pick(marker.get("symbol"), n) or "circle", pick(marker.get("size"), n)
            drawn = symbol(kind, x, y, float(size or 6), trace, n)
            parts.append(titled(drawn, point_text(trace, n) if said else ""))
    return parts


def _error_bars(space: Space, trace: Mapping[str, Any], points: Sequence[Point]) -> list[Node]:
    found = []
    for letter, place, foot in (("x", space.at_x, space.left), ("y", space.at_y, space.bottom)):
        bars = trace.get(f"error_{letter}") or {}
        for n, (x, y) in enumerate(points):
            up = pick(entries(bars.get("array")), n)
            if x is None or y is None or up is None:
                continue
            down, value = pick(entries(bars.get("arrayminus")) or entries(bars["array"]), n), trace[letter][n]
            low, high = place(value - down), place(value + up)
            ends = (foot if low is None else low, foot if high is None else high)
            d = f"M{ends[0]:.2f} {y:.2f}H{ends[1]:.2f}" if letter == "x" else f"M{x:.2f} {ends[0]:.2f}V{ends[1]:.2f}"
            tone = bars.get("color") or hue(trace, n)
            found.append(node("path", d=d, **stroke({"color": tone, "width": bars.get("thickness") or 1.5})))
    return found


def _barred(space: Space, trace: Mapping[str, Any], said: bool) -> list[Node]:
    width, foot, found = space.x.step * space.across * 0.8, space.at_y(0), []
    for n, (x, y) in enumerate(zip(trace["x"], trace["y"], strict=True)):
        at, top, base = space.at_x(x), space.at_y(y), space.bottom if foot is None else foot
        if at is None or top is None:
            continue
        box: dict[str, Any] = {"x": at - width / 2, "y": min(top, base), "width": width, "height": abs(base - top)}
        found.append(titled(node("rect", fill=hue(trace, n), **box), point_text(trace, n) if said else ""))
    return found


def _mapped(space: Space, trace: Mapping[str, Any], said: bool) -> list[Node]:
    width, height, found = space.x.step * space.across, space.y.step * space.up, []
    gap = min(float(trace.get("xgap") or 0), width / 4, height / 4)
    low, high = trace["zmin"], trace["zmax"]
    for j, row in enumerate(trace["z"]):
        for i, value in enumerate(row):
            x, y = space.at_x(trace["x"][i]), space.at_y(trace["y"][j])
            if value is None or x is None or y is None:
                continue
            box: dict[str, Any] = {"x": x - width / 2 + gap / 2, "y": y - height / 2 + gap / 2}
            box |= {"width": max(0.5, width - gap), "height": max(0.5, height - gap)}
            drawn = node("rect", fill=shade(trace["colorscale"], (value - low) / ((high - low) or 1)), **box)
            found.append(titled(drawn, cell_text(trace, i, j) if said else ""))
    return found
