"""A panel's default layout: a form made from its settings, a Run button, and the result's measures and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import BaseModel

from steering.studies.study import Result
from steering.validation import validated
from workbench.controls.field import of_setting, section
from workbench.controls.fields import Filled, place_fields
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.markup import empty_state, escape, note, table


if TYPE_CHECKING:
    from workbench.panel import Panel


def build_form(panel: Panel, ui: PanelContext) -> None:
    """Lay out `panel` from its settings model."""
    with gr.Row(elem_classes="sw-columns"):
        with gr.Column(elem_classes="sw-left"):
            fields = panel.settings.model_fields if panel.settings else {}
            parts = [of_setting(name, field) for name, field in fields.items()]
            sections = [section("Settings", *parts)] if parts else []
            form = place_fields(ui, panel.id, sections, settings=panel.settings)
            with gr.Row(elem_classes="sw-actions"):
                run = gr.Button("Run", variant="primary")
                stop = gr.Button("Stop", interactive=False)
        with gr.Column(elem_classes="sw-right"):
            ui.error_slot()
            with gr.Column(elem_classes="sw-card"):
                result = html_block(empty_state("Nothing has run yet", f"{panel.summary} Press Run."))

    def handler(call: Call, form: Filled) -> Iterator[dict[Any, Any]]:
        # Of what was left empty, the settings' own defaults or complaints apply.
        settings = validated(panel.settings, form.given(), panel.title) if panel.settings else None
        host = call.host
        call.begins(panel.id, panel.title, settings or BaseModel())
        job = host.submit(lambda job: panel.run(host, settings, job), title=panel.title)
        for _ in call.follow(job):
            yield {}
        if isinstance(job.result(), Result):  # of others' panels nobody checks it
            call.ends(job.result())
        yield {result: result_html(job.result())}

    ui.on(run.click, handler, inputs={"form": form}, outputs=[result], run=[run], stop=stop)


def result_html(result: Result) -> str:
    """What its model's self-check warns of, measures, then every table, as HTML."""
    said = "".join(map(note, result.model.get("warnings", ())))
    measures = [(m.name, _number(m.value), _interval(m.low, m.high), m.n, m.unit) for m in result.measures]
    parts = [table(("measure", "value", "95 %", "n", "unit"), measures)] if measures else []
    for title, frame in result.tables.items():
        rows = [[_number(cell) for cell in row] for row in frame.itertuples(index=False)]
        parts.append(f"<h2 class='sw-h'>{escape(title)}</h2>{table([str(name) for name in frame.columns], rows)}")
    return said + ("".join(parts) or empty_state("Done", "The run gave no table."))


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
