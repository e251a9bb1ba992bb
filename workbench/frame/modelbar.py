"""The model bar: what is loaded, and the way to load something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.loading.demo_models import demo_card, demo_models
from steering.loading.loader import DTYPES
from steering.loading.options import LoadOptions
from workbench.bench import ANY, Workbench
from workbench.controls.chat_card import place_chat
from workbench.controls.field import choice, more, section, text
from workbench.controls.fields import Fields, Filled, place_fields
from workbench.frame.look import bar_block
from workbench.frame.selfcheck_card import place_button, place_results
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.state import PageState


_PRECISION = "auto: float32 on a CPU, else as stored"
_BASE = "a folder or an id, where the one that a LoRA adapter names is not there"
_STAYS = "The model in use stays until the new one stands. Vectors on the shelf stay in any case."


@dataclass(frozen=True)
class ModelBar:
    """The placed bar."""

    html: gr.HTML
    context: PanelContext
    """Its line in the job strip and its error card."""


def place_model_bar(bench: Workbench, state: PageState) -> ModelBar:
    """Lay out the bar and, folded away below it, the form that loads another model. A failed load keeps the model."""
    context = PanelContext(bench, state, "Model")
    with gr.Row(elem_classes="sw-topbar"):
        html = bar_block(bench)
        check = place_button(visible=bench.lane.near)  # dozens of jobs, and what the load checked stands in the bar
        may = bool(bench.visitors_load)
        switch = gr.Button("Switch model", size="sm", elem_classes="sw-switch", min_width=0, visible=may)
    place_results(context, check)
    with gr.Column(visible=False, elem_classes="sw-card sw-loader") as column:
        form = _place_form(bench, context)
        load = gr.Button("Load", variant="primary", min_width=90, scale=0, elem_classes="sw-bottom", elem_id="load")
        place_chat(bench, context)
        context.error_slot()
    _wire(bench, context, switch, column, load, form)
    return ModelBar(html, context)


def _place_form(bench: Workbench, context: PanelContext) -> Fields:
    any_ = ANY in bench.visitors_load
    models = list(demo_models()) if any_ else sorted(bench.visitors_load)
    parts = (
        choice(
            "name",
            "Model",
            [(_described(name), name) for name in models],
            "" if any_ else next(iter(models), ""),
            own=any_,
            another="a folder, or a Hugging Face id …",
            placeholder="such as Qwen/Qwen3-0.6B",
        ),
        more(
            choice("dtype", "Precision", [(each, each) for each in ("auto", *DTYPES)], "auto", hint=_PRECISION),
            text("device", "Device", "auto", hint="auto, cpu, cuda, cuda:1, mps", half=True),
            text("base", "Base of an adapter", "", hint=_BASE, half=True),
        ),
    )
    return place_fields(context, "model", [section("", *parts, note=_STAYS)])


def _described(name: str) -> str:
    return f"{name}: {demo_card(name)['description']}" if name in demo_models() else name


def _wire(
    bench: Workbench, context: PanelContext, switch: gr.Button, column: gr.Column, load: gr.Button, form: Fields
) -> None:
    open_ = gr.State(False)

    def toggle(shown: bool) -> dict[Any, Any]:
        return {column: gr.update(visible=not shown), open_: not shown}

    def load_model(call: Call, form: Filled) -> Iterator[dict[Any, Any]]:
        given = {name: value.strip() for name, value in form.values().items()}
        options = LoadOptions(dtype=given["dtype"], device=given["device"] or "auto", base=given["base"] or None)
        job = bench.load(given["name"], options)
        # Other visitors wait for this model too, so that leaving the page must not stop it.
        for _ in call.follow(job, own=False):
            yield {}
        job.result()
        yield {column: gr.update(visible=False), open_: False}

    context.quick(switch.click, toggle, inputs={"shown": open_}, outputs=[column, open_])
    outputs = [column, open_]
    context.on(load.click, load_model, inputs={"form": form}, outputs=outputs, run=[load], title="loading the model")
