"""Train: vectors that are trained on preferences, by one loss or several, held against each other at equal KL."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gradio as gr

from panels.train.controls import TrainControls
from panels.train.form import making
from panels.train.view import Shown, TrainView
from steering.lane import Job
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.study import Result
from steering.studies.training.following import Followed
from steering.studies.training.settings import TrainSettings
from workbench.controls.fields import Filled
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.panel import Panel


_STUDY, _PAIRS = "train", "pairs"
_EVERY = 1.5
"""Seconds between two drawings while it trains."""


class TrainPanel(Panel):
    """Vectors that are trained on preferences."""

    id = "train"
    title = "Train"
    summary = "Train a steering vector on preferences by any of twelve losses, and see what each gains at equal KL."
    order = 15
    settings = TrainSettings

    def run(self, host: Host, settings: TrainSettings, job: Job[Result]) -> Result:
        """The study "train"."""
        return STUDIES[_STUDY].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: preferences, losses, what is trained. Right: curves while it trains, then what each loss came to."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                controls = TrainControls(ui)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="train-view"):
                ui.error_slot()
                view = TrainView(ui)

        def run(call: Call, form: Filled, before: Shown | None) -> Iterator[Outputs | None]:
            settings = controls.settings(form, call.host)
            call.begins(_STUDY, f"Training: {', '.join(settings.losses)}", settings)
            yield view.begun()
            yield from _run(call, view, settings, before)
            best = Shown(call.record.result, "").best if call.record.result is not None else None
            if best is not None:
                name = call.workspace.put(best)
                yield {ui.page.picked: name, **view.shelved(name)}

        ui.reveal(controls.run.click, "train-view")
        ui.on(
            controls.run.click,
            run,
            inputs={"form": controls.form, "before": view.state},
            outputs=[*view.outputs, ui.page.picked],
            run=[controls.run],
            stop=controls.stop,
            title="the training",
        )

        def make(call: Call, form: Filled) -> Iterator[Outputs | None]:
            settings = making(form.values())
            call.begins(_PAIRS, f"Pairs: {settings.contrast}", settings)
            job = STUDIES[_PAIRS].start(call.host, settings)
            yield from call.finish(job)
            result = job.result()
            call.ends(result)
            yield {**view.made(result), **controls.taken(result, call.visitor)}

        outputs = [*view.outputs, controls.form]
        made = {"form": controls.form}
        ui.reveal(controls.form.make_pairs, "train-found")
        ui.on(controls.form.make_pairs, make, inputs=made, outputs=outputs, stop=controls.stop, title="the pairs")


def _run(call: Call, view: TrainView, settings: TrainSettings, before: Shown | None) -> Iterator[Outputs | None]:
    """Follow a training: its curves, each vector as soon as it was compared, and all of it at the end."""
    job = STUDIES[_STUDY].start(call.host, settings)
    followed, part, due, open_ = Followed(), None, 0.0, False
    trainings = len(settings.losses) + settings.shuffled
    for emitted in call.follow(job):
        new = next((each for each in reversed(emitted) if isinstance(each, Result)), None)
        part = new or part
        if new is not None and not job.finished:
            yield view.part(Shown(new, ""), trainings)
        if not followed.take(emitted) or job.finished or time.monotonic() < due:
            yield {}
            continue
        if not open_:
            open_ = True
            yield view.opened(trainings)
        yield view.following(followed.curve, settings.budget)
        due = time.monotonic() + _EVERY
    if job.state != "done" and part is None:
        if not open_:  # else the curves stay
            yield view.ended(before)
        job.result()
    call.ends(part if part is not None and job.state != "done" else job.result())
    assert call.record.result is not None
    yield view.shown(Shown(call.record.result, call.record.id))
    job.result()


panel = TrainPanel()
