"""A figure as SVG where no browser draws it: as a file of its own, or within what a notebook shows.

The data is what `plain` makes of a Plotly figure, and `assets/picture/plot.js` draws it on the page. This draws the
same marks at the same places of their axes; only the room for texts differs, whose widths are estimated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeGuard
from xml.etree import ElementTree

from steering.figures.axes import Axis, axis_of, cut, entries, number_text, wide
from steering.figures.marks import Node, node, pick, shade, stroke, symbol
from steering.figures.traces import Space, marks


WIDTH = 720
_SMALL, _LINE = 11, 15
_INK, _GRID, _GROUND = "#5b6068", "#e3e2dd", "#ffffff"
_FONT = "Inter, 'IBM Plex Sans', 'Segoe UI', system-ui, sans-serif"
_ANCHORS = {"left": "start", "right": "end"}


def is_figure(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether something that a page showed is a figure."""
    return isinstance(value, Mapping) and isinstance(value.get("traces"), list) and "layout" in value


def svg(figure: Mapping[str, Any], *, alone: bool = True) -> str:
    """The figure as markup.

    Args:
        figure: `traces` and `layout`, with `title` and `caption` where it has any.
        alone: Whether it is a file of its own, on a white ground. Else it stands within HTML: as wide as there is room,
            on whatever ground, its ink that of the text around it, and each mark says what it is when pointed at.

    Raises:
        ValueError: It is damaged.
    """
    try:
        root = _Drawing(figure, alone).node()
    except (TypeError, KeyError, AttributeError, LookupError, ArithmeticError, StopIteration) as error:
        raise ValueError(f"no figure: {type(error).__name__}: {error}") from error
    return ElementTree.tostring(root, encoding="unicode") + "\n"


class _Drawing:
    """One figure on its way."""

    def __init__(self, figure: Mapping[str, Any], alone: bool) -> None:
        self._alone = alone
        self._ink = _INK if alone else "currentColor"
        self._rule = {"color": _GRID, "width": 1} if alone else {"color": "currentColor", "width": 0.15}
        self._title, self._caption = str(figure.get("title") or ""), str(figure.get("caption") or "")
        self._traces: list[Mapping[str, Any]] = list(figure["traces"])
        self._layout: Mapping[str, Any] = figure["layout"]
        self._shapes = entries(self._layout.get("shapes"))
        self._notes = entries(self._layout.get("annotations"))
        self._map = next((trace for trace in self._traces if trace["type"] == "heatmap"), None)
        self._height = float(self._layout.get("height") or 240)
        self._legend = self._keys()
        x, y = (axis_of(each, self._axis(each), self._traces, self._shapes) for each in "xy")
        self._space = self._room(x, y)
        # Ids are one for all figures of a page, should somebody put several into one.
        self._id = hashlib.sha256(json.dumps(figure, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def node(self) -> Node:
        """The whole."""
        head = _LINE + 9 if self._title else 0
        drawn_traces = [
            node("g", marks(self._space, trace, said=not self._alone), opacity=trace.get("opacity"))
            for trace in self._traces
        ]
        below = [self._shape(shape) for shape in self._shapes if shape.get("layer") == "below"]
        above = [self._shape(shape) for shape in self._shapes if shape.get("layer") != "below"]
        area: dict[str, Any] = {
            "x": self._space.left - 5,
            "y": self._space.top - 5,
            "width": self._space.across + 10,
            "height": self._space.up + 10,
        }
        drawn = [
            node("clipPath", [node("rect", **area)], id=f"area-{self._id}"),
            node("g", [each for key in self._legend for each in self._key(*key)]),
            node("g", self._grid()),
            node("g", [*below, *drawn_traces, *above], clip_path=f"url(#area-{self._id})"),
            node("g", [*map(self._note, self._notes), *(self._scale(self._map) if self._map else [])]),
        ]
        parts = [node("title", text=self._title), node("desc", text=self._caption)] if self._alone else []
        parts += [node("rect", width=WIDTH, height=self._height + head, fill=_GROUND)] if self._alone else []
        parts += (
            [self._text(cut(self._title, WIDTH - 12, 13), 6, 17, font_size=13, font_weight="600")]
            if self._title
            else []
        )
        parts += [node("g", drawn, transform=f"translate(0 {head})")]
        return node("svg", parts, viewBox=f"0 0 {WIDTH} {self._height + head:g}", **self._frame(head))

    def _frame(self, head: float) -> dict[str, Any]:
        """What the outermost element says: of a file, its size and ink; within HTML, what a reader is told aloud."""
        if self._alone:
            size = {"width": WIDTH, "height": self._height + head}
            return {"xmlns": "http://www.w3.org/2000/svg", "font_family": _FONT, "color": _INK, **size}
        return {"role": "img", "aria_label": self._title or self._caption or "figure"}

    # -- room ---------------------------------------------------------------------------------------------------------

    def _keys(self) -> list[tuple[Mapping[str, Any], str, float, int]]:
        """The legend: trace, name as it is shown, place in its row, and row."""
        found: list[tuple[Mapping[str, Any], str, float, int]] = []
        x, row = 0.0, 0
        named = [each for each in self._traces if each.get("name") and each.get("showlegend") is not False]
        for trace in named if self._layout.get("showlegend") else ():
            text = cut(str(trace["name"]), WIDTH - 34)
            room = 26 + wide(text) + 12
            if x and x + room > WIDTH - 4:
                x, row = 0.0, row + 1
            found.append((trace, text, x, row))
            x += room
        return found

    def _room(self, x: Axis, y: Axis) -> Space:
        """Room for everything around the marks, by what is written there."""
        rows = self._legend[-1][3] + 1 if self._legend else 0
        across, up, names = self._named("x"), self._named("y"), x.names or ()
        self._slanted = sum(wide(name) + 8 for name in names) > WIDTH - 80
        below = min(110.0, 10 + 0.87 * max(map(wide, names), default=0)) if self._slanted else 20
        top_note = {"yref": "paper", "y": 1, "yanchor": "bottom"}
        self._over = _LINE if any(top_note.items() <= dict(note).items() for note in self._notes) else 0
        scale = _LINE if self._map and not up else 0
        top = 6.0 + rows * (_LINE + 3) + (_LINE + 3 if up else 0) + self._over + scale
        bottom = max(top + 20, self._height - below - (_LINE + 3 if across else 0))
        ticks = [cut(text, min(220, WIDTH * 0.42)) for _, text in y.ticks(_upward(bottom - top))]
        left = 10 + max([8, *map(wide, ticks)])
        outside = [wide(str(note.get("text", ""))) + 10 for note in self._notes if _outside(note)]
        right = max(left + 20, WIDTH - max([52 if self._map else 12, *outside]))
        return Space(x, y, left, right, top, bottom)

    def _axis(self, letter: str) -> Mapping[str, Any]:
        return self._layout.get(f"{letter}axis") or {}

    def _named(self, letter: str) -> str:
        return str((self._axis(letter).get("title") or {}).get("text") or "")

    # -- what stands around the marks ---------------------------------------------------------------------------------

    def _text(self, text: str, x: float, y: float, **given: Any) -> Node:
        return node("text", text=text, x=float(x), y=float(y), **{"font_size": _SMALL, "fill": self._ink, **given})

    def _key(self, trace: Mapping[str, Any], text: str, x: float, row: int) -> list[Node]:
        y, at, mode, parts = 8.0 + row * (_LINE + 3), 2 + x, trace.get("mode") or "", []
        if trace.get("fill"):
            parts.append(node("rect", x=at, y=y - 4, width=18, height=8, fill=trace.get("fillcolor")))
        elif trace["type"] == "scatter" and "lines" in mode:
            parts.append(node("path", d=f"M{at:.2f} {y:.2f}h18", **stroke(trace.get("line") or {})))
        if not trace.get("fill") and "markers" in mode:
            kind = pick((trace.get("marker") or {}).get("symbol"), 0) or "circle"
            parts.append(symbol(kind, at + 9, y, 7, trace, 0))
        return [*parts, self._text(text, at + 23, y + 4)]

    def _grid(self) -> list[Node]:
        parts = []
        skip = max(1, round(13 / (self._space.x.step * self._space.across))) if self._slanted else 1
        most = max(2, int(self._space.across / (60 if self._space.x.log else 34)))
        for n, (share, text) in enumerate(_inside(self._space.x, most)):
            x = self._space.left + share * self._space.across
            if self._space.x.names is None:
                parts.append(
                    node("path", d=f"M{x:.2f} {self._space.top:.2f}V{self._space.bottom:.2f}", **stroke(self._rule))
                )
            if n % skip == 0:
                turn = f"rotate(-60 {x:.2f} {self._space.bottom + 10:.2f})"
                turned = {"text_anchor": "end", "transform": turn} if self._slanted else {"text_anchor": "middle"}
                shown = cut(text, 118) if self._slanted else text
                parts.append(self._text(shown, x, self._space.bottom + (12 if self._slanted else 15), **turned))
        for share, text in _inside(self._space.y, _upward(self._space.up)):
            y = self._space.bottom - share * self._space.up
            if self._space.y.names is None:
                parts.append(
                    node("path", d=f"M{self._space.left:.2f} {y:.2f}H{self._space.right:.2f}", **stroke(self._rule))
                )
            parts.append(self._text(cut(text, self._space.left - 9), self._space.left - 6, y + 4, text_anchor="end"))
        across, up, title = self._named("x"), self._named("y"), {"font_size": 12}
        if across:
            middle = max(self._space.left + self._space.across / 2, wide(across, 12) / 2 + 2)
            shown = cut(across, WIDTH - 4, 12)
            parts.append(self._text(shown, middle, self._height - 5, text_anchor="middle", **title))
        if up:
            parts.append(self._text(cut(up, WIDTH - 4, 12), 2, self._space.top - 8 - self._over, **title))
        return parts

    def _scale(self, trace: Mapping[str, Any]) -> list[Node]:
        x, low, high = self._space.right + 12, trace["zmin"], trace["zmax"]
        stops = [node("stop", offset=n / 8, stop_color=shade(trace["colorscale"], n / 8)) for n in range(9)]
        texts = [
            self._text(
                number_text(low + share * (high - low), 2),
                x + 12,
                self._space.bottom - share * self._space.up + 4,
                font_size=10,
            )
            for share in (0, 0.5, 1)
        ]
        title = str(((trace.get("colorbar") or {}).get("title") or {}).get("text") or "")
        return [
            node("linearGradient", stops, id=f"scale-{self._id}", x1=0, x2=0, y1=1, y2=0),
            node("rect", x=x, y=self._space.top, width=8, height=self._space.up, fill=f"url(#scale-{self._id})"),
            *texts,
            self._text(title, x - 2, self._space.top - 6, font_size=10),
        ]

    def _end(self, shape: Mapping[str, Any], letter: str, end: int) -> float:
        value, place = shape.get(f"{letter}{end}"), self._space.at_x if letter == "x" else self._space.at_y
        foot = self._space.left if letter == "x" else self._space.bottom
        if shape.get(f"{letter}ref", letter) == letter:
            found = place(value)
            return foot if found is None else found
        share = float(value or 0)
        return foot + share * self._space.across if letter == "x" else foot - share * self._space.up

    def _shape(self, shape: Mapping[str, Any]) -> Node:
        x0, x1, y0, y1 = (self._end(shape, letter, end) for letter in "xy" for end in (0, 1))
        line = shape.get("line") or {}
        if shape.get("type") != "rect":
            return node("path", d=f"M{x0:.2f} {y0:.2f}L{x1:.2f} {y1:.2f}", **stroke(line))
        # A range of nothing, as of one random direction, is a line: a rectangle without any width is not drawn at all.
        size = {"width": max(0.1, abs(x1 - x0)), "height": max(0.1, abs(y1 - y0))}
        box: dict[str, Any] = {"x": min(x0, x1), "y": min(y0, y1), **size}
        paint: dict[str, Any] = {
            "fill": shape.get("fillcolor") or "none",
            "stroke": line.get("color"),
            "stroke_width": line.get("width"),
        }
        return node("rect", **box, **paint)

    def _note(self, note: Mapping[str, Any]) -> Node:
        text, anchor = str(note.get("text", "")), _ANCHORS.get(note.get("xanchor", ""), "middle")
        x = self._end({"x0": note.get("x"), "xref": note.get("xref", "x")}, "x", 0) + float(note.get("xshift") or 0)
        y = self._end({"y0": note.get("y"), "yref": note.get("yref", "y")}, "y", 0)
        if anchor == "middle" and x - wide(text) / 2 < 0:
            anchor = "start"
        elif anchor == "middle" and x + wide(text) / 2 > WIDTH:
            anchor = "end"
        return self._text(text, x, y + (-5 if note.get("yanchor") == "bottom" else 4), text_anchor=anchor)


def _outside(note: Mapping[str, Any]) -> bool:
    return note.get("xref") == "paper" and note.get("x") == 1 and note.get("xanchor") == "left"


def _upward(height: float) -> int:
    return max(2, int(height / 40))


def _inside(axis: Axis, most: int) -> list[tuple[float, str]]:
    return [(share, text) for share, text in axis.ticks(most) if share is not None and -0.001 < share < 1.001]
