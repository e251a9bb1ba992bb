"""Runs side by side as HTML: what was set otherwise, measures with what they differ by, replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steering.statistics import Estimate
from steering.studies.comparison import SAME_DATA, TEST, MeasureRow, told_apart
from steering.studies.study import Measure
from workbench.page.kept_view import RUN
from workbench.page.markup import card, escape, fold, heading, note
from workbench.runs.comparison import Comparison
from workbench.runs.run import Run


_SAME = "Nothing on which they depend differs: settings, model, vectors, data and versions are the same."


def head_html(found: Comparison) -> str:
    """Which runs, and what was set otherwise."""
    close = '<div class="sw-runs-bar"><button type="button" data-do="close">Close the comparison</button></div>'
    first = found.labels[0]
    runs = [
        (
            escape(label),
            _link(run),
            escape(run.model),
            escape(run.begun[:16].replace("T", " ")),
            escape(run.state),
        )
        for label, run in zip(found.labels, found.runs, strict=True)
    ]
    parts = [heading("Side by side"), close, _table(("", "run", "model", "begun (UTC)", "state"), runs)]
    oldest = ", which began first" if found.runs[0].begun == min(run.begun for run in found.runs) else ""
    said = f"The others are compared with {first}{oldest}. The address of this page opens the comparison again."
    parts.append(note(said))
    rows = [(escape(f"{each.what}: {each.name}"), *map(escape, each.values)) for each in found.settings]
    otherwise = _table(("", *found.labels), rows) if rows else note(_SAME)
    return _stacked(card("".join(parts)), card(heading("What was set otherwise") + otherwise))


def measures_html(found: Comparison) -> str:
    """Measures, their differences from the first run's, and what that means; replies below."""
    first, *others = found.labels
    parts = []
    if found.measures:
        heads = ("measure", *found.labels, *(f"{label} − {first}" for label in others))
        rows = [_measure_row(row) for row in found.measures]
        said = note(TEST) + (note(SAME_DATA) if found.same_data else "")
        parts.append(card(heading("Measures") + _table(heads, rows) + said))
    if found.texts:
        texts = [(escape(row.place), *(_said(text) for text in row.texts)) for row in found.texts]
        replies, title = _table(("", *found.labels), texts), "Replies side by side"
        # Folded where measures say it shortly; of a grid they are all that there is.
        parts.append(fold("runs-texts", title, replies) if found.measures else card(heading(title) + replies))
    return _stacked(*parts)


def _link(run: Run) -> str:
    title = escape(run.title)
    return f'<a href="./{escape(run.panel)}?{RUN}={escape(run.id)}">{title}</a>' if run.panel else title


def _measure_row(row: MeasureRow) -> tuple[str, ...]:
    name = f"{row.name}, {row.unit}" if row.unit else row.name
    return escape(name), *map(_value, row.measures), *map(_difference, row.differences)


def _value(measure: Measure | None) -> str:
    if measure is None:
        return "–"
    known = measure.low is not None and measure.high is not None
    interval = f"<small>{measure.low:.3g} to {measure.high:.3g}</small>" if known else ""
    return f"{measure.value:.3g}{interval}"


def _difference(each: Estimate | None) -> str:
    if each is None:
        return "<small>no interval</small>"
    apart = told_apart(each)
    said = '<span class="sw-differ">differ</span>' if apart else "not told apart"
    return f"{each.value:+.3g}<small>{each.low:+.3g} to {each.high:+.3g}</small><small>{said}</small>"


def _said(text: str | None) -> str:
    return "–" if text is None else f'<div class="sw-run-text">{escape(text)}</div>'


def _stacked(*cards: str) -> str:
    return f'<div class="sw-side-by-side">{"".join(cards)}</div>' if cards else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table around cells that are escaped already; the first column names the rows."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    rows_html = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    around = 'class="sw-scroll" tabindex="0" role="group" aria-label="Table"'
    return f'<div {around}><table class="sw-table sw-compared">{rows_html}</table></div>'
