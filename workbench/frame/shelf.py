"""The shelf at the side: every vector in the workspace as a card, to pick, download, remove and add.

One component: its value is the cards and which of them is picked; its markup, style and script lie in `assets/shelf`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from steering.errors import SteeringError
from steering.extraction.sources import VECTOR_ENDINGS, read_vector
from steering.resources import resource
from workbench.bench import Workbench
from workbench.controls.convention_fields import convention_of, place_convention
from workbench.controls.fields import Filled
from workbench.controls.offers import fitting
from workbench.frame.shelf_cards import shelf_cards
from workbench.page.blocks import EVENT, Unwritten, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.markup import error_card, note
from workbench.page.state import PageState
from workbench.page.visits import visitor_of


_MARKUP = resource("assets", "shelf", "shelf.html").read_text(encoding="utf-8")
_LOAD = "window.vectorShelf(element, props, server, watch, upload, trigger); /* 'pick', 'remove' */"


class Shelf(gr.HTML, metaclass=Unwritten):
    """As an output it takes the cards and which is picked; as an input it gives the file that was uploaded last."""

    def preprocess(self, payload: Any) -> Path | None:
        """The upload, None before any; never trusted: it must lie in the folder of uploads."""
        sent = payload.get("added") if isinstance(payload, dict) else None
        if not isinstance(sent, str):
            return None
        home, parts = Path(get_upload_folder()).resolve(), Path(sent).parts[-2:]
        try:
            path = home.joinpath(*parts).resolve()
            is_upload = len(parts) == 2 and path.parent.parent == home and path.is_file()
        except (OSError, ValueError):  # what can be no path
            is_upload = False
        return path if is_upload else None

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Plain data already."""
        return value or {"cards": [], "picked": None}

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def place_shelf(bench: Workbench, state: PageState) -> PanelContext:
    """Lay out the shelf and keep it true to the workspace and the loaded model."""
    context = PanelContext(bench, state, "Shelf")

    def file_of(name: Any) -> str:
        """Where a vector's file lies, for a download; called by the script."""
        try:
            return str(bench.workspace.get(name).path) if isinstance(name, str) else ""
        except SteeringError:
            return ""

    shelf = Shelf(
        None,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        server_functions=[file_of],
        elem_id="shelf",
        endings=",".join(VECTOR_ENDINGS),
    )
    told = place_convention(context)
    understood = html_block("")
    context.error_slot()
    errors = context.errors

    def draw(picked: str | None) -> dict[Any, Any]:
        """Draw the cards; where nothing is picked, or what was is gone, pick the newest that fits."""
        names = fitting(context)
        picked = picked if picked in bench.workspace.names() else next(iter(names), None)
        return {shelf: {"cards": shelf_cards(bench), "picked": picked}, state.picked: picked}

    def add(path: Path | None, told: Filled) -> dict[Any, Any]:
        if path is None:
            raise SteeringError("No file was chosen yet.", "a vector file.", "Choose one with 'Add a vector file'.")
        blocks = bench.host.info.blocks if bench.host else None  # which files of other tools do not say
        vector, said = read_vector(path, convention_of(told.values(), blocks))
        return {state.picked: bench.workspace.put(vector), understood: "".join(map(note, said))}

    def pick(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        name = text_of(event, "name")
        bench.memory.keep(visitor_of(request), "", {"picked": name})
        return {state.picked: name, state.drawn: None}

    def remove(event: gr.EventData) -> dict[Any, Any]:
        try:
            bench.workspace.remove(text_of(event, "name"))
        except SteeringError as error:  # another page was quicker
            return {errors: error_card(error), state.shelf_seen: bench.seen}
        return {errors: "", state.shelf_seen: bench.seen}

    context.quick(
        [shelf.upload, told.again], add, inputs={"path": shelf, "told": told}, outputs=[state.picked, understood]
    )
    context.watch("shelf", "model", "picked", call=draw, inputs={"picked": state.picked}, outputs=[shelf, state.picked])
    shelf.pick(pick, outputs=[state.picked, state.drawn], **EVENT)
    shelf.remove(remove, outputs=[errors, state.shelf_seen], **EVENT)
    return context
