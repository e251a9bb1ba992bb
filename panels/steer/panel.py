"""Steer: one conversation answered by the model as it is and under up to three recipes, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from panels.steer.reply_panes import ReplyPanes
from steering.lane import Job
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import STUDIES
from steering.studies.study import Result
from workbench.chat import Chat
from workbench.controls.decode_controls import decode_of, decode_shown, place_decoding
from workbench.controls.intervention_slot import vector_named
from workbench.controls.prompt_card import PromptCard, positions
from workbench.controls.recipe_card import RecipeCard, fitting, recipe_of, suggested
from workbench.generation import LETTERS, SteerSettings, recipe_name, run_steer
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import empty_state
from workbench.panel import Panel


_FIRST_SET = "formality"


class SteerPanel(Panel):
    """Side-by-side steering."""

    id = "steer"
    title = "Steer"
    summary = "Answer a prompt with and without recipes of steering vectors, side by side."
    order = 20
    settings = SteerSettings
    receives = True

    def run(self, host: Host, settings: SteerSettings, job: Job[Result]) -> Result:
        """All replies to one prompt, with what was modified."""
        return run_steer(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: prompt and recipes. Right: the replies, their tokens, and the first token that differs."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                prompt = PromptCard(ui)
                recipes = _place_recipes(ui)
                compare = gr.Button("+ compare with another recipe", size="sm", elem_classes="sw-link", elem_id="more")
                with gr.Accordion("More", open=False, elem_classes="sw-more sw-card"):
                    decode = place_decoding()
                with gr.Row(elem_classes="sw-actions") as actions:
                    run = gr.Button("Run", variant="primary", elem_id="run")
                    stop = gr.Button("Stop", interactive=False, elem_id="steer-stop")
                    slots = {name: part for card in recipes for name, part in card.inputs.items()}
                    ui.place_send(_settings, {**prompt.inputs, **decode, **slots})
            with gr.Column(elem_classes="sw-right sw-follow", min_width=0):
                ui.error_slot()
                start_card, start = _place_start()
                panes = ReplyPanes(ui)
        prompt.wire(recipes)
        _wire_compare(ui, recipes, compare)
        _wire_receiving(ui, prompt, recipes, decode, panes)
        _wire_runs(ui, prompt, recipes, decode, panes, {"run": [run, start, panes.send], "stop": stop}, start)

        def offer() -> dict[Any, Any]:
            ready = bool(fitting(ui))
            return {
                **{part: gr.update(visible=ready) for part in (recipes[0].card, compare, actions)},
                start_card: gr.update(visible=not ready),
            }

        ui.watch("shelf", "model", call=offer, outputs=[recipes[0].card, compare, actions, start_card])


def _wire_runs(
    ui: PanelContext,
    prompt: PromptCard,
    recipes: list[RecipeCard],
    decode: dict[str, Any],
    panes: ReplyPanes,
    buttons: dict[str, Any],
    start: gr.Button,
) -> None:
    """Run, Send and the first click."""
    run = buttons["run"][0]
    now = {"colour": panes.colour, "along": panes.along}

    def steer(call: Call, *, user: str, system: str, **values: Any) -> Iterator[Outputs | None]:
        """Answer the prompt on the page."""
        yield from panes.answer(call, Chat(system or "").ask(user or ""), **_asked(values))

    def go_on(call: Call, *, chat: Chat, follow_up: str, **values: Any) -> Iterator[Outputs | None]:
        """Answer the next message of the conversation in the panes."""
        yield from panes.answer(call, chat.ask(follow_up or ""), **_asked(values))

    def first(call: Call, *, user: str, system: str, **values: Any) -> Iterator[Outputs | None]:
        """Extract the first vector, put it on the shelf and steer with it."""
        study = STUDIES["extract"]
        job = study.start(call.host, study.parse({"contrast": _FIRST_SET}))
        yield from call.finish(job)
        (vector,) = job.result().vectors.values()
        name = call.workspace.put(vector)
        yield {ui.page.picked: name}
        recipe = suggested(vector.renamed(name)).model_copy(update={"decode": _decode(values)})
        yield from panes.answer(
            call, Chat(system or "").ask(user or ""), {"a": recipe}, values["colour"], values["along"]
        )

    shared = {**buttons, "title": "the generation"}
    given = {**prompt.inputs, **decode, **now}
    slots = {name: part for card in recipes for name, part in card.inputs.items()}
    ui.on([run.click, prompt.user.submit], steer, inputs={**given, **slots}, outputs=panes.outputs, **shared)
    ui.on(start.click, first, inputs=given, outputs=[*panes.outputs, ui.page.picked], **shared)
    talk = {"chat": panes.chat, "follow_up": panes.follow_up, "picked": prompt.picked}
    ui.on(
        [panes.send.click, panes.follow_up.submit],
        go_on,
        inputs={**talk, **decode, **now, **slots},
        outputs=panes.outputs,
        **shared,
    )
    for button in buttons["run"]:
        ui.reveal(button.click, "panes")


def _settings(user: str, system: str, **values: Any) -> SteerSettings:
    """What the page asks for, as a panel that receives it takes it."""
    return SteerSettings(user=user or "", system=system or "", recipes=tuple(_recipes(values).values()))


def _recipes(values: Mapping[str, Any]) -> dict[str, Recipe]:
    picked, decode = positions(values["picked"]), _decode(values)
    made = {letter: recipe_of(values, letter, picked, decode) for letter in LETTERS}
    return {letter: recipe for letter, recipe in made.items() if recipe is not None}


def _wire_receiving(
    ui: PanelContext, prompt: PromptCard, recipes: list[RecipeCard], decode: dict[str, Any], panes: ReplyPanes
) -> None:
    def take(settings: SteerSettings) -> dict[Any, Any]:
        changes = {**prompt.show(settings), **decode_shown(decode, settings.recipes[0].decode), **panes.set_back()}
        for n, card in enumerate(recipes):
            given = settings.recipes[n] if n < len(settings.recipes) else None
            changes |= card.show(given) if given is not None else _visible(card, False)
        return changes

    shown = [part for card in recipes for part in card.shown]
    ui.receive(take, [*prompt.inputs.values(), *decode.values(), *shown, *panes.greyed])


def _asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `ReplyPanes.answer` takes beside the conversation."""
    return {"recipes": _recipes(values), "colour": values["colour"], "along": values["along"]}


def _decode(values: Mapping[str, Any]) -> DecodeSettings:
    return decode_of(values["temperature"], values["seed"], values["length"])


def _place_recipes(ui: PanelContext) -> list[RecipeCard]:
    return [
        RecipeCard(ui, key, title=recipe_name(key).title(), hue=key, used=key == "a", picking=True) for key in LETTERS
    ]


def _wire_compare(ui: PanelContext, recipes: list[RecipeCard], compare: gr.Button) -> None:
    """Show the next recipe's card: first the opposite of the suggested strength, then an ablation."""
    top = recipes[0].slots[0].vector
    inputs = {**{card.key: card.used for card in recipes[1:]}, "vector": top, "chat": recipes[0].chat}

    def reveal(vector: str | None, chat: ChatSettings | None, **used: bool) -> dict[Any, Any]:
        hidden = [card for card in recipes[1:] if not used[card.key]]
        kept, changes = vector_named(ui, vector), {compare: gr.update(visible=len(hidden) > 1)}
        for card in hidden[:1]:
            changes |= _visible(card, True)
            if kept is not None:
                opposite = Intervention(vector=kept.name, strength=-kept.suggested_strength)
                given = opposite if card.key == "b" else Intervention(vector=kept.name, mode="ablate")
                changes |= card.show(Recipe(interventions=(given,), chat=chat))
        return changes

    shown = [part for card in recipes[1:] for part in card.shown]
    ui.quick(compare.click, reveal, inputs=inputs, outputs=[*shown, compare])
    for card in recipes[1:]:
        hide = {**_visible(card, False), compare: gr.update(visible=True)}
        ui.quick(card.remove.click, lambda hide=hide: hide, outputs=list(hide))


def _visible(card: RecipeCard, shown: bool) -> dict[Any, Any]:
    return {card.card: gr.update(visible=shown), card.used: shown}


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


panel = SteerPanel()
