"""The shelf at the side: every vector in the workspace as a card, to pick, note, download, remove and add.

One component: its value is the cards and which of them is picked; its markup, style and script lie in `assets/shelf`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from steering.bounds import check_given
from steering.errors import SteeringError
from steering.extraction.sources import VECTOR_ENDINGS, read_vector
from steering.resources import resource
from workbench.bench import Workbench
from workbench.controls.convention_fields import convention_of, place_convention
from workbench.controls.fields import Filled
from workbench.controls.offers import fitting
from workbench.controls.upload_field import sent_file
from workbench.frame.shelf_cards import shelf_cards, upload_line
from workbench.page.blocks import EVENT, Unwritten, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.markup import error_card, note, size_said
from workbench.page.state import PageState
from workbench.page.visits import visitor_of
from workbench.places import without_places
from workbench.workspace import Workspace


_MARKUP = resource("assets", "shelf", "shelf.html").read_text(encoding="utf-8")
_EVENTS = ("pick", "remove", "restore", "discard", "noted")
_LOAD = f"window.vectorShelf(element, props, server, watch, upload, trigger); /* {_EVENTS} */"
"""Gradio finds the names of events in this text, where they stand in quotes."""


class Shelf(gr.HTML, metaclass=Unwritten):
    """As an output it takes the cards and which is picked; as an input it gives the file that was uploaded last."""

    def preprocess(self, payload: Any) -> Path | None:
        """The upload, None before any; never trusted: it must lie in the folder of uploads."""
        return sent_file(payload.get("added") if isinstance(payload, dict) else None)

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Plain data already."""
        return value or {"cards": [], "picked": None, "removed": [], "uploads": []}

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

    def write_down(given: Any) -> dict[str, str]:
        """Note what somebody wrote of a vector; gives its name as it is now, or what is wrong; called by the script."""
        try:
            return {"name": note_vector(bench.workspace, given)}
        except SteeringError as error:
            return {"said": without_places(str(error))}

    shelf = Shelf(
        None,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        server_functions=[file_of, write_down],
        elem_id="shelf",
        endings=",".join(VECTOR_ENDINGS),
    )
    told = place_convention(context)
    understood = html_block("")
    context.error_slot()
    errors = context.errors

    def draw(picked: str | None, visitor: str) -> dict[Any, Any]:
        """Draw the cards; where nothing is picked, or what was is gone, pick the newest that fits."""
        picked = bench.workspace.renamed().get(picked or "", picked)
        picked = picked if picked in bench.workspace.names() else next(iter(fitting(context)), None)
        owner = bench.owner(visitor)
        uploads = bench.workspace.uploads.find(owner)
        value = {
            "cards": shelf_cards(bench),
            "picked": picked,
            "removed": [{"id": each.id, "name": each.name} for each in bench.workspace.bin.find(owner=owner)],
            "uploads": [upload_line(each) for each in uploads],
            "room": size_said(sum(each.size for each in uploads)),
        }
        return {shelf: value, state.picked: picked}

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

    def changing(change: Callable[[gr.EventData, str | None], None]) -> Callable[..., dict[Any, Any]]:
        """The handler of an event that changes what is on the shelf; the cards follow `shelf_seen`."""

        def changed(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            try:
                change(event, bench.owner(visitor_of(request)))
            except SteeringError as error:  # another page was quicker
                return {errors: error_card(error), state.shelf_seen: bench.seen}
            return {errors: "", state.shelf_seen: bench.seen}

        return changed

    def remove(event: gr.EventData, owner: str | None) -> None:
        bench.workspace.remove(text_of(event, "name"), owner or "")

    def discard(event: gr.EventData, owner: str | None) -> None:
        bench.workspace.uploads.remove(text_of(event, "digest"), owner)

    def restore(event: gr.EventData, owner: str | None) -> None:
        bench.workspace.restore(text_of(event, "id"), owner)

    context.quick(
        [shelf.upload, told.again], add, inputs={"path": shelf, "told": told}, outputs=[state.picked, understood]
    )
    drawn = [shelf, state.picked]
    context.watch(
        "shelf", "model", "picked", call=draw, inputs={"picked": state.picked}, outputs=drawn, of_visitor=True
    )
    shelf.pick(pick, outputs=[state.picked, state.drawn], **EVENT)
    done = {"remove": remove, "restore": restore, "discard": discard, "noted": lambda event, owner: None}
    for name, change in done.items():
        getattr(shelf, name)(changing(change), outputs=[errors, state.shelf_seen], **EVENT)
    return context


def note_vector(workspace: Workspace, given: Any) -> str:
    """Note what a page sent of a vector, and rename it where it says so; gives the vector's name as it is now.

    Args:
        workspace: Where it is.
        given: `name` of the vector, and what it is to be: `title`, `group` and `note`.

    Raises:
        SteeringError: Something is missing or no text, or the workspace refuses it.
    """
    said = dict(given) if isinstance(given, Mapping) else {}
    name, title, group, text = (said.get(each) for each in ("name", "title", "group", "note"))
    if not (isinstance(name, str) and isinstance(title, str) and isinstance(group, str) and isinstance(text, str)):
        raise SteeringError("The page sent no note.", "a name, a group and a note.", "Load the page again.")
    check_given("The shelf", said)
    workspace.note(name, group=group, note=text)
    return workspace.rename(name, title)
