"""Runs as HTML: a list of them, and one whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from steering.names import upper_first
from steering.studies.study import Result
from workbench.page.kept_view import RUN, STATES
from workbench.page.markup import card, empty_state, escape, heading, note, pills, table
from workbench.page.picks import pick_table
from workbench.runs.run import Run


RUNS_SCRIPT = """
element.addEventListener('click', event => {
  const row = event.target.closest('[data-pick]'), button = event.target.closest('[data-do]');
  if (!row || event.target.closest('a')) return;
  if (!button) {
    element.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
    row.classList.add('sw-chosen');
  }
  const done = {'star': 'star', 'remove': 'remove'}[button?.dataset.do] ?? 'choose';
  trigger(done, {pick: row.dataset.pick});
});
"""
"""Fires `choose`, `star` and `remove` with a run's id."""
_HEADS = ("Run", "Model", "When", "State", "Size")


def runs_html(found: Sequence[Run], n: int, size: int) -> str:
    """The list.

    Args:
        found: What is shown, the latest first.
        n: How many there are in all.
        size: Bytes that they take on the disk.
    """
    if not n:
        return card(
            empty_state(
                "No runs",
                "Every generation and study is kept here, of this page and of the command line: with its settings, "
                "what it found and what the page showed. Run something, or look for less.",
            )
        )
    head = "".join(f"<th>{each}</th>" for each in _HEADS) + "<th></th>"
    said = f"{len(found):,} of {n:,} runs, {_size(size)} on the disk in all. A click on a row shows what it was."
    return card(heading("Runs") + pick_table(head, "".join(map(_row, found)), tall=True) + note(said))


def run_html(run: Run, result: Result | None) -> str:
    """One run: how it ended, what was asked for, and its measures."""
    given = [(name, _short(run.about["settings"].get(name))) for name in run.about.get("given", ())]
    facts = [run.kind, run.model, run.about.get("model", {}).get("dtype", ""), _when(run.begun)]
    ended = upper_first(STATES[run.state].lstrip(", ") or "done")
    parts = [heading(run.title), pills(filter(None, facts)), note(f"{ended}.")]
    if run.error:
        parts.append(note(run.error))
    if given:
        parts.append(table(("what was set", ""), given, words=(0, 1)))
    if result is not None and result.measures:
        rows = [(m.name, f"{m.value:.3g}{_interval(m.low, m.high)}", m.n, m.unit) for m in result.measures]
        parts.append(table(("measure", "value", "n", "unit"), rows, words=(0, 3)))
    return card("".join(parts))


def _row(run: Run) -> str:
    star = "★" if run.favourite else "☆"
    marked = "Take the star away from" if run.favourite else "Give a star to"
    name = escape(run.title)
    title = f'<a href="./{escape(run.panel)}?{RUN}={escape(run.id)}">{name}</a>' if run.panel else name
    tags = "".join(f'<span class="sw-pill">{escape(tag)}</span>' for tag in run.tags)
    remove = ""
    if run.over:
        remove = f'<button type="button" class="sw-link" data-do="remove" aria-label="Delete {name}">Delete</button>'
    starred = (
        f'<button type="button" class="sw-link" data-do="star" aria-pressed="{str(run.favourite).lower()}" '
        f'aria-label="{marked} {name}">{star}</button>'
    )
    cells = (
        f"{starred} {title}<small>{escape(run.kind)} {tags}{_noted(run.note)}</small>",
        escape(run.model),
        _when(run.begun),
        run.state,
        f'<span class="sw-n">{_size(run.size)}</span>',
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


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size / 1e3:.0f} kB"


def open_file_html() -> str:
    """Where an exported file is chosen whose run or settings are to be shown; `assets/look` reads it."""
    return (
        '<label class="sw-open-file">Open an exported file (figure, table, report, vector or YAML), or drop it on '
        "any page"
        '<input type="file" data-open-file accept=".png,.svg,.html,.csv,.safetensors,.json,.yaml,.yml,.ipynb"></label>'
    )
