"""Runs as HTML: a list of them, and one whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel

from panels.runs.asked import Asked, asked
from steering.names import upper_first
from steering.plugin_uses import missing
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.page.kept_view import RUN, STATES
from workbench.page.kept_view import run_html as actions_html
from workbench.page.markup import card, empty_state, escape, heading, note, pills, size_said, table
from workbench.page.picks import pick_table
from workbench.runs.contents import IMPORTED
from workbench.runs.run import Run
from workbench.runs.tidying import Offer


RUNS_SCRIPT = (
    "window.runsList(element, props, server, watch, upload, trigger);"
    "/* 'choose', 'star', 'remove', 'compare', 'arrive' */"
)
"""Fires `choose`, `star` and `remove` with a run's id, `compare` with several, `arrive` with a file that was sent."""
_BAR = (
    '<div class="sw-runs-bar" data-part="bar"><button type="button" data-do="compare" disabled>Compare</button>'
    '<button type="button" data-do="export" disabled>Export</button>'
    '<label class="sw-note"><input type="checkbox" data-part="bare"> without prompts and replies</label>'
    '<button type="button" data-do="choose">Import runs (ZIP)</button>'
    '<input type="file" data-part="file" accept=".zip" aria-label="A file of runs" tabindex="-1">'
    '<span class="sw-note" data-part="count"></span>'
    '<button type="button" class="sw-link" data-do="untick" hidden>Untick all</button>'
    '<span class="sw-note" role="status" data-part="said"></span></div>'
)
_HEADS = ("Run", "Model", "When", "State", "Size")


def runs_html(found: Sequence[Run], n: int, size: int, said: str = "") -> str:
    """The list, below what is done with the runs that are ticked in it.

    Args:
        found: What is shown, the latest first.
        n: How many there are in all.
        size: Bytes that they take on the disk.
        said: What happened to it last.
    """
    told = note(said) if said else ""
    if not n:
        none = empty_state(
            "No runs",
            "Every generation and study is kept here, of this page and of the command line: with its settings, "
            "what it found and what the page showed. Run something, import a file of runs, or look for less.",
        )
        return card(heading("Runs") + _BAR + told + none)
    head = "".join(f"<th>{each}</th>" for each in _HEADS) + "<th></th>"
    among = f"{len(found):,} of {n:,} run{'s' * (n != 1)}"
    shown = f"{among}, {size_said(size)} on the disk in all. A click on a row shows what it was."
    rows = pick_table(head, "".join(map(_row, found)), tall=True)
    return card(heading("Runs") + _BAR + told + rows + note(shown))


def tidy_html(offer: Offer) -> str:
    """What "keep the latest" would delete, with the button that does it."""
    kept = f" {offer.spared:,} older ones with a star or a note, or that go on, are kept." if offer.spared else ""
    if not offer.runs:
        return card(heading("Keep the latest") + note(f"Nothing would go.{kept}"))
    first, last = (_when(run.begun) for run in (offer.runs[-1], offer.runs[0]))
    n = len(offer.runs)
    said = f"{n:,} run{'s' * (n != 1)} of {first} to {last} would go, which frees {size_said(offer.size)}.{kept}"
    button = '<button type="button" data-do="tidy">Delete them</button>'
    bar = f'<div class="sw-runs-bar">{button}</div>'
    return card(heading("Keep the latest") + note(f"{said} It can be undone until the workbench ends.") + bar)


def run_html(
    run: Run,
    result: Result | None,
    settings: type[BaseModel] | None = None,
    vectors: Mapping[str, SteeringVector] | None = None,
) -> str:
    """One run: how it ended, what was asked for, and its measures.

    Args:
        run: With the panel whose page shows it, "" where there is none.
        result: What it found.
        settings: Those of its panel, where that is a study itself.
        vectors: That it used, by name.
    """
    facts = [run.kind, run.model, run.about.get("model", {}).get("dtype", ""), _when(run.begun)]
    ended = upper_first(STATES[run.state].lstrip(", ") or "done")
    title = f'<a href="{_address(run)}">{escape(run.title)}</a>' if run.panel else escape(run.title)
    opened = f'<a class="sw-open" href="{_address(run)}">Open as it was</a>' if run.panel else ""
    parts = [f'<h2 class="sw-h">{title}</h2>', f'<p class="sw-runs-bar">{pills(filter(None, facts))}{opened}</p>']
    parts.append(note(f"{ended}."))
    parts.append(actions_html(run.id, run.panel))
    if came := run.about.get(IMPORTED):
        when = f" on {_when(str(came.get('when')))}" if came.get("when") else ""
        parts.append(note(f"Imported from {came.get('file')}{when}."))
    parts += map(note, missing(run.about.get("plugins", {})))
    if run.error:
        parts.append(note(run.error))
    if result is not None and result.measures:
        rows = [
            (m.name.replace("_", " "), f"{m.value:.3g}{_interval(m.low, m.high)}", m.n, m.unit) for m in result.measures
        ]
        parts.append(table(("measure", "value", "n", "unit"), rows, words=(0, 3)))
    given = asked(run, settings, vectors)
    if chosen := [each for each in given if not each.usual]:
        parts.append(_asked_html("what was set", chosen))
    if usual := [each for each in given if each.usual]:
        said = f"{len(usual)} setting{'s' * (len(usual) != 1)} as usual"
        parts.append(f"<details><summary>{said}</summary>{_asked_html('what stayed', usual)}</details>")
    return card("".join(parts))


def _asked_html(title: str, given: Sequence[Asked]) -> str:
    rows = "".join(
        f'<tr><td>{escape(each.name)}</td><td class="sw-asked">{escape(each.value)}<small>{escape(each.hint)}</small>'
        "</td></tr>"
        for each in given
    )
    head = f"<thead><tr><th>{escape(title)}</th><th></th></tr></thead>"
    return f'<div class="sw-scroll"><table class="sw-table sw-settings">{head}<tbody>{rows}</tbody></table></div>'


def _address(run: Run) -> str:
    return f"./{escape(run.panel)}?{RUN}={escape(run.id)}"


def _row(run: Run) -> str:
    star = "★" if run.favourite else "☆"
    marked = "Take the star away from" if run.favourite else "Give a star to"
    name = escape(run.title)
    title = f'<a href="{_address(run)}">{name}</a>' if run.panel else name
    tags = "".join(f'<span class="sw-pill">{escape(tag)}</span>' for tag in run.tags)
    remove = ""
    if run.over:
        remove = f'<button type="button" class="sw-link" data-do="remove" aria-label="Delete {name}">Delete</button>'
    box = f'<input type="checkbox" data-tick="{escape(run.id)}" aria-label="Tick {name}">'
    starred = (
        f'<button type="button" class="sw-link" data-do="star" aria-pressed="{str(run.favourite).lower()}" '
        f'aria-label="{marked} {name}">{star}</button>'
    )
    small = f"<small>{escape(run.kind)} {tags}{_noted(run.note)}</small>"
    cells = (
        f'<div class="sw-run-name"><label class="sw-run-tick">{box}</label>{starred}<span>{title}{small}</span></div>',
        escape(run.model),
        _when(run.begun),
        run.state,
        f'<span class="sw-n">{size_said(run.size)}</span>',
        remove,
    )
    return f'<tr data-pick="{escape(run.id)}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _noted(text: str) -> str:
    return f" · {escape(_short(text))}" if text else ""


def _short(value: object, longest: int = 120) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"\n{low:.3g} to {high:.3g}"


def _when(iso: str) -> str:
    when = datetime.fromisoformat(iso).astimezone()
    return f"{when:%d %b %H:%M}" if when.year == datetime.now().year else f"{when:%d %b %Y}"


def open_file_html() -> str:
    """Where an exported file is chosen whose run or settings are to be shown; `assets/look` reads it."""
    return (
        '<label class="sw-open-file">Which run is this file from? Choose a figure, table, report, vector or YAML that '
        "was exported, or drop it on any page: its run opens"
        '<input type="file" data-open-file accept=".png,.svg,.html,.csv,.safetensors,.json,.yaml,.yml,.ipynb"></label>'
    )
