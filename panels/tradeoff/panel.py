"""Trade-off: what steering gains and what it costs, at every strength, beside other methods and random directions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from panels.tradeoff.controls import TradeoffControls
from panels.tradeoff.view import Shown, TradeoffView
from steering.lane import Job
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.size import Size
from steering.studies.study import Result
from steering.studies.tradeoff import Comparison, TradeoffSettings, picture_of, result_of
from workbench.controls.estimate_words import estimate
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs, latest
from workbench.page.markup import card, empty_state
from workbench.panel import Panel


_EMPTY = card(
    empty_state(
        "Nothing measured yet",
        "Choose a recipe and press Run. Its strength is swept to both sides of 0, and every strength is read on answer "
        "pairs (alignment) and on questions (helpfulness), beside other methods and random directions of equal norm. "
        "The charts fill as it is read; what was read is kept.",
    )
)
_EVERY = 1.5
"""Seconds between two drawings while it runs, at least: each works out all intervals anew,"""
_SHARE = 5
"""so that so many times as long passes as the last one took."""


class TradeoffPanel(Panel):
    """Alignment against helpfulness."""

    id = "tradeoff"
    title = "Trade-off"
    summary = "What steering gains and what it costs, at every strength, beside other methods and random directions."
    order = 50
    settings = TradeoffSettings
    receives = True

    def run(self, host: Host, settings: TradeoffSettings, job: Job[Result]) -> Result:
        """The study "tradeoff"."""
        return STUDIES["tradeoff"].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: what is compared and measured. Right: the charts, filling as it is read."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                controls = TradeoffControls(ui)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="tradeoff-view"):
                ui.error_slot()
                view = TradeoffView(ui, _EMPTY)

        def run(call: Call, before: Shown | None, which: str | None, **values: Any) -> Iterator[Outputs | None]:
            settings = controls.settings(**values)
            vectors = controls.vectors()
            found = Comparison(call.host, settings, call.workspace.cells, vectors)
            used = {name: vectors[name] for recipe in settings.recipes for name in recipe.vectors if name in vectors}
            call.begins("tradeoff", _title(found), settings, recipes=settings.recipes, vectors=used)
            yield view.begun(before)
            yield from _run(call, view, found, which)

        ui.reveal(controls.run.click, "tradeoff-view")
        ui.on(
            controls.run.click,
            run,
            inputs={**controls.inputs, "before": view.state, "which": view.which},
            outputs=view.outputs,
            run=[controls.run],
            stop=controls.stop,
            title="the trade-off",
        )


def _run(call: Call, view: TradeoffView, found: Comparison, which: str | None) -> Iterator[Outputs | None]:
    def work(job: Job[None]) -> None:
        job.report(0, 1, "vectors and items")
        job.emit(found.size())
        for _ in found.run(job):
            job.emit(found)

    job = call.host.submit(work, title=_title(found))
    due, open_ = 0.0, False
    for emitted in call.follow(job):
        size = next((each for each in emitted if isinstance(each, Size)), None)
        if size is not None:
            yield view.sized(estimate(size, call.host))
        found = latest(emitted, found)
        if not any(each is found for each in emitted) or job.finished or time.monotonic() < due:
            yield {}
            continue
        began = time.monotonic()
        picture = picture_of(found)
        if picture.main is not None:
            if not open_:
                open_ = True
                yield view.opened()
            yield from view.shown(picture, which)
            due = time.monotonic() + max(_EVERY, _SHARE * (time.monotonic() - began))
    picture = picture_of(found)
    if picture.main is not None:
        yield view.opened()
        yield from view.shown(picture, which)
        yield view.ended(picture)
        result = result_of(picture)
        call.ends(result)
        yield view.downloads(picture, result)  # last: where they cannot be written, all else is there
    job.result()


def _title(found: Comparison) -> str:
    return f"Trade-off: {', '.join(dict.fromkeys(recipe.vectors[0] for recipe in found.settings.recipes))}"


panel = TradeoffPanel()
