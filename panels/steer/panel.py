"""Steer: one conversation answered by the model as it is and under up to three recipes, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import gradio as gr

from panels.steer.reply_panes import ReplyPanes
from steering.lane import Job
from steering.model.host import Host
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import STUDIES
from steering.studies.size import Size
from steering.studies.steer import LETTERS, SteerSettings, recipe_name, steer_size
from steering.studies.steer.chat import Chat
from steering.studies.study import Result
from workbench.controls.estimate import place_estimate
from workbench.controls.first_vector import FirstVector
from workbench.controls.offers import fitting, suggested, vector_named
from workbench.controls.prompt_card import PromptCard
from workbench.controls.recipe_editor import RecipeEditor, decoded_alike, follow_shelf, place_recipe, received
from workbench.controls.recipe_reading import Draft
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.links import place_link
from workbench.panel import Panel


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
        return STUDIES["steer"].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: prompt and recipes. Right: the replies, their tokens, and the first token that differs."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                prompt = PromptCard(ui)
                recipes = _place_recipes(ui)
                compare = gr.Button("+ compare with another recipe", size="sm", elem_classes="sw-link", elem_id="more")
                with gr.Row(elem_classes="sw-actions") as actions:
                    run = gr.Button("Run", variant="primary", elem_id="run")
                    stop = gr.Button("Stop", interactive=False, elem_id="steer-stop")
                    place_estimate(ui, _size, {**prompt.inputs, **recipes}, elem_id="steer-size")
                    ui.place_send(_settings, {**prompt.inputs, **recipes})
                    place_link(ui, _settings, {**prompt.inputs, **recipes})
            with gr.Column(elem_classes="sw-right sw-follow", min_width=0):
                ui.error_slot()
                first = FirstVector(
                    ui, "steer", "answers the prompt with it and without, side by side", elem_id="start"
                )
                panes = ReplyPanes(ui)
        prompt.wire([*recipes.values()])
        follow_shelf(ui, [*recipes.values()])
        _wire_compare(ui, recipes, compare)
        others = {letter: recipes[letter] for letter in LETTERS[1:]}
        _wire_receiving(ui, prompt, recipes, panes)
        _wire_runs(ui, prompt, recipes, panes, {"run": [run, first.button, panes.send], "stop": stop}, first)

        def offer(**given: Draft) -> dict[Any, Any]:
            ready = bool(fitting(ui))
            return {
                compare: gr.update(visible=ready and any(draft.empty for draft in given.values())),
                actions: gr.update(visible=ready),
                **first.offer(),
            }

        added = [each.change for each in others.values()]
        ui.watch("shelf", "model", *added, call=offer, inputs=others, outputs=[compare, actions, first.card])


def _wire_runs(
    ui: PanelContext,
    prompt: PromptCard,
    recipes: dict[str, RecipeEditor],
    panes: ReplyPanes,
    buttons: dict[str, Any],
    first: FirstVector,
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

    def begin(call: Call, *, user: str, system: str, a: Draft, **values: Any) -> Iterator[Outputs | None]:
        """Extract the first vector, put it on the shelf and steer with it."""
        vector = yield from first.extract(call)
        recipe = suggested(vector).model_copy(update={"decode": a.ready.decode})
        yield from panes.answer(
            call, Chat(system or "").ask(user or ""), {"a": recipe}, values["colour"], values["along"]
        )

    shared = {**buttons, "title": "the generation"}
    given = {**prompt.inputs, **now}
    ui.on([run.click, prompt.user.submit], steer, inputs={**given, **recipes}, outputs=panes.outputs, **shared)
    alone = {**given, "a": recipes["a"]}
    ui.on(first.button.click, begin, inputs=alone, outputs=[*panes.outputs, ui.page.picked], **shared)
    talk = {"chat": panes.chat, "follow_up": panes.follow_up}
    ui.on(
        [panes.send.click, panes.follow_up.submit],
        go_on,
        inputs={**talk, **now, **recipes},
        outputs=panes.outputs,
        **shared,
    )
    for button in buttons["run"]:
        ui.reveal(button.click, "panes")


def _settings(user: str, system: str, **values: Any) -> SteerSettings:
    """What the page asks for, as a panel that receives it takes it."""
    return SteerSettings(user=user or "", system=system or "", recipes=tuple(_recipes(values).values()))


def _size(host: Host, user: str, system: str, **values: Any) -> Size:
    return steer_size(user or "", system or "", list(_recipes(values).values()))


def _recipes(values: Mapping[str, Any]) -> dict[str, Recipe]:
    """By letter, of the editors in which one stands; an empty one where there is none at all."""
    given = {letter: values[letter].recipe() for letter in LETTERS}
    found = {letter: recipe for letter, recipe in given.items() if recipe is not None}
    return decoded_alike(found or {LETTERS[0]: Recipe()})


def _wire_receiving(ui: PanelContext, prompt: PromptCard, recipes: dict[str, RecipeEditor], panes: ReplyPanes) -> None:
    def take(settings: SteerSettings) -> dict[Any, Any]:
        shown = dict(zip_longest(recipes.values(), (received(ui, recipe) for recipe in settings.recipes)))
        return {**prompt.show(settings), **shown, **panes.set_back()}

    ui.receive(take, [*prompt.inputs.values(), *recipes.values(), *panes.greyed])


def _asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `ReplyPanes.answer` takes beside the conversation."""
    return {"recipes": _recipes(values), "colour": values["colour"], "along": values["along"]}


def _place_recipes(ui: PanelContext) -> dict[str, RecipeEditor]:
    """By letter; B and C stand there once somebody compares, and are decoded as A is."""
    return {
        letter: place_recipe(
            ui,
            letter,
            title=recipe_name(letter).title(),
            hue=letter,
            value=Recipe() if letter == "a" else None,
            picking=True,
            decoding=letter == "a",
            removable=letter != "a",
        )
        for letter in LETTERS
    }


def _wire_compare(ui: PanelContext, recipes: dict[str, RecipeEditor], compare: gr.Button) -> None:
    """Show the next recipe: first the opposite of the suggested strength, then an ablation."""
    others = {letter: recipes[letter] for letter in LETTERS[1:]}

    def reveal(a: Draft, **given: Draft) -> dict[Any, Any]:
        free = [letter for letter, draft in given.items() if draft.empty]
        name = next(iter(a.ready.vectors), None)
        kept = vector_named(ui, name) or vector_named(ui, next(iter(fitting(ui)), None))
        if not free or kept is None:
            return {}
        opposite = Intervention(vector=kept.name, strength=-kept.suggested_strength)
        beside = opposite if free[0] == "b" else Intervention(vector=kept.name, mode="ablate")
        return {others[free[0]]: Recipe(interventions=(beside,), chat=a.ready.chat)}

    ui.quick(compare.click, reveal, inputs=recipes, outputs=[*others.values()])


panel = SteerPanel()
