"""The list of runs on the page: found, starred, deleted and had back, and exchanged as files."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr
from pydantic import BaseModel

from panels.runs.markup import RUNS_SCRIPT, runs_html, tidy_html
from steering.errors import SteeringError
from workbench.controls.field import Choice
from workbench.controls.fields import Fields, Filled
from workbench.controls.upload_field import sent_file
from workbench.page.blocks import event_of, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import card, error_card
from workbench.places import without_places
from workbench.runs.archive import archive_name, write_archive
from workbench.runs.arrivals import take_in
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.runs.tidying import beyond_latest


MORE = 100
"""Rows that are shown at first, and more with every click."""
ANY: Choice = ("any", "")
_OFFERED = ("kind", "model", "vector", "tag")
_MOST_PACKED = 500
"""Runs in one file of the page; the command line takes any number."""
_log = logging.getLogger(__name__)


def query_of(given: Mapping[str, Any], owner: str | None = None) -> Query:
    """What the form asks for.

    Args:
        given: Its values.
        owner: Whose runs are seen; everybody's where None.
    """
    named = {name: given[name] for name in (*_OFFERED, "search", "state", "favourites", "since", "until")}
    return Query(**named, owner=owner)


class RunsList:
    """Draws the list, and answers what is clicked in it; `ChosenRun` shows a row that is chosen."""

    def __init__(self, ui: PanelContext, form: Fields) -> None:
        self._ui, self._form = ui, form
        self._panels = {panel.id: panel.settings for panel in ui.bench.catalogue.panels}
        self.block = html_block(
            "", elem_id="runs-list", js_on_load=RUNS_SCRIPT, server_functions=[self._pack_function()]
        )
        self._shown, self._gone, self._offered = gr.State(MORE), gr.State([]), gr.State([])
        self._offer = html_block("", elem_id="runs-offer", js_on_load=_OFFER_SCRIPT)
        with gr.Row(elem_classes="sw-actions"):
            self._more = gr.Button("Show more", size="sm", visible=False, elem_id="runs-more")
            self._undo = gr.Button("Undo: have it back", size="sm", visible=False, elem_id="runs-undo")
        self.look = {"form": form, "shown": self._shown}
        """What `draw` takes."""
        self.drawn = [self.block, self._more, form]
        """What it changes."""
        self.removing = [self._undo, self._gone]
        """What `gone` changes."""
        self._wire()

    def _wire(self) -> None:
        ui, look, drawn = self._ui, self.look, self.drawn
        ui.watch("model", self._form.changed, call=self.draw, inputs=look, outputs=drawn, of_visitor=True)
        ui.quick(self._more.click, self._show_more, inputs=look, outputs=[self._shown, *drawn], of_visitor=True)
        clicked: dict[str, Any] = {"inputs": look, "outputs": drawn, "of_visitor": True, "of_event": True}
        ui.quick(event_of(self.block, "star"), self._star, **clicked)
        ui.quick(event_of(self.block, "arrive"), self._arrive, **clicked)
        offer = [self._offer, self._offered]
        ui.quick(self._form.tidy, self._tidy, inputs={"form": self._form}, outputs=offer, of_visitor=True)
        ui.quick(
            event_of(self._offer, "tidy"),
            self._clear,
            inputs={**look, "offered": self._offered},
            outputs=[*drawn, *offer, *self.removing],
            of_visitor=True,
        )
        ui.quick(
            self._undo.click,
            self._restore,
            inputs={**look, "gone": self._gone},
            outputs=[*drawn, *self.removing],
            of_visitor=True,
        )

    def draw(self, form: Filled, shown: int, visitor: str, said: str = "") -> dict[Any, Any]:
        """The list as it is asked for.

        Args:
            form: What is looked for.
            shown: Rows at most.
            visitor: Who looks.
            said: What happened to it.
        """
        owner = self._ui.bench.owner(visitor)
        try:
            runs = self._ui.workspace.runs
            query = query_of(form.values(), owner)
            n, size = runs.count(query)
        except SteeringError as error:
            return {self.block: card(error_card(error))}
        told = " ".join(filter(None, (runs.mended, said)))
        offers = {name: [ANY, *((each, each) for each in runs.known(name, owner))] for name in _OFFERED}
        return {
            self.block: runs_html([*map(self.here, runs.find(query, limit=shown))], n, size, told),
            self._more: gr.update(visible=n > shown),
            self._form: self._form.offering(offers),
        }

    def gone(self, runs: list[Run]) -> dict[Any, Any]:
        """What changes once some were deleted: they can be had back."""
        what = f"“{runs[0].title[:60]}”" if len(runs) == 1 else f"{len(runs):,} runs"
        undo = gr.update(value=f"Undo: have {what} back", visible=True)
        return {self._undo: undo, self._gone: [run.id for run in runs]}

    def here(self, run: Run) -> Run:
        """The run with a panel that stands here only: that of a package which is gone has no page."""
        return run if run.panel in self._panels else replace(run, panel="")

    def settings_of(self, run: Run) -> type[BaseModel] | None:
        """The settings of its panel, where it stands here."""
        return self._panels.get(run.panel)

    def own(self, id: str, visitor: str) -> Run:
        """A run that somebody may change.

        Raises:
            SteeringError: There is none, or it is another visitor's.
        """
        run = self._ui.workspace.runs.get(id)
        if self._ui.bench.owner(visitor) not in (None, run.owner):
            raise SteeringError("That run is another visitor's.", "one of your own.")
        return run

    def _show_more(self, form: Filled, shown: int, visitor: str) -> Outputs:
        return {self._shown: shown + MORE, **self.draw(form, shown + MORE, visitor)}

    def _star(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        run = self.own(text_of(event, "pick"), visitor)
        self._ui.workspace.runs.change(run.id, favourite=not run.favourite)
        return self.draw(form, shown, visitor)

    def _arrive(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        path = sent_file(text_of(event, "path"))
        if path is None:
            raise SteeringError("No file was sent.", "a ZIP of runs.", "Choose it with “Import runs (ZIP)”.")
        owner = self._ui.bench.owner(visitor)
        place, called = self._ui.workspace, text_of(event, "name")
        arrived = take_in(place.runs, path, name=called, owner=visitor, sees=owner, dictionaries=place.dictionaries)
        return self.draw(form, shown, visitor, " ".join(map(str, arrived)))

    def _tidy(self, form: Filled, visitor: str) -> Outputs:
        given = form.values()
        query = query_of(given, self._ui.bench.owner(visitor))
        if given["latest"] is None:
            raise SteeringError("Keep the latest: nothing.", "a number of runs.", "Type one.")
        offer = beyond_latest(self._ui.workspace.runs, query, given["latest"])
        return {self._offer: tidy_html(offer), self._offered: [run.id for run in offer.runs]}

    def _clear(self, form: Filled, shown: int, offered: list[str], visitor: str) -> Outputs:
        runs = [self.own(id, visitor) for id in offered]
        for run in runs:
            self._ui.workspace.runs.delete(run.id)
        undo = self.gone(runs) if runs else {}
        return {**self.draw(form, shown, visitor), **undo, self._offer: "", self._offered: []}

    def _restore(self, form: Filled, shown: int, gone: list[str], visitor: str) -> Outputs:
        for id in gone:
            self._ui.workspace.runs.restore(id)
        return {**self.draw(form, shown, visitor), self._undo: gr.update(visible=False), self._gone: []}

    def _pack_function(self) -> Any:
        workspace = self._ui.workspace

        def pack(given: Any) -> dict[str, str]:
            """Runs as a file for download; called by the script, so anything may come."""
            try:
                ids, bare = (given.get("ids"), given.get("bare") is True) if isinstance(given, dict) else (None, False)
                named = [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []
                if len(named) > _MOST_PACKED:
                    raise SteeringError(f"{len(named):,} runs.", f"at most {_MOST_PACKED} in one file.", "Untick some.")
                file = io.BytesIO()
                write_archive(workspace.runs, named, file, texts=not bare)
                name = archive_name([workspace.runs.get(id) for id in named], texts=not bare)
                return {"path": str(workspace.export(name, file.getvalue())), "name": name}
            except SteeringError as error:
                return {"error": without_places(str(error))}
            except Exception:
                _log.exception("runs could not be written to a file")
                return {"error": "The runs could not be written to a file."}

        return pack


_OFFER_SCRIPT = """
element.addEventListener('click', event => { if (event.target.closest('[data-do="tidy"]')) trigger('tidy'); });
"""
