"""The model bar: what is loaded, and the way to load something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.loading.loader import DTYPES, demo_card, demo_models
from steering.loading.options import LoadOptions
from workbench.bench import ANY, Workbench
from workbench.controls.chat_card import place_chat
from workbench.frame.look import bar_block
from workbench.frame.selfcheck_card import place_button, place_results
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.markup import note
from workbench.page.state import PageState


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
        check = place_button()
        may = bool(bench.visitors_load)
        switch = gr.Button("Switch model", size="sm", elem_classes="sw-switch", min_width=0, visible=may)
    place_results(context, check)
    with gr.Column(visible=False, elem_classes="sw-card sw-loader") as form:
        with gr.Row(equal_height=True):
            name = gr.Dropdown(
                list(demo_models()) if ANY in bench.visitors_load else sorted(bench.visitors_load),
                label="Model",
                info="A demo model, a local folder, or a Hugging Face id such as Qwen/Qwen3-0.6B",
                value=None,
                allow_custom_value=ANY in bench.visitors_load,
                elem_id="model-name",
                scale=4,
            )
            load = gr.Button("Load", variant="primary", min_width=90, scale=0, elem_classes="sw-bottom", elem_id="load")
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            with gr.Row():
                dtype = gr.Radio(
                    ["auto", *DTYPES], value="auto", label="Precision", info="auto: float32 on a CPU, else as stored"
                )
                device = gr.Textbox("auto", label="Device", info="auto, cpu, cuda, cuda:1, mps")
                base = gr.Textbox(
                    "",
                    label="Base of an adapter",
                    info="a folder or an id, where the one that a LoRA adapter names is not there",
                    elem_id="model-base",
                )
        html_block(_demo_list())
        html_block(note("The model in use stays until the new one stands. Vectors on the shelf stay in any case."))
        place_chat(bench, context)
        context.error_slot()
    shown = gr.State(False)
    _wire(bench, context, switch, form, shown, load, {"name": name, "dtype": dtype, "device": device, "base": base})
    return ModelBar(html, context)


def _demo_list() -> str:
    return "".join(note(f"{name}: {demo_card(name)['description']}") for name in demo_models())


def _wire(
    bench: Workbench,
    context: PanelContext,
    switch: gr.Button,
    form: gr.Column,
    shown: gr.State,
    load: gr.Button,
    fields: dict[str, Any],
) -> None:
    def toggle(shown: bool) -> dict[Any, Any]:
        return {form: gr.update(visible=not shown), shown_state: not shown}

    def load_model(call: Call, *, name: str | None, dtype: str, device: str, base: str) -> Iterator[dict[Any, Any]]:
        options = LoadOptions(dtype=dtype, device=device.strip() or "auto", base=(base or "").strip() or None)
        job = bench.load((name or "").strip(), options)
        # Other visitors wait for this model too, so that leaving the page must not stop it.
        for _ in call.follow(job, own=False):
            yield {}
        job.result()
        yield {form: gr.update(visible=False), shown_state: False}

    shown_state = shown
    context.quick(switch.click, toggle, inputs={"shown": shown}, outputs=[form, shown])
    context.on(load.click, load_model, inputs=fields, outputs=[form, shown], run=[load], title="loading the model")
