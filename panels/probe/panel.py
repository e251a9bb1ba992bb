"""Probe: polarity-aware CCS with its controls, next to supervised probes, block by block."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gradio as gr

from panels.probe.controls import ProbeControls, parsed
from panels.probe.view import ProbeView, Shown
from steering.lane import Job
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.probing import ProbeSettings, Probing, picture_of, result_of
from steering.studies.study import Result
from workbench.controls.fields import Filled
from workbench.controls.offers import fitting
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs, latest
from workbench.page.markup import card, empty_state
from workbench.panel import Panel


_EMPTY = card(
    empty_state(
        "Nothing probed yet",
        "Press Run. Every statement is read twice, with Yes and with No behind it, at every block. CCS looks for a "
        "direction that turns with the answer, without labels; supervised probes, the texts alone, random directions "
        "and shuffled pairs stand beside it, and a sentence says what it really reads.",
    )
)
_EVERY = 1.5
"""Seconds between two drawings while it runs."""


class ProbePanel(Panel):
    """Probes of harm, with and without labels."""

    id = "probe"
    title = "Probe"
    summary = "Whether a model's states tell harmful statements from safe ones, and what a probe of them really reads."
    order = 60
    settings = ProbeSettings

    def run(self, host: Host, settings: ProbeSettings, job: Job[Result]) -> Result:
        """The study "probe"."""
        return STUDIES["probe"].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: statements and probes. Right: curves and words, filling block by block."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                controls = ProbeControls(ui)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="probe-view"):
                ui.error_slot()
                view = ProbeView(ui, _EMPTY)

        def run(call: Call, form: Filled, before: Shown | None, part: str, place: str) -> Iterator[Outputs | None]:
            settings = parsed(form.values())
            vectors = {name: ui.workspace.get(name).vector for name in fitting(ui)}
            found = Probing(
                call.host,
                settings,
                states=str(call.workspace.folder / "states"),
                kept=call.workspace.cells,
                vectors=vectors,
            )
            call.begins("probe", _title(found), settings, vectors=vectors)
            yield view.begun(before)
            yield from _run(call, view, found, part, place)

        ui.reveal(controls.run.click, "probe-view", always=True)
        ui.on(
            controls.run.click,
            run,
            inputs={"form": controls.form, "before": view.state, "part": view.part, "place": view.place},
            outputs=view.outputs,
            run=[controls.run],
            stop=controls.stop,
            title="the probes",
        )


def _run(call: Call, view: ProbeView, found: Probing, part: str, place: str) -> Iterator[Outputs | None]:
    def work(job: Job[None]) -> None:
        for _ in found.run(job):
            job.emit(found)

    job = call.host.submit(work, title=_title(found))
    drawn, blocks = 0.0, 0
    for emitted in call.follow(job):
        found = latest(emitted, found)
        picture = picture_of(found) if emitted and not job.finished else None
        if picture is None or (len(found.at) == blocks and time.monotonic() - drawn < _EVERY):
            yield {}
            continue
        if not blocks:
            yield view.opened()
        # Curves change with every block, then only what the directions do.
        curves = {} if len(found.at) == blocks else view.shown(picture, part, place)
        yield {**curves, **view.further(picture)}
        drawn, blocks = time.monotonic(), len(found.at)
    picture = picture_of(found)
    if picture is not None:
        yield view.opened()
        further = view.further(picture)
        yield {card_: value for card_, value in further.items() if isinstance(value, str)}
        yield {**view.shown(picture, part, place), **further}
        yield view.ended(picture)
        result = result_of(picture)
        call.ends(result)
        yield view.downloads(picture, result)  # last: where they cannot be written, all else is there
    job.result()


def _title(found: Probing) -> str:
    return f"Probes: {found.statements.name}"


panel = ProbePanel()
