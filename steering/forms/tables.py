"""A table as HTML, with every interval in the cell of its value."""

from __future__ import annotations

from collections.abc import Container, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from steering.numbers import spread


if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 240
"""Characters of a text that a notebook shows in a cell."""


def table_html(table: pd.DataFrame, *, whole_texts: bool = True) -> str:
    """A table as markup.

    Args:
        table: With `NAME_low` and `NAME_high` beside a value that has an interval.
        whole_texts: Whether long texts stand whole; else they are cut, with a mark that says so.
    """
    columns = [name for name in table.columns if not _is_end(str(name), table.columns)]
    rows = table.to_dict("records")
    figures = {name for name in columns if all(_is_number(row[name]) for row in rows)}
    head = "".join(f"<th{_kind(name in figures)}>{escape(str(name).replace('_', ' '))}</th>" for name in columns)
    longest = None if whole_texts else _LONGEST
    body = "".join(
        "<tr>" + "".join(f"<td{_kind(name in figures)}>{_cell(row, name, longest)}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cut_text(text: str, longest: int = _LONGEST) -> str:
    """A text that is not longer, on one line where it is cut."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _is_end(name: str, columns: Container[Any]) -> bool:
    """Whether it is an end of the interval of another column."""
    return any(name.endswith(end) and name.removesuffix(end) in columns for end in ("_low", "_high"))


def _kind(figures: bool) -> str:
    return " class='n'" if figures else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(row: Mapping[Any, Any], name: Any, longest: int | None) -> str:
    value = row[name]
    if isinstance(value, float):
        return escape(spread(value, _end(row, f"{name}_low"), _end(row, f"{name}_high")))
    text = "–" if value is None else str(value)
    return escape(text if longest is None else cut_text(text, longest))


def _end(row: Mapping[Any, Any], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None
