"""The right-hand side of Grid: the cells as they are done, one cell whole, and files of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from panels.grid.axes import settings_of
from panels.grid.exports import export_grid
from panels.grid.markup import GRID_SCRIPT, Cells, cell_html, grid_html, title_of
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.chat_settings import ChatSettings
from steering.studies.grid import (
    Cell,
    Grid,
    check_grid,
    grid_result,
    run_cells,
    with_methods,
)
from steering.studies.steer import SteerSettings
from workbench.controls.offers import vectors_at_hand
from workbench.controls.panes import place_card_at
from workbench.page.blocks import EVENT, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import number_of
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import card, empty_state
from workbench.page.sending import Sendable
from workbench.runs.run import titled


_EMPTY = card(
    empty_state(
        "No grid yet",
        "Press Run: every cell is one reply, at the values on the left. Cells fill as they are done and are kept, so "
        "that a wider grid computes only what is new.",
    )
)


class GridView:
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
        sent = [*state, self._chat]
        ui.sending.source("cell", self._sendable, sent, picks=lambda _, cells, chat: [_place(*at) for at in cells])
        given = [ui.answers.placed_run(), *sent]
        self._html.open(self._open, inputs=given, outputs=[ui.page.go, ui.page.shelf_seen], **EVENT)

    def run(self, call: Call, **values: Any) -> Iterator[Outputs | None]:
        """Generate the cells, those known already first."""
        settings, vectors = settings_of(values), vectors_at_hand(self._ui)
        host, grid = call.host, settings.grid
        check_grid(host, grid, vectors)
        store = call.workspace.cells

        def work(job: Job[None]) -> None:
            for cell in run_cells(job, host, grid, vectors, store):
                job.emit(cell)

        used = {name: vectors[name] for name in grid.vectors if name in vectors}
        title = titled(f"{title_of(grid)}, {settings.x.partition(':')[2].strip()[:60]}", settings.user)
        call.begins("grid", title, settings, recipes=(grid.recipe,), vectors=used)
        first = next(iter(used.values()), None)
        shown = partial(grid_html, grid, warnings=host.warnings, first=first)
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
            table, page = export_grid(call.workspace, host, grid, cells, first)
            downloads = {self._csv: gr.update(value=str(table)), self._page: gr.update(value=str(page))}
            yield {**downloads, self._exports: gr.update(visible=True)}
        else:
            yield {self._exports: gr.update(visible=False)}
        job.result()

    def _choose(self, pick: str, grid: Grid | None, cells: Cells) -> Outputs:
        cell = {_place(*at): cell for at, cell in cells.items()}.get(pick)
        return {self._cell: cell_html(grid, cell) if grid and cell else ""}

    def _sendable(self, pick: str, grid: Grid | None, cells: Cells, chat: ChatSettings | None) -> Sendable:
        cell = {_place(*at): cell for at, cell in cells.items()}.get(pick)
        if grid is None or cell is None or chat is None or self._ui.host is None:
            raise SteeringError("There is no such cell, or no model to open it on.", remedy="Run the grid again.")
        settings = SteerSettings(user=cell.user, system=grid.system, recipes=(cell.recipe,)).under(chat)
        return Sendable(settings, with_methods(self._ui.host, grid, vectors_at_hand(self._ui)))

    def _open(self, event: gr.EventData, run: str, *values: Any) -> Outputs:
        pick = _place(number_of(event, "x"), number_of(event, "y"))
        return self._ui.sending.going("steer", self._ui.sending.of("cell", pick, run, values))


def _place(x: int, y: int) -> str:
    return f"{x},{y}"
