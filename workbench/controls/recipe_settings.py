"""The recipe editors of a form made from settings: one for a recipe, several for a list of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import gradio as gr
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from steering.errors import SteeringError
from steering.names import upper_first
from steering.recipes.recipe import Recipe
from steering.studies.setting_kinds import recipes_in, setting_type
from workbench.controls.offers import fitting, vector_named
from workbench.controls.recipe_editor import RecipeEditor, follow_shelf, place_recipe, plain, received, with_vector
from workbench.controls.recipe_reading import Draft
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import escape


MOST = 6
"""Editors of a list, where its type names no fewer: a page pays for each, whether it is shown or not."""


@dataclass(frozen=True, eq=False)
class _Recipes:
    """A setting and its editors."""

    name: str
    title: str
    editors: tuple[RecipeEditor, ...]
    listed: bool
    blank: Any
    """What is given for a setting without a default while the rest of the form alone is looked at; None for others."""
    empty: Any
    """What it is where no recipe stands there."""
    add: gr.Button | None = None


class RecipeSettings:
    """The settings of a panel that hold recipes."""

    def __init__(self, ui: PanelContext, panel: str, model: type[BaseModel]) -> None:
        """Place the editors.

        Args:
            ui: Of the panel.
            panel: Its id, with which the editors' ids begin.
            model: Of the settings.
        """
        self._ui, hues = ui, cycle("abc")
        self._settings = [_placed(ui, panel, name, info, hues) for name, info in recipes_in(model).items()]
        self.editors = {name: editor for each in self._settings for name, editor in _named(each)}
        """By the names under which a handler gets them as inputs."""

    def given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that stand in the editors, by name.

        Args:
            values: As a handler gets the editors'.

        Raises:
            SteeringError: Naming the field that is wrong, and its editor where there are several.
        """
        found = {}
        for each in self._settings:
            read = (self._read(editor, values[name]) for name, editor in _named(each))
            recipes = [plain(recipe) for recipe in read if recipe is not None]
            found[each.name] = (recipes if each.listed else recipes[0]) if recipes else each.empty
        return found

    def least(self) -> dict[str, Any]:
        """Empty recipes for settings without a default, while the rest of the form alone is looked at."""
        return {each.name: each.blank for each in self._settings if each.blank is not None}

    def shown(self, settings: BaseModel) -> Outputs:
        """The editors of some settings.

        Raises:
            SteeringError: A list has more recipes than there are editors.
        """
        changes: dict[Any, Any] = {}
        for each in self._settings:
            value = getattr(settings, each.name)
            recipes = list(value or ()) if each.listed else [value]
            if len(recipes) > len(each.editors):
                raise SteeringError(
                    f"{len(recipes)} recipes were to stand in {each.title}.",
                    f"at most {len(each.editors)} on this page.",
                    "Run them from the command line or a script, or take fewer.",
                )
            changes |= _filled(each, recipes)
        return changes

    def received(self, recipes: Sequence[Recipe]) -> Outputs:
        """The editors of recipes that another panel sent, in their order."""
        changes: dict[Any, Any] = {}
        left = [received(self._ui, recipe) for recipe in recipes]
        for each in self._settings:
            mine, left = left[: len(each.editors)], left[len(each.editors) :]
            changes |= _filled(each, mine) if mine else {}
        return changes

    def wire(self) -> None:
        """Follow the shelf, and add what is asked for."""
        if self.editors:
            follow_shelf(self._ui, [*self.editors.values()])
        for each in self._settings:
            if each.add is not None:
                self._wire_adding(each, each.add)

    def _wire_adding(self, setting: _Recipes, button: gr.Button) -> None:
        ui, inputs = self._ui, dict(_named(setting))

        def free(drafts: Mapping[str, Draft]) -> str | None:
            return next((name for name, draft in drafts.items() if draft.empty), None)

        def add(**drafts: Draft) -> Outputs:
            name, vector = free(drafts), vector_named(ui, next(iter(fitting(ui)), None))
            return {inputs[name]: with_vector(Recipe(), vector) if vector else Recipe()} if name else {}

        def offer(**drafts: Draft) -> Outputs:
            return {button: gr.update(visible=free(drafts) is not None)}

        ui.quick(button.click, add, inputs=inputs, outputs=[*inputs.values()])
        changed = [editor.change for editor in inputs.values()]
        ui.watch("shelf", *changed, call=offer, inputs=inputs, outputs=[button])

    def _read(self, editor: RecipeEditor, draft: Draft) -> Recipe | None:
        try:
            return draft.recipe()
        except SteeringError as error:
            if len(self.editors) == 1:
                raise
            raise SteeringError(f"{editor.props['title']}: {error.given}", error.expected, error.remedy) from error


def _placed(ui: PanelContext, panel: str, name: str, info: FieldInfo, hues: Iterator[str]) -> _Recipes:
    kind, optional, _ = setting_type(info)
    title, key = info.title or upper_first(name.replace("_", " ")), f"{panel}-{name.replace('_', '-')}"
    given = None if info.is_required() else info.get_default(call_default_factory=True)
    if kind is not Recipe:
        return _placed_list(ui, key, name, title, info, given, hues)
    blank = Recipe() if info.is_required() else None
    editor = place_recipe(
        ui,
        key,
        title=title,
        about=info.description or "",
        hue=next(hues),
        value=blank or given,
        decoding=True,
        removable=optional,
    )
    return _Recipes(name, title, (editor,), listed=False, blank=blank, empty=None)


def _placed_list(
    ui: PanelContext, key: str, name: str, title: str, info: FieldInfo, given: Any, hues: Iterator[str]
) -> _Recipes:
    """As many editors as a list may have, of which those show that have a recipe, and a button for one more."""
    least, most = (_length(info, end) for end in ("min_length", "max_length"))
    blanks = [Recipe()] * (least or 0)
    values = [*(given or blanks)]
    about = f": {escape(info.description)}" if info.description else ""
    html_block(f'<p class="sw-note"><b>{escape(title)}</b>{about}</p>')
    editors = tuple(
        place_recipe(
            ui,
            f"{key}-{n + 1}",
            title=f"{title} {n + 1}",
            hue=next(hues),
            value=values[n] if n < len(values) else None,
            decoding=True,
            removable=n >= len(blanks),
        )
        for n in range(max(len(values), min(MOST, most or MOST)))
    )
    add = gr.Button(f"+ add a recipe to {title}", size="sm", elem_classes="sw-link", elem_id=f"{key}-add")
    blank = blanks if info.is_required() else None
    empty: list[Recipe] | None = None if setting_type(info)[1] else []
    return _Recipes(name, title, editors, listed=True, blank=blank, empty=empty, add=add)


def _length(info: FieldInfo, end: str) -> int | None:
    return next((length for mark in info.metadata if (length := getattr(mark, end, None)) is not None), None)


def _named(setting: _Recipes) -> Iterator[tuple[str, RecipeEditor]]:
    if not setting.listed:
        yield setting.name, setting.editors[0]
        return
    for n, editor in enumerate(setting.editors, 1):
        yield f"{setting.name}-{n}", editor


def _filled(setting: _Recipes, recipes: Sequence[Recipe | None]) -> Outputs:
    """All editors of a setting, those behind its last recipe empty."""
    left = [None] * (len(setting.editors) - len(recipes))
    return dict(zip(setting.editors, (*recipes, *left), strict=True))
