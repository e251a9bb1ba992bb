"""A result as a page shows it without a layout of its own: words, numbers with intervals, figures, tables, vectors."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from steering.errors import SteeringError
from steering.figures.plain import plain
from steering.names import upper_first
from steering.numbers import plain_number, with_unit
from steering.studies.drawn import Drawn
from steering.studies.study import Measure, Result
from steering.vectors.vector import SteeringVector
from workbench.page.blocks import event_of, html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import card, empty_state, escape, fold, heading, note, table
from workbench.page.pictures import place_picture


FIGURES = 6
"""That are drawn; further ones lie in the files."""
ROWS = 200
"""Of a table that are shown."""
_LONGEST = 20_000
"""Characters of a file that are shown."""
_READ = (".txt", ".md", ".yaml", ".yml", ".py", ".csv")
"""Endings of further files that are shown as they are."""
SHELVE = """
element.addEventListener('click', event => {
  const asked = event.target.closest('[data-shelve]');
  if (asked) trigger('shelve', {run: asked.dataset.run, vector: asked.dataset.shelve});
});
"""
"""Fires `shelve` with a run and the name of a vector that it made."""
_log = logging.getLogger(__name__)


def own_figures(result: Result) -> Iterator[Drawn]:
    """Those that a result brings, which have no captions."""
    return ((title, figure, "") for title, figure in result.figures.items())


class ResultView:
    """Places what shows a result."""

    def __init__(
        self,
        ui: PanelContext,
        key: str,
        title: str,
        body: str,
        *,
        figures: int = FIGURES,
        draw: Callable[[Result], Iterable[Drawn]] = own_figures,
        named: str = "",
        lead: int | None = None,
    ) -> None:
        """Lay it out, empty.

        Args:
            ui: Of the panel.
            key: Begins the ids of its parts.
            title: What it says while there is nothing.
            body: And below that.
            figures: The most that are drawn.
            draw: Gives the figures of a result.
            named: What stands above what a result says; nothing where empty.
            lead: How many sentences of a result stand open; all where None.
        """
        self._ui, self.elem_id, self._draw = ui, f"{key}-result", draw
        self._named, self._lead = named, lead
        self._empty = card(empty_state(title, body))
        self._said = streamed_block(self._empty, elem_id=self.elem_id, script=SHELVE)
        self._shelved = wire_shelving(ui, self._said)
        self._pictures = [place_picture(f"{key}-figure-{n + 1}", card=True) for n in range(figures)]
        self._tables = streamed_block("", elem_id=f"{key}-tables", elem_classes="sw-results")
        self.outputs: list[Any] = [self._said, *self._pictures, self._tables, self._shelved]

    def begun(self) -> Outputs:
        """Nothing, while a run has found nothing yet."""
        said = card(empty_state("Running", "What it finds stands here as soon as there is any."))
        return {self._said: said, **dict.fromkeys(self._pictures), self._tables: "", self._shelved: ""}

    def ended(self) -> Outputs:
        """Nothing, of a run that ended before it found anything."""
        return {self._said: self._empty, **dict.fromkeys(self._pictures), self._tables: "", self._shelved: ""}

    def shown(self, result: Result, run: str) -> Outputs:
        """A result.

        Args:
            result: Whole, or as far as it has come.
            run: Id of its run in the list; "" where it is not kept, or not yet.
        """
        drawn, left = _drawn(self._draw(result), len(self._pictures))
        notes = notes_of(result, left)
        lead = len(notes) if self._lead is None else self._lead
        said = said_html(result, run, notes[:lead])
        more = "".join(map(note, notes[lead:]))
        others = drawn or result.tables or result.files
        if not said:
            said = "" if others else empty_state("Done", "The run gave no number, figure or table.")
        figures = dict.fromkeys(self._pictures) | dict(zip(self._pictures, drawn, strict=False))
        said = heading(self._named) + said if said and self._named else said
        folded = fold(f"{self.elem_id}-more", "More that was found", more) if more else ""
        said = card(said) if said else ""
        return {self._said: said, **figures, self._tables: folded + "".join(_further(result)), self._shelved: ""}


def wire_shelving(ui: PanelContext, block: gr.HTML) -> gr.HTML:
    """Let vectors of a run be put on the shelf from markup whose script is `SHELVE`, by buttons with their name as
    `data-shelve` and the run's id as `data-run`.

    Returns:
        Where it says that one was (`on_shelf`), laid out where this is called; to be emptied once the markup is about
        other vectors.
    """
    said = html_block("", elem_id=f"{block.elem_id}-shelved")

    def put(event: gr.EventData, visitor: str) -> Outputs:
        changes = shelved(ui, event, visitor)
        return {**changes, said: on_shelf(changes[ui.page.picked])}

    ui.quick(event_of(block, "shelve"), put, outputs=[ui.page.picked, said], of_event=True, of_visitor=True)
    return said


def on_shelf(name: str) -> str:
    """That a vector was put on the shelf, and under which name."""
    return f'<p class="sw-note" role="status">On the shelf now: {escape(name)}.</p>'


def shelved(ui: PanelContext, event: gr.EventData, visitor: str) -> Outputs:
    """Put a vector of a visitor's run on the shelf.

    Raises:
        SteeringError: The run is somebody else's or has no such vector.
    """
    name = text_of(event, "vector")
    run, owner = ui.workspace.runs.get(text_of(event, "run")), ui.bench.owner(visitor)
    result = ui.workspace.runs.result(run.id) if owner in (None, run.owner) else None
    if result is None or name not in result.vectors:
        raise SteeringError(f"The run has no vector '{name[:60]}'.", "a vector that it made.", "Run it again.")
    return {ui.page.picked: ui.workspace.put(result.vectors[name], name)}


def notes_of(result: Result, left: Sequence[str] = ()) -> list[str]:
    """The sentences of a result, those on what its model fails first, and on what the page leaves out."""
    return [*dict.fromkeys((*result.model.get("warnings", ()), *result.notes, *left))]


def said_html(result: Result, run: str = "", notes: Sequence[str] | None = None) -> str:
    """What a result says before its figures and tables: numbers, what to mind, vectors.

    Args:
        result: It.
        run: Id of its run; "" where it is not kept.
        notes: Those of its sentences that are said; all where None.
    """
    said = notes_of(result) if notes is None else notes
    return _measures(result.measures) + "".join(map(note, said)) + _vectors(result, run)


def _measures(measures: tuple[Measure, ...]) -> str:
    """Numbers with unit, interval and what they were counted on."""
    if not measures:
        return ""
    rows = []
    for each in measures:
        spread = _spread(each.low, each.high)
        value = with_unit(plain_number(each.value), each.unit)
        rows.append((each.name, f"{value}\n95 %: {spread}" if spread else value, f"{each.n:,}"))
    return heading("Measured") + table(("what", "value", "n"), rows)


def _drawn(figures: Iterable[Drawn], most: int) -> tuple[list[Any], list[str]]:
    """Figures as the page's pictures take them, and what is said of those that are not drawn."""
    found: list[Any] = []
    left = []
    for title, figure, caption in figures:
        try:
            plain(figure)
        except Exception as error:  # a third party's figure may be anything
            _log.info("the figure %s is not drawn: %s", title, error)
            left.append(f"The figure “{title}” is not drawn here ({error}); it lies in the files.")
            continue
        found.append((figure if figure.layout.title.text else _titled(figure, title), caption))
    if len(found) > most:
        left.append(f"{len(found) - most} further figures lie in the files.")
    return found[:most], left


def _titled(figure: Any, title: str) -> Any:
    return type(figure)(figure).update_layout(title_text=title)


def _vectors(result: Result, run: str) -> str:
    if not result.vectors:
        return ""
    lines = "".join(f"<li>{_vector(name, vector, run)}</li>" for name, vector in result.vectors.items())
    return heading("Vectors") + f'<ul class="sw-found">{lines}</ul>'


def _vector(name: str, vector: SteeringVector, run: str) -> str:
    auroc = vector.best_auroc
    said = f"block {vector.default_block}, {vector.site.replace('_', ' ')}"
    said += f", held-out AUROC {auroc:.2f}" if auroc is not None and math.isfinite(auroc) else ""
    button = (
        f' <button type="button" class="sw-link" data-shelve="{escape(name)}" data-run="{escape(run)}">'
        "Put it on the shelf</button>"
        if run
        else ""
    )
    return f"<b>{escape(name)}</b>: {escape(said)}{button}"


def _further(result: Result) -> Iterator[str]:
    """Tables, the first one open, and texts."""
    order = sorted(result.tables, key=lambda name: name != result.headline)
    for n, name in enumerate(order):
        inner, title = _table(name, result.tables[name]), upper_first(name.replace("_", " "))
        yield fold(f"table-{name}", title, inner) if n else card(heading(title) + inner)
    for name, text in result.files.items():
        if name.lower().endswith(_READ):
            cut = note(f"The first {_LONGEST:,} of {len(text):,} characters.") if len(text) > _LONGEST else ""
            yield fold(f"file-{name}", name, f'<pre class="sw-file">{escape(text[:_LONGEST])}</pre>{cut}')


def _table(name: str, frame: pd.DataFrame) -> str:
    """A table with every interval below its value; long texts wrap."""
    ends = {f"{each}_{end}" for each in frame.columns for end in ("low", "high")} & {*map(str, frame.columns)}
    columns = [each for each in frame.columns if str(each) not in ends]
    words = {n for n, each in enumerate(columns) if not pd.api.types.is_numeric_dtype(frame[each])}
    rows = [[_cell(row, each) for each in columns] for row in frame.head(ROWS).to_dict("records")]
    shown = table([str(each).replace("_", " ") for each in columns], rows, words=words)
    more = (
        note(f"{ROWS} of {len(frame):,} rows; all of them are in {name}.csv of the files.") if len(frame) > ROWS else ""
    )
    return shown + more


def _cell(row: dict[Any, Any], name: Any) -> str:
    value, low, high = row[name], row.get(f"{name}_low"), row.get(f"{name}_high")
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    spread = _spread(low, high)
    return f"{plain_number(value)}\n{spread}" if spread else plain_number(value)


def _spread(low: Any, high: Any) -> str:
    """An interval in words; "" where there is none."""
    if not isinstance(low, float) or not isinstance(high, float) or math.isnan(low):
        return ""
    return f"{plain_number(low)} to {plain_number(high)}"
