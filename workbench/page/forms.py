"""A panel's default layout: a form made from its settings, a Run button, and the result's measures and tables."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import gradio as gr
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from steering.bounds import check_given
from steering.recipes.recipe import validation_error
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.markup import empty_state, escape, heading, note, table


if TYPE_CHECKING:
    from steering.studies.study import Result
    from workbench.panel import Panel

_FEW = 4


def build_form(panel: Panel, ui: PanelContext) -> None:
    """Lay out `panel` from its settings model."""
    with gr.Row(elem_classes="sw-columns"):
        with gr.Column(elem_classes="sw-left"):
            fields = panel.settings.model_fields if panel.settings else {}
            with gr.Column(elem_classes="sw-card", visible=bool(fields)):
                html_block(heading("Settings"))
                inputs = {name: field_control(name, field) for name, field in fields.items()}
            with gr.Row(elem_classes="sw-actions"):
                run = gr.Button("Run", variant="primary")
                stop = gr.Button("Stop", interactive=False)
        with gr.Column(elem_classes="sw-right"):
            ui.error_slot()
            with gr.Column(elem_classes="sw-card"):
                result = html_block(empty_state("Nothing has run yet", f"{panel.summary} Press Run."))

    def handler(call: Call, **values: Any) -> Iterator[dict[Any, Any]]:
        check_given(panel.title, _given(values))
        try:
            settings = panel.settings(**_given(values)) if panel.settings else None
        except ValidationError as error:
            raise validation_error(panel.title, error) from error
        check_given(panel.title, settings.model_dump() if settings else {})  # a number may have been given as a text
        host = call.host
        job = host.submit(lambda job: panel.run(host, settings, job), title=panel.title)
        for _ in call.follow(job):
            yield {}
        yield {result: result_html(job.result())}

    ui.on(run.click, handler, inputs=inputs, outputs=[result], run=[run], stop=stop)


def field_control(name: str, field: FieldInfo) -> gr.components.Component:
    """The component that suits a settings field: switch, choice, number or text."""
    kind = _plain(field.annotation)
    shared = {"label": name.replace("_", " ").capitalize(), "info": field.description, "value": _default(field)}
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        return gr.Radio(choices, **shared) if len(choices) <= _FEW else gr.Dropdown(choices, **shared)
    if kind is bool:
        return gr.Checkbox(**shared)
    if kind in (int, float):
        return gr.Number(precision=0 if kind is int else None, **shared)
    return gr.Textbox(**shared)


def result_html(result: Result) -> str:
    """What its model's self-check warns of, measures, then every table, as HTML."""
    said = "".join(map(note, result.model.get("warnings", ())))
    measures = [(m.name, _number(m.value), _interval(m.low, m.high), m.n, m.unit) for m in result.measures]
    parts = [table(("measure", "value", "95 %", "n", "unit"), measures)] if measures else []
    for title, frame in result.tables.items():
        rows = [[_number(cell) for cell in row] for row in frame.itertuples(index=False)]
        parts.append(f"<h2 class='sw-h'>{escape(title)}</h2>{table([str(name) for name in frame.columns], rows)}")
    return said + ("".join(parts) or empty_state("Done", "The run gave no table."))


def _plain(annotation: Any) -> Any:
    """The type inside an optional one."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was left empty, so that the settings' own defaults or complaints apply."""
    return {name: value for name, value in values.items() if value not in (None, "")}


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
