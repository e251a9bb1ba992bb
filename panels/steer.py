"""Steer: one prompt answered by the model as it is and by the model under a recipe, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.decoding import DecodeSettings, stream
from steering.errors import SteeringError
from steering.host import Host
from steering.interventions import covered, in_reply
from steering.lane import Job
from steering.model_info import DEMO_CAVEAT
from steering.names import short_name
from steering.prompts import conversation, render
from steering.recipes import Recipe, validation_error
from steering.studies import STUDIES
from steering.studies.study import Result
from workbench.blocks import EVENT, html_block
from workbench.context import PanelContext
from workbench.generation import SteerSettings, cautions, measure_strengths, rows_for, run_steer, vectors_of
from workbench.jobs import Call
from workbench.markup import card, empty_state, heading, note, token_chips
from workbench.panel import Panel
from workbench.recipe_card import MOST, RecipeCard, fitting, interventions_of, suggested
from workbench.recipe_words import applied
from workbench.replies import divergence_html, recipe_html, replies_html


_EXAMPLES = (
    ("Note", "Write a note to my boss about the meeting."),
    ("Review", "Write a review of the film."),
    ("Bread", "How do I bake bread?"),
    ("Capital", "What is the capital of France?"),
)
_FIRST_SET = "formality"
_LEGEND = "Blue ground: the recipe writes here. Underline: and at every generated token."


class SteerPanel(Panel):
    """Side-by-side steering."""

    id = "steer"
    title = "Steer"
    summary = "Answer a prompt with and without a recipe of steering vectors, side by side."
    order = 20
    settings = SteerSettings

    def run(self, host: Host, settings: SteerSettings, job: Job[Result]) -> Result:
        """Both replies to one prompt, with what was modified."""
        return run_steer(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: prompt and recipe. Right: both replies, and the first token that differs."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                asked, chips = _place_prompt(ui)
                recipe = RecipeCard(ui)
                decode = _place_decoding()
                with gr.Row(elem_classes="sw-actions") as actions:
                    run = gr.Button("Run", variant="primary", elem_id="run")
                    stop = gr.Button("Stop", interactive=False, elem_id="steer-stop")
            with gr.Column(elem_classes="sw-right sw-follow", min_width=0):
                ui.error_slot()
                start_card, start = _place_start()
                replies = _Replies(ui)
        inputs = {**asked, **decode}
        shared = {"run": [run, start], "stop": stop, "title": "the generation"}
        ui.on(
            [run.click, asked["user"].submit],
            replies.steer,
            inputs={**inputs, **recipe.inputs},
            outputs=replies.outputs,
            **shared,
        )
        ui.on(start.click, replies.start, inputs=inputs, outputs=[*replies.outputs, ui.page.picked], **shared)
        for button in (run, start):
            ui.reveal(button.click, "panes")
        _wire_chips(ui, asked, recipe, chips)

        def offer() -> dict[Any, Any]:
            ready = bool(fitting(ui))
            return {
                recipe.card: gr.update(visible=ready),
                actions: gr.update(visible=ready),
                start_card: gr.update(visible=not ready),
            }

        ui.watch("shelf", "model", call=offer, outputs=[recipe.card, actions, start_card])


class _Replies:
    """The right-hand side, and the handlers that fill it."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._panes = html_block(replies_html(None, state="empty"), elem_id="panes")
        self._below = html_block("")
        self.outputs = [self._panes, self._below]

    def steer(
        self, call: Call, *, user: str, system: str, temperature: float, seed: int, length: int, **slots: Any
    ) -> Iterator[Mapping[Any, Any]]:
        """Run the recipe on the page."""
        decode = _decode(temperature, seed, length)
        yield from self._stream(call, user, system, Recipe(interventions=interventions_of(slots), decode=decode))

    def start(
        self, call: Call, *, user: str, system: str, temperature: float, seed: int, length: int
    ) -> Iterator[Mapping[Any, Any]]:
        """Extract the first vector, put it on the shelf and steer with it."""
        decode = _decode(temperature, seed, length)
        study = STUDIES["extract"]
        job = study.start(call.host, study.parse({"contrast": _FIRST_SET}))
        yield from call.finish(job)
        (vector,) = job.result().vectors.values()
        name = call.workspace.put(vector)
        yield {self._ui.page.picked: name}
        first = suggested(vector.renamed(name))
        yield from self._stream(call, user, system, Recipe(interventions=(first,), decode=decode))

    def _stream(self, call: Call, user: str, system: str, recipe: Recipe) -> Iterator[Mapping[Any, Any]]:
        host = call.host
        recipe = recipe.model_copy(update={"model": host.name})
        vectors = vectors_of(recipe, call.workspace)
        measuring = measure_strengths(host, recipe, vectors)
        if measuring:
            yield from call.finish(measuring)
            measuring.result()
        rows = rows_for(host, user or "", system or "", recipe, vectors)
        said = "".join(map(note, [*applied(host, recipe, vectors), *cautions(host, vectors)]))
        job = stream(host, rows, recipe.decode, title=f"Steering {short_name(host.name)}")
        yield {self._panes: replies_html(None, state="waiting"), self._below: ""}
        replies = None
        for steps in call.follow(job):
            if steps:
                replies = steps[-1].replies
                yield {self._panes: replies_html(replies, state="writing")}
            else:
                yield {}
        if replies is not None:
            stopped = job.state != "done"
            yield {
                self._panes: replies_html(replies, state="stopped" if stopped else ""),
                self._below: card(divergence_html(replies) + said + _caveat(host) + recipe_html(recipe)),
            }
        job.result()


def _place_prompt(ui: PanelContext) -> tuple[dict[str, Any], gr.HTML]:
    with gr.Column(elem_classes="sw-card"):
        html_block(heading("Prompt"))
        system = gr.Textbox("", label="System", placeholder="none", lines=1, max_lines=4, elem_id="system")
        user = gr.Textbox(_EXAMPLES[0][1], label="User (Shift + Enter runs)", lines=2, max_lines=8, elem_id="user")
        with gr.Row(elem_classes="sw-examples"):
            examples = [(gr.Button(label, size="sm", min_width=0), text) for label, text in _EXAMPLES]
        html_block(heading("Tokens read and written"))
        chips = html_block(note("Shown once the model stands."))
    for button, text in examples:
        button.click(lambda text=text: text, outputs=[user], **EVENT)
    return {"user": user, "system": system}, chips


def _place_decoding() -> dict[str, Any]:
    with gr.Accordion("More", open=False, elem_classes="sw-more sw-card"):
        defaults = DecodeSettings()
        with gr.Row():
            length = gr.Number(
                defaults.max_new_tokens, precision=0, minimum=1, label="Length", info="tokens", min_width=0
            )
            temperature = gr.Number(
                defaults.temperature, minimum=0, label="Temperature", info="0: likeliest", step=0.1, min_width=0
            )
            seed = gr.Number(defaults.seed, precision=0, minimum=0, label="Seed", info="fixed", min_width=0)
    return {"temperature": temperature, "seed": seed, "length": length}


def _place_start() -> tuple[gr.Column, gr.Button]:
    with gr.Column(elem_classes="sw-card", visible=False, elem_id="start-card") as place:
        html_block(
            empty_state(
                "Nothing to steer with yet",
                "The shelf holds no vector for this model. One click extracts the formality vector, which takes some "
                "seconds on a small model, and answers the prompt with and without it.",
            )
        )
        with gr.Row(elem_classes="sw-actions"):
            start = gr.Button("Extract formality and steer", variant="primary", elem_id="start")
    return place, start


def _wire_chips(ui: PanelContext, asked: dict[str, Any], recipe: RecipeCard, chips: gr.HTML) -> None:
    scopes = {name: part for name, part in recipe.inputs.items() if name.startswith(("scope_", "used_", "vector_"))}

    def show(user: str, system: str, **slots: Any) -> dict[Any, Any]:
        return {chips: _chips(ui, user, system, slots)}

    inputs = {**asked, **scopes}
    ui.watch("model", *(part.change for part in inputs.values()), call=show, inputs=inputs, outputs=[chips])


def _chips(ui: PanelContext, user: str, system: str, slots: Mapping[str, Any]) -> str:
    host = ui.host
    if host is None:
        return note("Shown once the model stands.")
    try:
        prompt = render(host, conversation(user or "", system or ""))
    except SteeringError as error:
        return note(error.given)
    used = [n for n in range(1, MOST + 1) if slots[f"used_{n}"] and slots[f"vector_{n}"]]
    scopes = {slots[f"scope_{n}"] for n in used}
    written = covered(scopes, len(prompt))
    chips = token_chips(prompt.tokens, prompt.roles, written, generated=any(map(in_reply, scopes)))
    room = f"{len(prompt)} of {host.info.context} tokens."
    return chips + note(f"{room} {_LEGEND}" if used else room)


def _caveat(host: Host) -> str:
    return note(DEMO_CAVEAT) if host.info.demo else ""


def _decode(temperature: float | None, seed: int | None, length: int | None) -> DecodeSettings:
    given = {"temperature": temperature, "seed": seed, "max_new_tokens": length}
    try:
        return DecodeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise validation_error("The settings under More", error) from error


panel = SteerPanel()
