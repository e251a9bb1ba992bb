"""The prompt on a page: its text, and the tokens it becomes, on which a recipe's scope shows and can be picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.model.prompts import conversation, render
from steering.ranges import compact
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.steer import SteerSettings
from steering.writes.interventions import Scope, covered, in_reply
from workbench.controls.recipe_editor import RecipeEditor
from workbench.controls.recipe_reading import Draft
from workbench.controls.token_strip import Strip, place_strip
from workbench.page.blocks import EVENT, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import number_of
from workbench.page.markup import heading


EXAMPLES = (
    ("Note", "Write a note to my boss about the meeting."),
    ("Review", "Write a review of the film."),
    ("Bread", "How do I bake bread?"),
    ("Capital", "What is the capital of France?"),
)
_LEGEND = "A line under a token: the recipe of that colour writes there; under “generated …”, at every generated token."
_UNKNOWN = Strip(said="Shown once the model stands.")


class PromptCard:
    """The prompt's fields, as `inputs` of a handler. Which tokens are picked stands in the recipes that write there."""

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
                EXAMPLES[0][1],
                label="User (Shift + Enter runs)",
                lines=2,
                max_lines=8,
                elem_id=f"{key}user",
                elem_classes="sw-key-prompt",
            )
            with gr.Row(elem_classes="sw-examples"):
                examples = [(gr.Button(label, size="sm", min_width=0), text) for label, text in EXAMPLES]
            self._strip = place_strip(_UNKNOWN, elem_id=f"{key}chips")
        for button, text in examples:
            button.click(lambda text=text: text, outputs=[user], **EVENT)
        self.user, self.system = user, system
        self.inputs = {"user": user, "system": system}

    def show(self, settings: SteerSettings) -> dict[Any, Any]:
        """Set the prompt."""
        return {self.user: settings.user, self.system: settings.system}

    def wire(self, recipes: Sequence[RecipeEditor]) -> None:
        """Keep the tokens true to the prompt, the model and what the recipes write; let them be picked."""
        names = [f"recipe_{n}" for n in range(len(recipes))]
        editors = dict(zip(names, recipes, strict=True))
        inputs = {**self.inputs, **editors}
        hues = {name: editor.props["hue"] for name, editor in editors.items()}

        def show(user: str, system: str, **drafts: Draft) -> dict[Any, Any]:
            scopes = {hues[name]: _scopes(draft.found) for name, draft in drafts.items() if draft.found}
            chat = next((draft.found.chat for draft in drafts.values() if draft.found), None)
            return {self._strip: strip_of(self._ui.host, user, system, scopes, chat)}

        triggers = [part.change for part in inputs.values()]
        self._ui.watch("model", *triggers, call=show, inputs=inputs, outputs=[self._strip])

        def pick(event: gr.EventData, *drafts: Draft) -> dict[Any, Any]:
            given = [draft.ready for draft in drafts]
            changed = picking(given, number_of(event, "first"), number_of(event, "last"))
            changes = zip(recipes, given, changed, strict=True)
            return {editor: new for editor, old, new in changes if new != old} or gr.skip()

        self._strip.pick(pick, inputs=list(recipes), outputs=list(recipes), **EVENT)


def picking(recipes: Sequence[Recipe], first: int, last: int) -> list[Recipe]:
    """Recipes after a run of tokens was clicked or dragged over.

    Every intervention that writes at picked tokens follows; where none does, the first one of all begins to. Where no
    token is left, they write at all again.
    """
    all_ = [each for recipe in recipes for each in recipe.interventions]
    following = [each for each in all_ if isinstance(each.scope, tuple)] or all_[:1]
    chosen = following[0].scope if following and isinstance(following[0].scope, tuple) else ()
    scope: Scope = tuple(_toggled(chosen, first, last)) or "all"

    def moved(each: Intervention) -> Intervention:
        return each.model_copy(update={"scope": scope}) if any(each is one for one in following) else each

    return [recipe.model_copy(update={"interventions": tuple(map(moved, recipe.interventions))}) for recipe in recipes]


def _toggled(chosen: Sequence[int], first: int, last: int) -> list[int]:
    """`chosen` with a run of positions added, or taken away where its first one was chosen."""
    run = set(range(first, last + 1))
    return sorted(set(chosen) - run if first in chosen else set(chosen) | run)


def strip_of(
    host: Host | None, user: str, system: str, scopes: Mapping[str, set[Scope]], chat: ChatSettings | None
) -> Strip:
    """The tokens of a prompt under a recipe's chat settings, and what recipes write there.

    Args:
        host: The model; None while there is none.
        user: The user's message.
        system: The system message; none where empty.
        scopes: Recipe letter -> where its interventions write.
        chat: Chat settings of the recipes; those of the host where None.
    """
    if host is None:
        return _UNKNOWN
    try:
        prompt = render(host.under(chat), conversation(user or "", system or ""))
    except SteeringError as error:
        return Strip(said=str(error))
    chosen = {position for each in scopes.values() for scope in each if isinstance(scope, tuple) for position in scope}
    outside = sorted(position for position in chosen if position >= len(prompt))
    inside = {hue: {_within(scope, len(prompt)) for scope in each} for hue, each in scopes.items()}
    said = [_length(len(prompt), host.info.context)]
    if outside:
        said.append(f"There is no token {compact(outside)}.")
    if any(scopes.values()):
        said.append(_LEGEND)
    return Strip(
        prompt.tokens,
        prompt.roles,
        {hue: covered(each - {()}, len(prompt)) for hue, each in inside.items()},
        [hue for hue, each in scopes.items() if any(map(in_reply, each))],
        tuple(sorted(chosen - set(outside))),
        " ".join(said),
    )


def _length(tokens: int, context: int) -> str:
    if tokens > context:
        return f"{tokens:,} tokens: more than the {context:,} that the model reads."
    return f"{tokens:,} of {context:,} tokens."


def _within(scope: Scope, length: int) -> Scope:
    return tuple(position for position in scope if position < length) if isinstance(scope, tuple) else scope


def _scopes(recipe: Recipe) -> set[Scope]:
    return {each.scope for each in recipe.interventions}
