"""What changes in a grid: the two axes as controls, and values to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.recipes.recipe import Recipe
from steering.studies.grid import (
    KINDS,
    GridSettings,
)
from workbench.controls.offers import fitting, vector_named
from workbench.controls.prompt_card import EXAMPLES
from workbench.controls.recipe_editor import RecipeEditor
from workbench.controls.recipe_reading import Draft
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import heading, note


NO_ROWS = ""
_FIRST_VALUES = "-1..1 step 0.5"
_FIRST = {
    "strength": _FIRST_VALUES,
    "mode": "add, rotate",
    "method": "mean_difference, logistic, lda, random",
    "scope": "all, reply, last",
    "prompt": "\n".join(text for _, text in EXAMPLES[:3]),
    "seed": "0..3",
    "temperature": "0, 0.7, 1",
}
WITHOUT_VECTOR = ("prompt", "seed", "temperature")
"""Axes that change no intervention."""
_LABELS = {"method": "extraction method"}


def place_axes() -> dict[str, Any]:
    kinds = [(_LABELS.get(kind, kind).capitalize(), kind) for kind in KINDS]
    with gr.Column(elem_classes="sw-card"):
        html_block(heading("What changes"))
        x = gr.Dropdown(kinds, value="strength", label="Along the columns", elem_id="grid-x")
        x_values = gr.Textbox(_FIRST_VALUES, label="Values", info=_info("strength"), elem_id="grid-x-values")
        rows = [("– (one row)", NO_ROWS), *kinds]
        y = gr.Dropdown(rows, value=NO_ROWS, label="Along the rows", elem_id="grid-y")
        y_values = gr.Textbox("", label="Values", lines=1, max_lines=8, visible=False, elem_id="grid-y-values")
        html_block(note("All but prompts, seeds and temperatures change the recipe's first intervention."))

    return {"x": x, "x_values": x_values, "y": y, "y_values": y_values}


def settings_of(values: Mapping[str, Any]) -> GridSettings:
    return GridSettings(
        user=values["user"] or "",
        system=values["system"] or "",
        recipe=values["recipe"].recipe() or Recipe(),
        x=f"{values['x']}: {values['x_values'] or ''}",
        y=f"{values['y']}: {values['y_values'] or ''}" if values["y"] else "",
    )


def axes_shown(settings: GridSettings, axes: Mapping[str, Any]) -> dict[Any, Any]:
    """Both axes as the page has them: a kind and its values each."""
    changes: dict[Any, Any] = {}
    for name in ("x", "y"):
        kind, _, values = (part.strip() for part in getattr(settings, name).partition(":"))
        if kind in KINDS or (not kind and name == "y"):
            told = gr.update(value=values, info=_info(kind), lines=3 if kind == "prompt" else 1, visible=bool(kind))
            changes |= {axes[name]: kind or NO_ROWS, axes[f"{name}_values"]: told}
    return changes


def wire_first_values(ui: PanelContext, axes: Mapping[str, Any], recipe: RecipeEditor) -> None:
    """Another kind of axis starts with values of its own; strengths that nobody changed follow the vector."""
    state = gr.State(_FIRST_VALUES)

    def follow(recipe: Draft, x: str, x_values: str, first: str) -> dict[Any, Any]:
        vector = _first_vector(recipe)
        if x != "strength" or x_values != first or vector_named(ui, vector) is None:
            return {}
        text = first_values(ui, x, vector)
        return {axes["x_values"]: text, state: text} if text != x_values else {}

    inputs = {"recipe": recipe, "x": axes["x"], "x_values": axes["x_values"], "first": state}
    ui.watch(recipe.change, call=follow, inputs=inputs, outputs=[axes["x_values"], state])
    for name in ("x", "y"):
        values = axes[f"{name}_values"]

        def begin(kind: str, recipe: Draft, values: Any = values) -> dict[Any, Any]:
            first = first_values(ui, kind, _first_vector(recipe))
            lines = 3 if kind == "prompt" else 1
            shown = gr.update(value=first, info=_info(kind), lines=lines, visible=kind != NO_ROWS)
            return {values: shown, **({state: first} if values is axes["x_values"] else {})}

        inputs = {"kind": axes[name], "recipe": recipe}
        ui.watch(axes[name].input, call=begin, inputs=inputs, outputs=[values, state])


def _first_vector(recipe: Draft) -> str | None:
    return next(iter(recipe.ready.vectors), None)


def first_values(ui: PanelContext, kind: str, vector: str | None) -> str:
    kept = vector_named(ui, vector)
    if kind == "strength" and kept is not None:
        return "-{0:g}..{0:g} step {1:g}".format(2 * kept.suggested_strength, kept.suggested_strength)
    if kind == "block" and ui.host is not None:
        return f"0..{ui.host.info.blocks - 1}"
    if kind == "vector":
        return ", ".join(fitting(ui)[:4])
    return _FIRST.get(kind, "")


def _info(kind: str) -> str:
    return f"such as {KINDS[kind]}" if kind in KINDS and kind != "prompt" else KINDS.get(kind, "")  # type: ignore[index,call-overload]
