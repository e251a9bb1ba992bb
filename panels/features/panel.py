"""Features: sparse dictionaries of a model's states, looked at and steered by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from panels.features.controls import FeaturesControls
from panels.features.markup import about_html
from panels.features.view import FoundView, Shown
from steering.dictionaries.fit import check_model
from steering.dictionaries.loading import load_dictionary
from steering.dictionaries.sources import placed
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.drawn import drawn
from steering.studies.features.settings import FeaturesSettings
from steering.studies.study import Result
from workbench.controls.default_view import ResultView
from workbench.controls.fields import Filled
from workbench.controls.offers import vectors_at_hand
from workbench.page.blocks import streamed_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import card, heading, note
from workbench.panel import Panel


_HEALTH, _FIND, _CAUSE = "dictionary_health", "features", "feature_cause"
_NONE = "None is named. Its features are what all of this page is about: choose one that belongs to the model."
_SHORTEST = {_CAUSE: "agreement"}
"""The table that stands open of a study, where its own first one is long and drawn, too."""


class FeaturesPanel(Panel):
    """A dictionary's health, its features, and what they cause."""

    id = "features"
    title = "Features"
    summary = "Which features of a sparse dictionary are active, tell texts apart and move the output; steer by them."
    order = 65
    settings = FeaturesSettings

    def run(self, host: Host, settings: FeaturesSettings, job: Job[Result]) -> Result:
        """The study "features"."""
        return STUDIES[_FIND].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: a dictionary, texts, ways to look. Right: its health, its features, what runs through them."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                controls = FeaturesControls(ui)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="features-view"):
                ui.error_slot()
                place_about(ui, controls)
                health = ResultView(
                    ui,
                    "features-health",
                    "Its health was not checked yet",
                    "How much of the model's states it gives back on these texts, beside as many random directions.",
                    figures=1,
                    draw=drawn,
                    named="Health",
                    lead=5,
                )
                found = FoundView(ui)
                cause = ResultView(
                    ui,
                    "features-cause",
                    "What runs through features was not measured yet",
                    "Features are switched off and turned up, alone and together, beside random ones as active.",
                    figures=2,
                    draw=drawn,
                    named="What runs through them",
                    lead=8,
                )
        _wire(ui, controls, found, {_HEALTH: (health, controls.health), _CAUSE: (cause, controls.cause)})


def place_about(ui: PanelContext, controls: FeaturesControls) -> None:
    """What the files of the dictionary say that is named in the form."""
    about = streamed_block("", elem_id="features-about")

    def tell(form: Filled) -> Outputs:
        return {about: _about(form.ready["dictionary"].strip(), ui.host)}

    ui.watch("model", controls.form.another_dictionary, call=tell, inputs={"form": controls.form}, outputs=[about])


def _about(source: str, host: Host | None) -> str:
    if not source:
        return card(heading("Dictionary") + note(_NONE))
    try:
        if placed(source.partition("?")[0]) is None:  # of the Hub: fetched when somebody asks for more than its name
            return card(heading("Dictionary") + note(f"{source}: it is fetched when it is first used."))
        found = load_dictionary(source)
        said = about_html(found, check_model(found, host) if host is not None else ())
    except SteeringError as error:
        said = note(str(error))
    return card(heading("Dictionary") + said)


def _wire(
    ui: PanelContext,
    controls: FeaturesControls,
    found: FoundView,
    views: dict[str, tuple[ResultView, gr.Button]],
) -> None:
    buttons = [controls.find, controls.health, controls.cause]
    shared: dict[str, Any] = {"run": buttons, "stop": controls.stop}

    def find(call: Call, form: Filled, before: Shown | None) -> Iterator[Outputs | None]:
        settings = controls.settings(_FIND, form)
        vectors = vectors_at_hand(ui)
        used = {name: vectors[name] for name in (form.ready["vector"],) if name in vectors}
        yield from _run(
            call,
            (_FIND, settings),
            used,
            (found.begun, lambda: found.ended(before), lambda result, run: found.shown(Shown.of(result, run))),
        )

    ui.on(
        controls.find.click,
        find,
        inputs={"form": controls.form, "before": found.state},
        outputs=found.outputs,
        title="finding features",
        again=controls.find,
        **shared,
    )
    ui.reveal(controls.find.click, "features-notes")
    for kind, (view, button) in views.items():

        def measure(call: Call, form: Filled, kind: str = kind, view: ResultView = view) -> Iterator[Outputs | None]:
            shown = partial(_in_short, view)
            yield from _run(call, (kind, controls.settings(kind, form)), {}, (view.begun, view.ended, shown))

        ui.on(
            button.click,
            measure,
            inputs={"form": controls.form},
            outputs=view.outputs,
            title=STUDIES[kind].title,
            again=button,
            **shared,
        )
        ui.reveal(button.click, view.elem_id, always=True)


def _in_short(view: ResultView, result: Result, run: str) -> Outputs:
    """A result by its sentences, a figure and its tables: each of its many numbers stands in one of these."""
    headline = _SHORTEST.get(result.study, result.headline)
    return view.shown(replace(result, measures=(), headline=headline), run)


_Shows = tuple[Callable[[], Outputs], Callable[[], Outputs], Callable[[Result, str], Outputs]]
"""When a run begins, when it ended without anything, and with what it found."""


def _run(call: Call, asked: tuple[str, Any], used: dict[str, Any], shows: _Shows) -> Iterator[Outputs | None]:
    kind, settings = asked
    study, (begun, ended, shown) = STUDIES[kind], shows
    call.begins(kind, f"{study.title}: {settings.dictionary or 'the demo models’ own'}", settings, vectors=used)
    yield begun()
    job = study.start(call.host, settings)
    yield from call.finish(job)
    if job.state != "done":
        yield ended()
    call.ends(job.result())
    assert call.record.result is not None
    yield shown(call.record.result, call.record.id)


panel = FeaturesPanel()
