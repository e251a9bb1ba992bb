"""Pieces of what a notebook shows. Every text that comes from a user, a file or a model is escaped here.

No script, no address, no picture from elsewhere: what is shown stays readable in an exported notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from steering.figures.drawing import svg
from steering.forms.style import STYLE, WRAPPER
from steering.forms.tables import table_html
from steering.numbers import counted


if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 12
"""Rows of a table that are shown."""
HUES = {"": (122, 135, 148), "a": (0, 114, 178), "b": (213, 94, 0), "c": (0, 158, 115)}
"""Of the unsteered model and recipes A, B and C, as red, green and blue."""


def output(*parts: str) -> str:
    """A whole output: the parts in their wrapper, behind the one block of style."""
    return f"<style>{STYLE}</style>{inner(*parts)}"


def inner(*parts: str) -> str:
    """The parts in their wrapper, to stand in another output."""
    return f'<div class="{WRAPPER}">{"".join(parts)}</div>'


def head(title: str, kind: str) -> str:
    """What it is called, and what it is."""
    return f'<h3>{escape(title)}<span class="k">{escape(kind)}</span></h3>'


def heading(text: str) -> str:
    """Above a part."""
    return f"<h4>{escape(text)}</h4>"


def said(text: str) -> str:
    """A sentence."""
    return f"<p>{escape(text)}</p>" if text else ""


def note(text: str) -> str:
    """A sentence in small grey type."""
    return f'<p class="s">{escape(text)}</p>' if text else ""


def listed(sentences: Iterable[str]) -> str:
    """Sentences as a list; empty without any."""
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f"<ul>{items}</ul>" if items else ""


def warned(sentences: Iterable[str]) -> str:
    """What has to be known first."""
    return "".join(f'<p class="w">{escape(each)}</p>' for each in sentences)


def facts(known: Iterable[tuple[str, object]]) -> str:
    """Names and values; those without a value are left out."""
    rows = [(name, str(value)) for name, value in known if value not in (None, "", ())]
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"


def fold(title: str, content: str) -> str:
    """Markup that is folded until somebody opens it."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>" if content else ""


def verbatim(text: str) -> str:
    """A text as it is, such as JSON."""
    return f"<pre>{escape(text)}</pre>"


def table(shown: pd.DataFrame, where: str = "", *, most: int = MOST_ROWS) -> str:
    """The first rows of a table, and how many more there are.

    Args:
        shown: With `NAME_low` and `NAME_high` beside a value that has an interval.
        where: Who has all of them, such as `result.tables["points"]`.
        most: Rows that are shown.
    """
    left = len(shown) - most
    more = (
        f"The first {most} of {counted(len(shown), 'row')}{f'; {where} has all' if where else ''}." if left > 0 else ""
    )
    return f'<div class="r">{table_html(shown.head(most), whole_texts=False)}</div>{note(more)}'


def figure(drawn: Mapping[str, Any], title: str, caption: str) -> str:
    """A figure with what it shows above and how to read it below.

    Args:
        drawn: As `steering.figures.plain.plain` gives it.
        title: What it shows.
        caption: n, interval, judge and floor.
    """
    try:
        shown = svg({**drawn, "title": "", "caption": title}, alone=False)
    except ValueError as error:  # numbers that no axis has
        shown = note(f"It cannot be drawn: {error}.")
    return heading(title) + shown + note(caption)


def columns(each: Sequence[tuple[str, str, str]]) -> str:
    """Texts side by side, markup already: (hue, title, content); a hue is "" or one of a, b and c."""
    titled = [(hue, heading(title) if title else "", content) for hue, title, content in each]
    parts = [f'<div class="{hue}">{title}{content}</div>' for hue, title, content in titled]
    return f'<div class="cols">{"".join(parts)}</div>'


def shade(hue: str, share: float) -> str:
    """A style that colours a ground in a hue, from nothing to half."""
    red, green, blue = HUES.get(hue, HUES["a"])
    return f"background:rgba({red},{green},{blue},{0.5 * min(1.0, max(0.0, share)):.2f})"
