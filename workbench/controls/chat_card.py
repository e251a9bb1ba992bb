"""How the chat template is used, for everybody on this page: switches, thought, prefill, where a system prompt goes."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings, SystemPlace, Thinking
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.templates import switches_of
from steering.validation import validation_error
from workbench.bench import Workbench
from workbench.controls.chat_words import typed
from workbench.controls.field import choice, more, number, text
from workbench.controls.fields import Filled, WrongField, place_fields
from workbench.key_values import pairs
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import note


_TITLE = "Chat template: thought, switches, prefill"
_NOTE = "For the model in use and everybody on this page, until another model is loaded."


def place_chat(bench: Workbench, context: PanelContext) -> None:
    """A folded part of the model's form; what is applied counts until another model is loaded."""
    parts = (
        choice("thought", "Thought", _named(Thinking), "auto", hint="auto: skipped, unless a switch asks for it"),
        number("thought_tokens", "Longest thought", 512, unit="tokens, beside the answer's", whole=True, low=1),
        choice("system", "System prompt", _named(SystemPlace), "system", hint="user: put before the first message"),
        text("switches", "Switches", "", hint="name=value, such as enable_thinking=false", half=True),
        text("prefill", "Prefill", "", hint="what every reply begins with", half=True),
    )
    folded = more(*parts, title=_TITLE, note=_NOTE, act=("Apply", "apply"))
    form = place_fields(context, "chat", [folded], check=lambda values: chat_settings(**values))
    said = html_block("", elem_id="chat-said")

    def apply(form: Filled) -> dict[Any, Any]:
        bench.use(chat_settings(**form.values()))
        return {said: chat_html(bench.model.require())}

    def show() -> dict[Any, Any]:
        host = bench.host
        chat = host.chat if host else ChatSettings()
        shown = {**chat.model_dump(), "switches": typed(chat)}
        return {form: {name: shown[name] for name in form.fields}, said: chat_html(host) if host else ""}

    context.quick(form.apply, apply, inputs={"form": form}, outputs=[said])
    context.watch("model", call=show, outputs=[form, said])


def _named(kind: Any) -> list[tuple[str, str]]:
    return [(each, each) for each in get_args(kind)]


def chat_settings(switches: str, thought_tokens: float | None, **given: Any) -> ChatSettings:
    """Settings from the controls' values; switches are separated by commas.

    Raises:
        SteeringError: A switch that is no name=value, or a value out of its range.
    """
    written = [each.strip() for each in (switches or "").split(",") if each.strip()]
    try:
        named = pairs(written, told="The template switch", example="enable_thinking=false")
    except SteeringError as error:
        raise WrongField("switches", error) from error
    fields = {**given, "switches": named}
    fields["prefill"] = given.get("prefill") or ""
    try:
        return ChatSettings.model_validate({**fields, "thought_tokens": thought_tokens or 512})
    except ValidationError as error:
        raise validation_error("The chat settings", error, ChatSettings) from error


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
