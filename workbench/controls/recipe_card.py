"""The recipe editor: up to three stacked interventions, each with its vector, mode, blocks, strength and scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.model.chat_settings import ChatSettings
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import Intervention, Recipe
from steering.vectors.vector import SteeringVector
from workbench.controls.chat_words import in_words
from workbench.controls.intervention_slot import intervention_of, place_slot, vector_named
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import heading, note


MOST = 3
"""Interventions in one recipe."""


class RecipeCard:
    """One recipe's controls. Give `inputs` to a handler and its values to `recipe_of`."""

    def __init__(
        self,
        ui: PanelContext,
        key: str = "a",
        *,
        title: str,
        hue: str = "",
        used: bool = True,
        picking: bool = False,
        most: int = MOST,
    ) -> None:
        """Place the card and wire its controls to one another and to the shelf.

        Args:
            ui: Of the panel.
            key: Unique on the page; part of the components' ids.
            title: The card's heading.
            hue: "" or a recipe letter.
            used: Whether the recipe counts from the start. The first card of a panel takes what is picked on the shelf.
            picking: Whether tokens of the prompt can be picked to write at.
            most: Interventions that it holds; every further one costs the page two dozen controls.
        """
        self._ui = ui
        self.key = key
        self.hue = hue
        self.used = gr.State(used)
        self.chat = gr.State(None)
        """Chat settings that came with the recipe from another panel; the page's where None."""
        names = fitting(ui)
        with gr.Column(elem_classes="sw-card", visible=used, elem_id=f"recipe-{key}") as self.card:
            html_block(heading(title, hue=hue))
            self.slots = [
                place_slot(ui, name, used=n == 0, names=names, picking=picking)
                for n, name in enumerate(slot_names(key)[:most])
            ]
            self._chat_said = html_block("", elem_id=f"chat-of-{key}")
            drop = gr.Button("Use the page's chat settings", visible=False, size="sm", elem_classes="sw-link")
            if most > 1:
                add = gr.Button("+ add an intervention", size="sm", elem_classes="sw-link", elem_id=f"add-{key}")
            if not used:
                self.remove = gr.Button(f"Remove {title}", size="sm", elem_classes="sw-link")
        self.inputs: dict[str, Any] = {
            f"recipe_{key}": self.used,
            f"chat_{key}": self.chat,
            **{name: part for slot in self.slots for name, part in slot.inputs.items()},
        }
        self._drop = drop
        ui.quick(drop.click, lambda: self._show_chat(None), outputs=[self.chat, self._chat_said, drop])
        if most > 1:
            self._wire_add(add)
        self._wire_shelf(follows=used)

    @property
    def shown(self) -> list[Any]:
        """Every component that `show` may change."""
        of_chat = [self.chat, self._chat_said, self._drop]
        return [self.card, self.used, *of_chat, *(part for slot in self.slots for part in slot.shown)]

    def show(self, recipe: Recipe) -> dict[Any, Any]:
        """Set every control to a recipe's interventions, more of which than it holds are left out, and to its chat
        settings where they are not the page's.
        """
        interventions = recipe.interventions
        changes: dict[Any, Any] = {self.card: gr.update(visible=True), self.used: True}
        changes |= self._show_chat(recipe.chat)
        names = fitting(self._ui)
        for n, slot in enumerate(self.slots):
            given = interventions[n] if n < len(interventions) else None
            changes |= slot.show(given, vector_named(self._ui, given.vector) if given else None, names)
        return changes

    def _show_chat(self, chat: ChatSettings | None) -> dict[Any, Any]:
        host = self._ui.host
        own = None if host is None or chat == host.chat else chat
        said = "" if own is None else note(f"Under its own chat settings: {in_words(own)}.")
        return {self.chat: own, self._chat_said: said, self._drop: gr.update(visible=own is not None)}

    def _wire_add(self, add: gr.Button) -> None:
        used = {f"used_{slot.name}": slot.used for slot in self.slots}

        def reveal(**used: bool) -> dict[Any, Any]:
            hidden = [slot for slot in self.slots if not used[f"used_{slot.name}"]]
            if not hidden:
                return {}
            shown = {hidden[0].card: gr.update(visible=True), hidden[0].used: True}
            return {**shown, add: gr.update(visible=len(hidden) > 1)}

        changed = [*(slot.card for slot in self.slots), *used.values(), add]
        self._ui.quick(add.click, reveal, inputs=used, outputs=changed)
        for slot in self.slots[1:]:
            with slot.card:
                remove = gr.Button("Remove this intervention", size="sm", elem_classes="sw-link")
            hide = {slot.card: gr.update(visible=False), slot.used: False, add: gr.update(visible=True)}
            self._ui.quick(remove.click, lambda hide=hide: hide, outputs=list(hide))

    def _wire_shelf(self, *, follows: bool) -> None:
        top, ui = self.slots[0], self._ui
        choosers = {f"vector_{slot.name}": slot.vector for slot in self.slots}
        shown = [part for slot in self.slots for part in slot.shown]

        def offer(**chosen: str | None) -> dict[Any, Any]:
            """Keep every choice that is still there; give the others the first vector that fits."""
            names = fitting(ui)
            changes: dict[Any, Any] = {}
            for slot in self.slots:
                # A choice that is kept is not sent again: this may run beside `take`, with a choice of a moment ago.
                changes |= slot.offer(names)
                if chosen[f"vector_{slot.name}"] not in names:
                    first = next(iter(names), None)
                    changes |= {
                        slot.vector: gr.update(choices=names, value=first),
                        **slot.tune(vector_named(ui, first)),
                        slot.others: gr.update(choices=names, value=[], visible=False),
                    }
            return changes

        def take(picked: str | None, followed: str | None) -> dict[Any, Any]:
            names = fitting(ui)
            if picked not in names or picked == followed:
                return {}
            return {
                ui.page.followed: picked,
                top.vector: gr.update(choices=names, value=picked),
                **top.tune(vector_named(ui, picked)),
            }

        ui.watch("shelf", "model", call=offer, inputs=choosers, outputs=shown)
        if follows:
            given = {"picked": ui.page.picked, "followed": ui.page.followed}
            ui.watch("picked", call=take, inputs=given, outputs=[ui.page.followed, top.vector, *top.tuned])


def slot_names(key: str) -> list[str]:
    """Names of a recipe card's slots."""
    return [f"{key}{n}" for n in range(1, MOST + 1)]


def recipe_of(
    values: Mapping[str, Any], key: str = "a", picked: tuple[int, ...] = (), decode: DecodeSettings | None = None
) -> Recipe | None:
    """A recipe from the values of `RecipeCard.inputs`; None where it is not used.

    Args:
        values: By the names of the inputs.
        key: The card's.
        picked: Tokens of the prompt.
        decode: How tokens are chosen.

    Raises:
        SteeringError: As `intervention_of`.
    """
    if not values[f"recipe_{key}"]:
        return None
    names = [name for name in slot_names(key) if f"vector_{name}" in values]
    given = [intervention_of(values, name, picked) for name in names]
    return Recipe(
        interventions=tuple(each for each in given if each is not None),
        decode=decode or DecodeSettings(),
        chat=values[f"chat_{key}"],
    )


def suggested(vector: SteeringVector) -> Recipe:
    """What a vector's card starts with: its own block and strength."""
    return Recipe(interventions=(Intervention(vector=vector.name, strength=vector.suggested_strength),))


def fitting(ui: PanelContext) -> list[str]:
    """Names on the shelf that fit the loaded model, newest first; all of them while nothing is loaded."""
    host = ui.host
    names = ui.workspace.names()
    return [name for name in names if host is None or not ui.workspace.get(name).vector.misfit(host)]
