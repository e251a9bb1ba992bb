"""What happens on a page while a handler that needs the model runs, from the click to what is kept of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.origins.carriers import stamp
from workbench.memory import Properties, changed, join_all
from workbench.page.jobs import Call, Handler, Outputs, Slots, drive, within


if TYPE_CHECKING:
    from workbench.page.context import PanelContext


@dataclass(frozen=True, eq=False)
class Wired:
    """An event that needs the model, as it was wired; see `PanelContext.on`."""

    handler: Handler
    inputs: Mapping[str, Any]
    outputs: Collection[Any]
    run: Sequence[gr.Button]
    stops: Sequence[gr.Button]
    again: str
    """Id of the button that repeats it; "" where there is none."""


def steps(ui: PanelContext, wired: Wired, call: Call, values: Sequence[Any]) -> Iterator[dict[Any, Any]]:
    """Run the handler to its end: yields what changes on the page, and keeps its run once it has ended.

    Args:
        ui: Of the panel.
        wired: Its event.
        call: Handed to the handler.
        values: Of the inputs.
    """
    if wired.run:  # Gradio takes an empty mapping for a missing value of every output
        yield {button: gr.update(interactive=False) for button in wired.run}
    settings = dict(zip(wired.inputs.values(), values, strict=True))
    call.page = {"settings": ui.runs.typed(settings), "run": wired.again}
    slots = Slots(line=ui.line, job=ui.job_id, errors=ui.errors)
    stoppable, told = False, None
    view: Properties = {}
    given = dict(zip(wired.inputs, values, strict=True))
    for outputs in within(ui.bench, drive(call, wired.handler, given, slots)):
        _stamp(call, outputs)
        changes = {**ui.remembered(call.visitor, outputs), ui.page.shelf_seen: ui.bench.seen}
        if not stoppable and outputs.get(ui.job_id) is not None:  # before that, Stop would stop nothing
            stoppable = True
            changes |= {button: gr.update(interactive=True) for button in wired.stops}
        if ui.notice is not None and told != call.record.id and not set(wired.outputs).isdisjoint(outputs):
            told = call.record.id  # which a run has once its settings are found right
            changes[ui.notice.html] = ui.notice.results_begin(call.visitor, call.record.id)
        join_all(view, changed(changes))
        yield changes
    yield {
        **ui.runs.keep(call, view),
        **{button: gr.update(interactive=True) for button in wired.run},
        **{button: gr.update(interactive=False) for button in wired.stops},
    }
    ui.runs.keep_details(call, view)


def _stamp(call: Call, changes: Outputs) -> None:
    """Put into files for download which run they come from; on a run that was shown again, their buttons were off.

    Args:
        call: Of the handler.
        changes: What it gives the page.
    """
    for part, change in changes.items():
        value = change.get("value") if isinstance(change, Mapping) else change
        if not isinstance(part, gr.DownloadButton) or not isinstance(value, str):
            continue
        if isinstance(change, dict):
            change.setdefault("interactive", True)
        path = Path(value)  # which may be a vector's on the shelf
        if path.is_relative_to(call.workspace.exports) and (origin := call.record.origin) is not None:
            stamp(path, origin)
