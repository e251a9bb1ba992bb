"""Small pieces of the page as HTML; every text that comes from a user, a file or a model passes through `escape`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape as _escape
from re import compile as _pattern

from steering.errors import SteeringError
from workbench.places import without_places


_MARKUP = _pattern("[&<>\"']")
READY = '<i class="sw-ready"></i>'
"""What stands in the `sw-flag` of a card (`sw-until`) that has something to show."""


def escape(text: object) -> str:
    """`text` as HTML text or a quoted attribute value."""
    said = str(text)
    return _escape(said, quote=True) if _MARKUP.search(said) else said


def heading(text: str, *, hue: str = "") -> str:
    """A card's heading; `hue` is "" or one of the recipe letters a, b, c."""
    return f'<h2 class="sw-h {_hue(hue)}">{escape(text)}</h2>'


def card(inner: str) -> str:
    """A card around markup that is escaped already."""
    return f'<section class="sw-card">{inner}</section>'


def fold(name: str, title: str, inner: str) -> str:
    """A card that is folded until somebody opens it, around markup that is escaped already; for a `streamed_block`.

    Args:
        name: Under which the browser keeps whether it is open.
        title: What stands on the fold.
        inner: What is folded away.
    """
    return (
        f'<details class="sw-card sw-folded" data-fold="{escape(name)}"><summary>{escape(title)}</summary>'
        f"{inner}</details>"
    )


def size_said(size: int) -> str:
    """Bytes on a disk as people read them."""
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size / 1e3:.0f} kB" if size >= 1000 else f"{size} B"


def note(text: str) -> str:
    """A sentence of help in small grey type."""
    return f'<p class="sw-note">{escape(without_places(text))}</p>'


def empty_state(title: str, body: str) -> str:
    """What stands where results will be: what this place is for and what to do first."""
    return f'<div class="sw-empty"><b>{escape(title)}</b><p>{escape(body)}</p></div>'


def error_card(error: BaseException, *, doing: str = "") -> str:
    """One card that says what was given, what was expected and what to do.

    A `SteeringError` is the user's to mend and shown in its own words. Anything else is the program's own fault.

    Args:
        error: What was raised.
        doing: What was being done, for the heading of a fault.
    """
    if isinstance(error, SteeringError):
        rows = (("", error.given), ("Expected", error.expected), ("What to do", error.remedy))
        body = "".join(_error_row(label, without_places(text)) for label, text in rows if text)
        return f'<div class="sw-error" role="alert">{body}</div>'
    where = f" during {doing}" if doing else ""
    return (
        f'<div class="sw-error" role="alert"><p><b>The workbench failed{escape(where)}.</b></p>'
        f"{_error_row('What it said', without_places(f'{type(error).__name__}: {error}'))}"
        f"{_error_row('What to do', 'Nothing already made is lost; try again. If it happens twice, please report it.')}"
        "</div>"
    )


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    marked: int | None = None,
    words: Collection[int] = (0,),
) -> str:
    """A small table of right-aligned figures, with some columns of text.

    Args:
        headers: Column names.
        rows: Cells, formatted by the caller; in a column of figures a second line, such as an interval, stands small
            below the first.
        marked: Index of a row to set off, such as the chosen block.
        words: Indices of the columns that are text.
    """

    def kind(column: int) -> str:
        return "" if column in words else ' class="sw-n"'

    def content(column: int, cell: object) -> str:
        figure, _, under = str(cell).partition("\n") if column not in words else (cell, "", "")
        return escape(figure) + (f"<small>{escape(under)}</small>" if under else "")

    head = "".join(f"<th{kind(column)}>{escape(text)}</th>" for column, text in enumerate(headers))
    body = "".join(
        f"<tr{' class=sw-on' if index == marked else ''}>"
        + "".join(f"<td{kind(column)}>{content(column, cell)}</td>" for column, cell in enumerate(row))
        + "</tr>"
        for index, row in enumerate(rows)
    )
    rows_html = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="sw-scroll"><table class="sw-table">{rows_html}</table></div>'


def pills(texts: Iterable[str]) -> str:
    """Short facts in outlined ovals."""
    return "".join(f'<span class="sw-pill">{escape(text)}</span>' for text in texts)


def job_line(title: str, message: str, *, fraction: float | None, job_id: int, queued: bool = False) -> str:
    """A running job: title, bar, how far, seconds left. `fraction` is None while the end is unknown."""
    kind = "sw-wait" if queued or fraction is None else ""
    width = 0.0 if fraction is None else 100 * min(1.0, max(0.0, fraction))
    now = "" if fraction is None else f' aria-valuenow="{width:.0f}"'
    return (
        f'<div class="sw-job" role="status" data-job="{job_id}"><b>{escape(title)}</b>'
        f'<span class="sw-bar {kind}" role="progressbar" aria-label="{escape(title)}"{now}>'
        f'<i style="width:{width:.1f}%"></i></span><span class="sw-n">{escape(message)}</span></div>'
    )


def job_ended(title: str, message: str, *, job_id: int, model: int = 0) -> str:
    """The line a job leaves behind; `model` is the number of the load under which it ended."""
    said = f'<b>{escape(title)}</b><span class="sw-n">{escape(message)}</span>'
    return f'<div class="sw-job sw-over" role="status" data-job="{job_id}" data-model="{model}">{said}</div>'


def _error_row(label: str, text: str) -> str:
    return f"<p><span>{escape(label)}</span> {escape(text)}</p>" if label else f"<p><b>{escape(text)}</b></p>"


def _hue(hue: str) -> str:
    return f"sw-{hue}" if hue in ("a", "b", "c") else "sw-plain"


def of_another_model(made: str, now: str) -> str:
    """What is said above results of a model that is not in use any more."""
    return (
        f'<p class="sw-was" role="status">The results on this page are those of <b>{escape(made)}</b>; in use is '
        f"<b>{escape(now)}</b> now. Run again to see what it gives.</p>"
    )
