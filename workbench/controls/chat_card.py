"""How the chat template is used, for everybody on this page: switches, thought, prefill, where a system prompt goes."""

from __future__ import annotations

from typing import Any, get_args

import gradio as gr
from pydantic import ValidationError

from steering.model.chat_settings import ChatSettings, SystemPlace, Thinking
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.templates import switches_of
from steering.recipes.recipe import validation_error
from workbench.bench import Workbench
from workbench.controls.chat_words import typed
from workbench.key_values import pairs
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import note


def place_chat(bench: Workbench, context: PanelContext) -> None:
    """A folded part of the model's form; what is applied counts until another model is loaded."""
    with gr.Accordion("Chat template: thought, switches, prefill", open=False, elem_classes="sw-more"):
        html_block(note("For the model in use and everybody on this page, until another model is loaded."))
        with gr.Row():
            thought = gr.Radio(
                list(get_args(Thinking)),
                value="auto",
                label="Thought",
                info="auto: skipped, unless a switch asks for it",
                elem_id="chat-thought",
            )
            tokens = gr.Number(512, precision=0, minimum=1, label="Longest thought", info="tokens, beside the answer's")
            place = gr.Radio(
                list(get_args(SystemPlace)),
                value="system",
                label="System prompt",
                info="user: put before the user's first message",
            )
        with gr.Row(equal_height=True):
            switches = gr.Textbox(
                "", label="Switches", info="name=value, such as enable_thinking=false", elem_id="chat-switches"
            )
            prefill = gr.Textbox("", label="Prefill", info="what every reply begins with", elem_id="chat-prefill")
            use = gr.Button("Apply", min_width=90, scale=0, elem_classes="sw-bottom", elem_id="chat-apply")
        said = html_block("", elem_id="chat-said")
    fields = {"thought": thought, "thought_tokens": tokens, "system": place, "switches": switches, "prefill": prefill}

    def apply(**given: Any) -> dict[Any, Any]:
        bench.model.use(chat_settings(**given))
        return {said: chat_html(bench.model.require())}

    def show() -> dict[Any, Any]:
        host = bench.host
        chat = host.chat if host else ChatSettings()
        shown = {**chat.model_dump(), "switches": typed(chat)}
        return {**{part: shown[name] for name, part in fields.items()}, said: chat_html(host) if host else ""}

    context.quick(use.click, apply, inputs=fields, outputs=[said])
    context.watch("model", call=show, outputs=[*fields.values(), said])


def chat_settings(switches: str, thought_tokens: float | None, **given: Any) -> ChatSettings:
    """Settings from the controls' values; switches are separated by commas.

    Raises:
        SteeringError: A switch that is no name=value, or a value out of its range.
    """
    fields = {**given, "switches": pairs([each for each in (switches or "").split(",") if each.strip()])}
    fields["prefill"] = given.get("prefill") or ""
    try:
        return ChatSettings.model_validate({**fields, "thought_tokens": thought_tokens or 512})
    except ValidationError as error:
        raise validation_error("The chat settings", error, known=fields) from error


def chat_html(host: Host) -> str:
    """What the template reads, and what follows from the settings."""
    if not host.info.chat_template:
        return note("This model has no chat template; the prefill follows the text.")
    read = [
        f"{each.name} ({', '.join(str(value).lower() for value in each.values)})"
        for each in switches_of(host.tokenizer)
    ]
    known = f"The template reads {', '.join(read)}." if read else "The template reads no switches."
    return note(" ".join((known, *chat_notes(host))))
