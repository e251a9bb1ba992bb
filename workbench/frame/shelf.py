"""The shelf at the side: every vector in the workspace as a card, to pick, add and remove."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.extraction.sources import VECTOR_ENDINGS, read_vector
from workbench.bench import Workbench
from workbench.controls.convention_fields import convention_of, place_convention
from workbench.controls.offers import fitting
from workbench.page.blocks import EVENT, html_block
from workbench.page.cards import shelf, unreadable_card, vector_card
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.markup import error_card, note
from workbench.page.state import PageState
from workbench.page.visits import visitor_of
from workbench.workspace import Unreadable


_log = logging.getLogger(__name__)
# Removing asks first: the button turns into the question, and back when it loses the focus.
_SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button.dataset.pick !== undefined) trigger('pick', {name: button.dataset.pick});
  if (button.dataset.remove === undefined) return;
  if (button.classList.contains('sw-sure')) { trigger('remove', {name: button.dataset.remove}); return; }
  button.classList.add('sw-sure');
  button.textContent = 'Really remove?';
  const back = () => { button.classList.remove('sw-sure'); button.textContent = 'Remove'; };
  button.addEventListener('blur', back, {once: true});
});
"""


def place_shelf(bench: Workbench, state: PageState) -> PanelContext:
    """Lay out the shelf and keep it true to the workspace and the loaded model."""
    context = PanelContext(bench, state, "Shelf")
    with gr.Column(elem_classes="sw-card", min_width=0):
        html = html_block(shelf([]), elem_classes="sw-shelf-cards", js_on_load=_SCRIPT)
    upload = gr.UploadButton(
        "Add a vector file", size="sm", file_types=list(VECTOR_ENDINGS), elem_classes="sw-add", variant="secondary"
    )
    told, again = place_convention()
    understood = html_block("")
    context.error_slot()
    errors = context.errors

    def draw(picked: str | None) -> dict[Any, Any]:
        """Draw the cards; where nothing is picked, or what was is gone, pick the newest that fits."""
        names = fitting(context)
        picked = picked if picked in bench.workspace.names() else next(iter(names), None)
        return {html: shelf_html(bench, picked), state.picked: picked}

    def add(path: str | None, **values: Any) -> dict[Any, Any]:
        if path is None:
            raise SteeringError("No file was chosen yet.", "a vector file.", "Choose one with 'Add a vector file'.")
        blocks = bench.host.info.blocks if bench.host else None  # which files of other tools do not say
        vector, said = read_vector(Path(path), convention_of(values, blocks))
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

    # The same file chosen a second time is no news to the browser, so that a button reads it again.
    context.quick(
        [upload.upload, again.click], add, inputs={"path": upload, **told}, outputs=[state.picked, understood]
    )
    context.watch("shelf", "model", "picked", call=draw, inputs={"picked": state.picked}, outputs=[html, state.picked])
    html.pick(pick, outputs=[state.picked, state.drawn], **EVENT)
    html.remove(remove, outputs=[errors, state.shelf_seen], **EVENT)
    return context


def shelf_html(bench: Workbench, picked: str | None) -> str:
    """The cards of a workspace, with those that do not fit the loaded model greyed out."""
    cards = []
    for entry in bench.workspace.entries():
        if isinstance(entry, Unreadable):
            cards.append(unreadable_card(entry))
            continue
        try:
            unfit = entry.vector.misfit(bench.host) if bench.host else None
            cards.append(vector_card(entry.name, entry.vector, unfit=unfit, picked=entry.name == picked))
        except Exception as error:  # one odd file must not take the others off the page
            _log.exception("%s cannot be drawn", entry.path.name)
            found = SteeringError(f"It cannot be shown: {type(error).__name__}.", "a vector file.", "Remove it.")
            cards.append(unreadable_card(Unreadable(entry.path, found)))
    return shelf(cards)
