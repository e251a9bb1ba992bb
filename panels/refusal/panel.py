"""Refusal: find the direction along which a model refuses, see why it was chosen, and measure what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import gradio as gr

from panels.refusal.controls import RefusalControls, parsed
from panels.refusal.effects_view import Shown
from panels.refusal.steps import Steps
from panels.refusal.view import RefusalView
from steering.lane import Job
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.refusal import Inquiry, RefusalSettings, result_of
from steering.studies.refusal.settings import Until
from steering.studies.study import Result
from workbench.controls.fields import Filled
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs, latest
from workbench.page.markup import card, empty_state
from workbench.panel import Panel


_EMPTY = card(
    empty_state(
        "Nothing measured yet",
        "Step 1 reads the requests and finds how this model's refusals begin. Step 2 scores a direction at every "
        "template token and block. Step 3 ablates and adds the chosen one, beside random directions. Each step does "
        "those before it, and what was finished is kept.",
    )
)


class RefusalPanel(Panel):
    """The refusal direction in three steps."""

    id = "refusal"
    title = "Refusal"
    summary = "Find the direction along which a model refuses, ablate it, and measure everything that it changes."
    order = 40
    settings = RefusalSettings

    def run(self, host: Host, settings: RefusalSettings, job: Job[Result]) -> Result:
        """The study "refusal"."""
        return STUDIES["refusal"].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: the three steps. Right: what was found, filling as it is found."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                controls = RefusalControls(ui)
                steps = Steps(ui, controls.form)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="refusal-view"):
                ui.error_slot()
                view = RefusalView(ui, _EMPTY)
        controls.wire_picks(view.table)
        for step in steps.steps:
            ui.reveal(step.run.click, "refusal-view", always=True)
            ui.on(
                step.run.click,
                partial(_run, view=view, controls=controls, until=step.until),
                inputs={"form": controls.form, "before": view.state},
                outputs=[*view.outputs, *controls.outputs],
                run=[each.run for each in steps.steps],
                stop=steps.stop,
                again=step.run,
                title=step.title,
            )


def _run(
    call: Call, *, form: Filled, before: Shown | None, view: RefusalView, controls: RefusalControls, until: Until
) -> Iterator[Outputs | None]:
    yield view.begun(before)
    settings = parsed(form.values(), until)
    inquiry = Inquiry(call.host, settings, call.workspace.cells)
    title = f"Refusal: {settings.until}"
    call.begins("refusal", title, settings)

    def work(job: Job[None]) -> None:
        for _ in inquiry.run(job):
            job.emit(inquiry)

    job = call.host.submit(work, title=title)
    drawn: set[str] = set()
    for emitted in call.follow(job, every=0.7):
        inquiry = latest(emitted, inquiry)
        yield view.shown(inquiry, drawn, running=True) if emitted and not job.finished else {}
    if not inquiry.prepared:  # stopped, or failed, before anything was found
        job.result()
    yield {**view.shown(inquiry, drawn), **controls.shown(inquiry)}
    result = result_of(inquiry)
    call.ends(result)
    yield view.downloads(inquiry, result)  # last: where they cannot be written, all else is there
    job.result()


panel = RefusalPanel()
