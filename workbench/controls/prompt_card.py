"""The prompt on a page: its text, and the tokens it becomes, on which a recipe's scope shows and can be picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.model.prompts import conversation, render
from steering.ranges import compact, whole_numbers
from steering.writes.interventions import Scope, covered, in_reply
from workbench.controls.intervention_slot import PICKED
from workbench.controls.recipe_card import RecipeCard, slot_names
from workbench.controls.token_markup import PICK_SCRIPT, roles_legend, token_chips
from workbench.generation import SteerSettings
from workbench.page.blocks import EVENT, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import number_of
from workbench.page.markup import heading, note


EXAMPLES = (
    ("Note", "Write a note to my boss about the meeting."),
    ("Review", "Write a review of the film."),
    ("Bread", "How do I bake bread?"),
    ("Capital", "What is the capital of France?"),
)
_LEGEND = "A line under a token: the recipe of that colour writes there; under “generated …”, at every generated token."
_UNKNOWN = note("Shown once the model stands.")


class PromptCard:
    """Give `inputs` to a handler; `positions(values["picked"])` are the picked tokens."""

    def __init__(self, ui: PanelContext, key: str = "") -> None:
        """Place the card.

        Args:
            ui: Of the panel.
            key: Put before the components' ids, so that they are unique on the page.
        """
        self._ui = ui
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("Prompt"))
            system = gr.Textbox("", label="System", placeholder="none", lines=1, max_lines=4, elem_id=f"{key}system")
            user = gr.Textbox(
                EXAMPLES[0][1], label="User (Shift + Enter runs)", lines=2, max_lines=8, elem_id=f"{key}user"
            )
            with gr.Row(elem_classes="sw-examples"):
                examples = [(gr.Button(label, size="sm", min_width=0), text) for label, text in EXAMPLES]
            html_block(heading("Tokens read and written"))
            self._chips = html_block(_UNKNOWN, js_on_load=PICK_SCRIPT, elem_id=f"{key}chips")
            picked = gr.Textbox(
                "",
                label="Picked tokens",
                placeholder="none",
                info="Click or drag over the tokens, or type 3-7, 9; used where “Write at” says so.",
                max_lines=1,
                elem_id=f"{key}picked",
            )
        for button, text in examples:
            button.click(lambda text=text: text, outputs=[user], **EVENT)
        self.user, self.system, self.picked = user, system, picked
        self.inputs = {"user": user, "system": system, "picked": picked}

    def show(self, settings: SteerSettings) -> dict[Any, Any]:
        """Set the prompt, and the picked tokens to those that a recipe writes at."""
        scopes = [each.scope for recipe in settings.recipes for each in recipe.interventions]
        picked = next((scope for scope in scopes if isinstance(scope, tuple)), ())
        return {self.user: settings.user, self.system: settings.system, self.picked: compact(picked)}

    def wire(self, recipes: Sequence[RecipeCard]) -> None:
        """Keep the tokens true to the prompt, the model and what the recipes write; let them be picked."""
        written = ("scope_", "used_", "vector_", "recipe_", "chat_")
        scopes = {name: part for card in recipes for name, part in card.inputs.items() if name.startswith(written)}
        inputs = {**self.inputs, **scopes}

        def show(user: str, system: str, picked: str, **slots: Any) -> dict[Any, Any]:
            return {self._chips: _chips(self._ui, user, system, picked, recipes, slots)}

        triggers = [part.change for part in inputs.values()]
        self._ui.watch("model", *triggers, call=show, inputs=inputs, outputs=[self._chips])

        top = recipes[0].slots[0].scope
        keys = [f"{field}_{slot}" for card in recipes for slot in slot_names(card.key) for field in ("used", "scope")]
        names = ["picked", *keys]

        def pick(event: gr.EventData, *values: Any) -> dict[Any, Any]:
            """Toggle a run of tokens; the first intervention writes at what is picked, unless another one does."""
            given = dict(zip(names, values, strict=True))
            chosen = _toggled(
                positions(given["picked"], quiet=True), number_of(event, "first"), number_of(event, "last")
            )
            slots = [slot for card in recipes for slot in slot_names(card.key)]
            used = [given[f"scope_{slot}"] for slot in slots if given[f"used_{slot}"]]
            changes: dict[Any, Any] = {self.picked: compact(chosen)}
            if chosen and PICKED not in used:
                changes[top] = PICKED
            if not chosen and given[f"scope_{slots[0]}"] == PICKED:
                changes[top] = "all"
            return changes

        components = [inputs[name] for name in names]
        self._chips.pick(pick, inputs=components, outputs=[self.picked, top], **EVENT)


def positions(picked: str, *, quiet: bool = False) -> tuple[int, ...]:
    """The picked positions as typed.

    Args:
        picked: Such as "3-7, 9".
        quiet: Whether to take nothing instead of raising.

    Raises:
        SteeringError: It cannot be read.
    """
    try:
        return whole_numbers(picked or "")
    except (ValueError, SteeringError) as error:
        if quiet:
            return ()
        if isinstance(error, SteeringError):
            raise
        raise SteeringError(
            f"The picked tokens '{picked[:60]}' cannot be read.",
            "positions from 0, such as 3-7, 9.",
            "Correct them, or pick the tokens again.",
        ) from None


def _toggled(chosen: Sequence[int], first: int, last: int) -> list[int]:
    """`chosen` with a run of positions added, or taken away where its first one was chosen."""
    run = set(range(first, last + 1))
    return sorted(set(chosen) - run if first in chosen else set(chosen) | run)


def _chips(
    ui: PanelContext, user: str, system: str, picked: str, recipes: Sequence[RecipeCard], slots: Mapping[str, Any]
) -> str:
    host = ui.host
    if host is None:
        return _UNKNOWN
    try:
        prompt = render(host.under(slots[f"chat_{recipes[0].key}"]), conversation(user or "", system or ""))
        chosen = positions(picked)
    except SteeringError as error:
        return note(str(error))
    inside = tuple(position for position in chosen if position < len(prompt))
    used = [each for each in recipes if slots[f"recipe_{each.key}"]]
    scopes = {each.hue: _scopes(each.key, slots, inside) for each in used}
    chips = token_chips(
        prompt.tokens,
        prompt.roles,
        {hue: covered(each, len(prompt)) for hue, each in scopes.items()},
        [hue for hue, each in scopes.items() if any(map(in_reply, each))],
        inside,
    )
    outside = [position for position in chosen if position >= len(prompt)]
    said = [f"{len(prompt)} of {host.info.context} tokens."]
    if outside:
        said.append(f"There is no token {compact(outside)}.")
    if any(scopes.values()):
        said.append(_LEGEND)
    return chips + roles_legend(prompt.roles) + note(" ".join(said))


def _scopes(key: str, slots: Mapping[str, Any], picked: tuple[int, ...]) -> set[Scope]:
    used = [slot for slot in slot_names(key) if slots[f"used_{slot}"] and slots[f"vector_{slot}"]]
    named = {slots[f"scope_{slot}"] for slot in used}
    own = {picked} if PICKED in named and picked else set()
    return (named - {PICKED}) | own
