"""Markup of outputs, read by a parser: what stands in it, and that nothing in it runs or asks for anything."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


VOID = {"br", "hr", "img", "input", "meta", "link", "wbr"}
ALLOWED = {
    *("style", "div", "h3", "h4", "p", "ul", "li", "dl", "dt", "dd", "span", "b", "table", "thead", "tbody", "tr"),
    *("th", "td", "details", "summary", "pre"),
    *("svg", "title", "g", "path", "rect", "circle", "text", "clippath", "lineargradient", "stop"),
}
HOSTILE = "</style></details><script>alert('1')</script>\"' onmouseover=\"x\" <img src=//evil.example/x> & \u202e\x00"
"""What a name, a label or a reply may be."""


class Output(HTMLParser):
    """One output, checked as it is read."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.styles = 0
        self.style = ""
        self.run_on = ""
        """The same with nothing between elements, as tokens of a reply stand beside each other."""
        self.folded = ""
        """Text that is seen only once somebody unfolds it."""
        self.titles: list[str] = []
        """What marks and tokens say when they are pointed at."""
        self.feed(markup)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        assert self.styles <= 1, "one block of style an output"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        assert tag in ALLOWED, tag
        for name, value in given.items():
            assert not name.startswith("on"), f"{tag} has {name}"
            assert name not in ("href", "src", "srcset", "action", "xlink:href", "formaction"), f"{tag} has {name}"
            outside = value.replace("url(#", "") if name in ("style", "fill", "clip-path") else ""
            assert "url(" not in outside, f"{name} of {tag} asks for something: {value}"
        self.elements.append((tag, given))
        self.styles += tag == "style"
        if "title" in given:
            self.titles.append(given["title"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> in <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
            assert "url(" not in data
            assert "@import" not in data
        elif self.open and self.open[-1] == "title":
            self.titles.append(data)
        elif "details" in self.open and self.open[-1] != "summary":
            self.folded += f"{data} "
        else:
            self.text += f"{data} "
            self.run_on += data

    def every(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a kind, in order."""
        return [given for name, given in self.elements if name == tag]
