"""Grid: replies over two axes of a recipe, such as block and strength, filled as they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import gradio as gr

from panels.grid.exports import export_grid
from panels.grid.markup import GRID_SCRIPT, Cells, cell_html, grid_html, title_of
from steering.lane import Job
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.recipes.recipe import Recipe
from steering.studies import STUDIES
from steering.studies.grid import (
    KINDS,
    Cell,
    Grid,
    GridSettings,
    check_grid,
    grid_result,
    run_cells,
    size_of_grid,
    with_methods,
)
from steering.studies.size import Size
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from workbench.controls.estimate import follow_estimate
from workbench.controls.first_vector import FirstVector
from workbench.controls.offers import fitting, suggested, vector_named, vectors_at_hand
from workbench.controls.panes import place_card_at
from workbench.controls.prompt_card import EXAMPLES, PromptCard
from workbench.controls.recipe_editor import RecipeEditor, follow_shelf, place_recipe, received
from workbench.controls.recipe_reading import Draft
from workbench.generation import on_the_shelf
from workbench.page.blocks import EVENT, html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import number_of
from workbench.page.jobs import Call, Outputs
from workbench.page.links import place_link
from workbench.page.markup import card, empty_state, heading, note
from workbench.panel import Panel


_NO_ROWS = ""
_FIRST_VALUES = "-1..1 step 0.5"
_EMPTY = card(
    empty_state(
        "No grid yet",
        "Press Run: every cell is one reply, at the values on the left. Cells fill as they are done and are kept, so "
        "that a wider grid computes only what is new.",
    )
)
_FIRST = {
    "strength": _FIRST_VALUES,
    "mode": "add, rotate",
    "method": "mean_difference, logistic, lda, random",
    "scope": "all, reply, last",
    "prompt": "\n".join(text for _, text in EXAMPLES[:3]),
    "seed": "0..3",
    "temperature": "0, 0.7, 1",
}
_WITHOUT_VECTOR = ("prompt", "seed", "temperature")
"""Axes that change no intervention."""
_LABELS = {"method": "extraction method"}


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
                axes = _place_axes()
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
                shown = _Shown(ui)
        prompt.wire([recipe])
        follow_shelf(ui, [recipe])
        buttons: dict[str, Any] = {"run": [run, first.button], "stop": stop, "title": "the grid"}
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
            strengths = _first_values(ui, "strength", vector.name)
            asked = {**values, "recipe": Draft(recipe), "x": "strength", "x_values": strengths, "y": _NO_ROWS}
            yield from shown.run(call, **asked)

        ui.on(first.button.click, begin, inputs=given, outputs=[*shown.outputs, ui.page.picked], **buttons)
        ui.watch("shelf", "model", call=first.offer, outputs=[first.card])
        ui.reveal(run.click, "grid-cells")
        _wire_first_values(ui, axes, recipe)
        _wire_receiving(ui, prompt, recipe, axes)


class _Shown:
    """The right-hand side, and the handlers that fill it."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._grid = gr.State(None)
        self._cells = gr.State({})
        self._chat = gr.State(None)
        """Chat settings of the page when the cells were generated."""
        self._html = streamed_block(_EMPTY, elem_id="grid-cells", script=GRID_SCRIPT)
        with gr.Row(elem_classes="sw-actions", visible=False) as self._exports:
            self._csv = gr.DownloadButton("Download CSV", size="sm", elem_id="grid-csv")
            self._page = gr.DownloadButton("Download HTML", size="sm", elem_id="grid-html")
        self._cell = place_card_at("#grid-cells [data-x]", elem_id="grid-cell")
        self.outputs = [
            self._html,
            self._grid,
            self._cells,
            self._chat,
            self._exports,
            self._csv,
            self._page,
            self._cell,
        ]
        state = [self._grid, self._cells]
        ui.choices.on_click(
            "cell",
            self._html.choose,
            self._choose,
            pick=lambda event: _place(number_of(event, "x"), number_of(event, "y")),
            picks=lambda _, cells: [_place(*at) for at in cells],
            states=state,
            outputs=[self._cell],
        )
        self._html.open(self._open, inputs=[*state, self._chat], outputs=[ui.page.go, ui.page.shelf_seen], **EVENT)

    def run(self, call: Call, **values: Any) -> Iterator[Outputs | None]:
        """Generate the cells, those known already first."""
        settings, vectors = _settings_of(values), vectors_at_hand(self._ui)
        host, grid = call.host, settings.grid
        check_grid(host, grid, vectors)
        store = call.workspace.cells

        def work(job: Job[None]) -> None:
            for cell in run_cells(job, host, grid, vectors, store):
                job.emit(cell)

        used = {name: vectors[name] for name in grid.vectors if name in vectors}
        call.begins("grid", title_of(grid), settings, recipes=(grid.recipe,), vectors=used)
        shown = partial(grid_html, grid, warnings=host.warnings)
        job = host.submit(work, title=f"{len(grid)} replies")
        cells: dict[tuple[int, int], Cell] = {}
        yield {
            self._html: shown(cells, running=True),
            self._grid: grid,
            self._cells: {},
            self._chat: host.chat,
            self._cell: "",
        }
        for done in call.follow(job):
            cells |= {(cell.x, cell.y): cell for cell in done}
            yield {self._html: shown(cells, running=True)} if done else {}
        yield {self._html: shown(cells), self._cells: cells}
        call.ends(grid_result(host, settings, grid, cells.values()))
        if cells:  # last: where they cannot be written, all else is there
            table, page = export_grid(call.workspace, host, grid, cells)
            downloads = {self._csv: gr.update(value=str(table)), self._page: gr.update(value=str(page))}
            yield {**downloads, self._exports: gr.update(visible=True)}
        else:
            yield {self._exports: gr.update(visible=False)}
        job.result()

    def _choose(self, pick: str, grid: Grid | None, cells: Cells) -> Outputs:
        cell = {_place(*at): cell for at, cell in cells.items()}.get(pick)
        return {self._cell: cell_html(grid, cell) if grid and cell else ""}

    def _open(self, event: gr.EventData, grid: Grid | None, cells: Cells, chat: ChatSettings | None) -> Any:
        cell = _cell_at(event, cells)
        if grid is None or cell is None or chat is None or self._ui.host is None:
            return gr.skip()
        vectors = with_methods(self._ui.host, grid, vectors_at_hand(self._ui))
        recipe = on_the_shelf(self._ui.workspace, cell.recipe, vectors)
        sent = SteerSettings(user=cell.user, system=grid.system, recipes=(recipe,))
        return self._ui.sending("steer", sent.under(chat))


def _place(x: int, y: int) -> str:
    return f"{x},{y}"


def _cell_at(event: gr.EventData, cells: Cells) -> Cell | None:
    return cells.get((number_of(event, "x"), number_of(event, "y")))


def _place_axes() -> dict[str, Any]:
    kinds = [(_LABELS.get(kind, kind).capitalize(), kind) for kind in KINDS]
    with gr.Column(elem_classes="sw-card"):
        html_block(heading("What changes"))
        x = gr.Dropdown(kinds, value="strength", label="Along the columns", elem_id="grid-x")
        x_values = gr.Textbox(_FIRST_VALUES, label="Values", info=_info("strength"), elem_id="grid-x-values")
        rows = [("– (one row)", _NO_ROWS), *kinds]
        y = gr.Dropdown(rows, value=_NO_ROWS, label="Along the rows", elem_id="grid-y")
        y_values = gr.Textbox("", label="Values", lines=1, max_lines=8, visible=False, elem_id="grid-y-values")
        html_block(note("All but prompts, seeds and temperatures change the recipe's first intervention."))

    return {"x": x, "x_values": x_values, "y": y, "y_values": y_values}


def _linked(user: str, system: str, recipe: Draft) -> SteerSettings:
    """What a link to the page carries: the axes are its form's."""
    return SteerSettings(user=user or "", system=system or "", recipes=(recipe.recipe() or Recipe(),))


def _settings_of(values: Mapping[str, Any]) -> GridSettings:
    return GridSettings(
        user=values["user"] or "",
        system=values["system"] or "",
        recipe=values["recipe"].recipe() or Recipe(),
        x=f"{values['x']}: {values['x_values'] or ''}",
        y=f"{values['y']}: {values['y_values'] or ''}" if values["y"] else "",
    )


def _place_size(ui: PanelContext, given: Mapping[str, Any]) -> None:
    """Say before the run how many replies, about how long, or what is wrong."""

    def count(host: Host, **values: Any) -> Size | None:
        if not fitting(ui) and values["x"] not in _WITHOUT_VECTOR:
            return None  # the card beside says what to do first
        grid, vectors = _settings_of(values).grid, vectors_at_hand(ui)
        check_grid(host, grid, vectors)
        return size_of_grid(host, grid, vectors, ui.workspace.cells)

    line = html_block("", elem_id="grid-size", elem_classes="sw-estimate")
    follow_estimate(ui, line, count, given, follows="shelf")


def _wire_first_values(ui: PanelContext, axes: Mapping[str, Any], recipe: RecipeEditor) -> None:
    """Another kind of axis starts with values of its own; strengths that nobody changed follow the vector."""
    state = gr.State(_FIRST_VALUES)

    def follow(recipe: Draft, x: str, x_values: str, first: str) -> dict[Any, Any]:
        vector = _first_vector(recipe)
        if x != "strength" or x_values != first or vector_named(ui, vector) is None:
            return {}
        text = _first_values(ui, x, vector)
        return {axes["x_values"]: text, state: text} if text != x_values else {}

    inputs = {"recipe": recipe, "x": axes["x"], "x_values": axes["x_values"], "first": state}
    ui.watch(recipe.change, call=follow, inputs=inputs, outputs=[axes["x_values"], state])
    for name in ("x", "y"):
        values = axes[f"{name}_values"]

        def begin(kind: str, recipe: Draft, values: Any = values) -> dict[Any, Any]:
            first = _first_values(ui, kind, _first_vector(recipe))
            lines = 3 if kind == "prompt" else 1
            shown = gr.update(value=first, info=_info(kind), lines=lines, visible=kind != _NO_ROWS)
            return {values: shown, **({state: first} if values is axes["x_values"] else {})}

        inputs = {"kind": axes[name], "recipe": recipe}
        ui.watch(axes[name].input, call=begin, inputs=inputs, outputs=[values, state])


def _first_vector(recipe: Draft) -> str | None:
    return next(iter(recipe.ready.vectors), None)


def _first_values(ui: PanelContext, kind: str, vector: str | None) -> str:
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


def _wire_receiving(ui: PanelContext, prompt: PromptCard, recipe: RecipeEditor, axes: Mapping[str, Any]) -> None:
    shown = [*prompt.inputs.values(), recipe]

    def take(settings: SteerSettings) -> dict[Any, Any]:
        return {**prompt.show(settings), recipe: received(ui, settings.recipes[0])}

    def take_own(settings: GridSettings) -> dict[Any, Any]:
        sent = SteerSettings(user=settings.user, system=settings.system, recipes=(settings.recipe,))
        return {**take(sent), **_axes_shown(settings, axes)}

    ui.receive(take, shown)
    ui.receive(take_own, [*shown, *axes.values()], GridSettings)


def _axes_shown(settings: GridSettings, axes: Mapping[str, Any]) -> dict[Any, Any]:
    """Both axes as the page has them: a kind and its values each."""
    changes: dict[Any, Any] = {}
    for name in ("x", "y"):
        kind, _, values = (part.strip() for part in getattr(settings, name).partition(":"))
        if kind in KINDS or (not kind and name == "y"):
            told = gr.update(value=values, info=_info(kind), lines=3 if kind == "prompt" else 1, visible=bool(kind))
            changes |= {axes[name]: kind or _NO_ROWS, axes[f"{name}_values"]: told}
    return changes


panel = GridPanel()
