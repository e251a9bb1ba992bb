"""Grid: replies over two axes of a recipe, such as block and strength, filled as they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from panels.grid.axes import (
    NO_ROWS,
    WITHOUT_VECTOR,
    axes_shown,
    first_values,
    place_axes,
    settings_of,
    wire_first_values,
)
from panels.grid.view import GridView
from steering.lane import Job
from steering.model.host import Host
from steering.recipes.recipe import Recipe
from steering.studies import STUDIES
from steering.studies.grid import (
    GridSettings,
    check_grid,
    size_of_grid,
)
from steering.studies.size import Size
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from workbench.controls.estimate import follow_estimate
from workbench.controls.first_vector import FirstVector
from workbench.controls.offers import fitting, suggested, vectors_at_hand
from workbench.controls.prompt_card import PromptCard
from workbench.controls.recipe_editor import RecipeEditor, follow_shelf, place_recipe, received
from workbench.controls.recipe_reading import Draft
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.links import place_link
from workbench.panel import Panel


class GridPanel(Panel):
    """Sweeps over two axes."""

    id = "grid"
    title = "Grid"
    summary = "Replies over two axes of a recipe, such as block and strength."
    order = 30
    settings = GridSettings
    receives = True

    def run(self, host: Host, settings: GridSettings, job: Job[Result]) -> Result:
        """The study "grid"."""
        return STUDIES["grid"].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: prompt, recipe and axes. Right: the grid, and one cell's whole text."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                prompt = PromptCard(ui, "grid-")
                axes = place_axes()
                recipe = place_recipe(ui, "g", title="Recipe", hue="a", picking=True, decoding=True)
                with gr.Row(elem_classes="sw-actions"):
                    run = gr.Button("Run", variant="primary", elem_id="grid-run")
                    stop = gr.Button("Stop", interactive=False, elem_id="grid-stop")
                    given = {**prompt.inputs, **axes, "recipe": recipe}
                    _place_size(ui, given)
                    place_link(ui, _linked, {**prompt.inputs, "recipe": recipe})
            with gr.Column(elem_classes="sw-right sw-follow", min_width=0):
                ui.error_slot()
                first = FirstVector(
                    ui, "fill a grid", "fills a grid of replies at several strengths of it", elem_id="grid-start"
                )
                shown = GridView(ui)
        prompt.wire([recipe])
        follow_shelf(ui, [recipe])
        buttons: dict[str, Any] = {"run": [run, first.button], "stop": stop, "title": "the grid"}
        ui.reveal(run.click, "grid-cells")
        ui.on(
            run.click,
            shown.run,
            inputs=given,
            outputs=shown.outputs,
            **buttons,
        )

        def begin(call: Call, **values: Any) -> Iterator[Outputs | None]:
            """Extract the first vector, put it on the shelf and sweep its strength."""
            vector = yield from first.extract(call)
            draft: Draft = values["recipe"]
            recipe = suggested(vector).model_copy(update={"decode": draft.ready.decode})
            strengths = first_values(ui, "strength", vector.name)
            asked = {**values, "recipe": Draft(recipe), "x": "strength", "x_values": strengths, "y": NO_ROWS}
            yield from shown.run(call, **asked)

        ui.on(first.button.click, begin, inputs=given, outputs=[*shown.outputs, ui.page.picked], **buttons)
        ui.watch("shelf", "model", call=first.offer, outputs=[first.card])
        wire_first_values(ui, axes, recipe)
        _wire_receiving(ui, prompt, recipe, axes)


def _linked(user: str, system: str, recipe: Draft) -> SteerSettings:
    """What a link to the page carries: the axes are its form's."""
    return SteerSettings(user=user or "", system=system or "", recipes=(recipe.recipe() or Recipe(),))


def _place_size(ui: PanelContext, given: Mapping[str, Any]) -> None:
    """Say before the run how many replies, about how long, or what is wrong."""

    def count(host: Host, **values: Any) -> Size | None:
        if not fitting(ui) and values["x"] not in WITHOUT_VECTOR:
            return None  # the card beside says what to do first
        grid, vectors = settings_of(values).grid, vectors_at_hand(ui)
        check_grid(host, grid, vectors)
        return size_of_grid(host, grid, vectors, ui.workspace.cells)

    line = html_block("", elem_id="grid-size", elem_classes="sw-estimate")
    follow_estimate(ui, line, count, given, follows="shelf")


def _wire_receiving(ui: PanelContext, prompt: PromptCard, recipe: RecipeEditor, axes: Mapping[str, Any]) -> None:
    shown = [*prompt.inputs.values(), recipe]

    def take(settings: SteerSettings) -> dict[Any, Any]:
        return {**prompt.show(settings), recipe: received(ui, settings.recipes[0])}

    def take_own(settings: GridSettings) -> dict[Any, Any]:
        sent = SteerSettings(user=settings.user, system=settings.system, recipes=(settings.recipe,))
        return {**take(sent), **axes_shown(settings, axes)}

    ui.receive(take, shown)
    ui.receive(take_own, [*shown, *axes.values()], GridSettings)


panel = GridPanel()
