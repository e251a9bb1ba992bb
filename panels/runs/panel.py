"""Runs: what was run in this workspace, on its pages and on the command line; opened, noted, deleted and had back."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from panels.runs.markup import RUNS_SCRIPT, open_file_html, run_html, runs_html
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.studies.study import Result, origin
from workbench.controls.field import Choice, choice, section, switch, text
from workbench.controls.fields import Fields, Filled, place_fields
from workbench.page.blocks import event_of, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.kept_view import STATES
from workbench.page.markup import card, heading, note
from workbench.panel import Panel
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.workspace import Workspace


MORE = 100
"""Rows that are shown at first, and more with every click."""
_ANY: Choice = ("any", "")


class RunsSettings(BaseModel):
    """Which runs to list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str = Field("", description="Words in title, model, kind, note or tags.")
    kind: str = Field("", description="A study's name, steer or grid; any where empty.")
    workspace: str = Field("", description="Folder of the workspace; the user's own where empty.")


class RunsPanel(Panel):
    """The list of runs."""

    id = "runs"
    title = "Runs"
    summary = "Everything that was run here, found again: opened as it was, noted, deleted and had back."
    order = 80
    settings = RunsSettings

    def run(self, host: Host, settings: RunsSettings, job: Job[Result]) -> Result:
        """The list as a table."""
        found = Workspace(settings.workspace or None).runs.find(Query(settings.search, kind=settings.kind))
        columns = ("id", "kind", "title", "model", "state", "begun", "ended", "note")
        rows = [[getattr(each, name) for name in columns] for each in found]
        table = pd.DataFrame(rows, columns=list(columns))
        return Result(**origin("runs", host, settings), measures=(), tables={"runs": table}, headline="runs")

    def build(self, ui: PanelContext) -> None:
        """Left: what to look for. Right: the list, and the run that was chosen."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                form = _place_form(ui)
                html_block(open_file_html())
            with gr.Column(elem_classes="sw-right", min_width=0):
                ui.error_slot()
                _List(ui, form)


class _List:
    """The list, what is done with its rows, and the run that was chosen."""

    def __init__(self, ui: PanelContext, form: Fields) -> None:
        self._ui, self._form = ui, form
        self._list = html_block("", elem_id="runs-list", js_on_load=RUNS_SCRIPT)
        self._shown, self._chosen, self._gone = gr.State(MORE), gr.State(""), gr.State("")
        with gr.Row(elem_classes="sw-actions"):
            self._more = gr.Button("Show more", size="sm", visible=False, elem_id="runs-more")
            self._undo = gr.Button("Undo: have it back", size="sm", visible=False, elem_id="runs-undo")
        self._run = html_block("", elem_id="runs-run")
        with gr.Column(elem_classes="sw-card", visible=False) as self._editor:
            html_block(heading("What you note of it"))
            self._title = gr.Textbox(label="Title", max_lines=1, elem_id="runs-title")
            self._tags = gr.Textbox(label="Tags, with commas between", max_lines=1, elem_id="runs-tags")
            self._note = gr.Textbox(label="Note", lines=3, max_lines=12, elem_id="runs-note")
            save = gr.Button("Save", size="sm", elem_id="runs-save")
        self._wire(save)

    def _wire(self, save: gr.Button) -> None:
        look = {"form": self._form, "shown": self._shown}
        drawn = [self._list, self._more, self._form]
        self._ui.watch("model", self._form.changed, call=self._draw, inputs=look, outputs=drawn, of_visitor=True)
        written = {"title": self._title, "tags": self._tags, "note": self._note}
        of_run = [*drawn, self._run, self._editor, *written.values(), self._chosen]
        more = [self._shown, *drawn]
        self._ui.quick(self._more.click, self._show_more, inputs=look, outputs=more, of_visitor=True)
        clicked: dict[str, Any] = {"outputs": [*of_run, self._undo, self._gone], "of_visitor": True, "of_event": True}
        for name, call in (("choose", self._choose), ("star", self._star), ("remove", self._remove)):
            self._ui.quick(event_of(self._list, name), call, inputs=look, **clicked)
        undone = [*drawn, self._undo, self._gone]
        self._ui.quick(
            self._undo.click, self._restore, inputs={**look, "gone": self._gone}, outputs=undone, of_visitor=True
        )
        self._ui.quick(
            save.click, self._save, inputs={**look, **written, "chosen": self._chosen}, outputs=of_run, of_visitor=True
        )

    def _draw(self, form: Filled, shown: int, visitor: str) -> dict[Any, Any]:
        owner, runs, given = self._ui.bench.owner(visitor), self._ui.workspace.runs, form.values()
        query = Query(given["search"], given["kind"], given["model"], given["state"], given["favourites"], owner=owner)
        n, size = runs.count(query)
        offers = {name: [_ANY, *((each, each) for each in runs.known(name, owner))] for name in ("kind", "model")}
        return {
            self._list: (card(note(runs.mended)) if runs.mended else "")
            + runs_html(runs.find(query, limit=shown), n, size),
            self._more: gr.update(visible=n > shown),
            self._form: self._form.offering(offers),
        }

    def _show_more(self, form: Filled, shown: int, visitor: str) -> Outputs:
        return {self._shown: shown + MORE, **self._draw(form, shown + MORE, visitor)}

    def _choose(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        return self._of(self._picked(event, visitor))

    def _of(self, run: Run) -> dict[Any, Any]:
        try:
            result = self._ui.workspace.runs.result(run.id)
        except SteeringError as error:  # its files are damaged; what the list knows stands
            result = None
            run = self._with_error(run, error)
        return {
            self._run: run_html(run, result),
            self._editor: gr.update(visible=True),
            self._title: run.title,
            self._tags: ", ".join(run.tags),
            self._note: run.note,
            self._chosen: run.id,
        }

    def _with_error(self, run: Run, error: SteeringError) -> Run:
        return Run(**{**run.__dict__, "error": f"{run.error} {error}".strip()})

    def _star(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        run = self._picked(event, visitor)
        self._ui.workspace.runs.change(run.id, favourite=not run.favourite)
        return self._draw(form, shown, visitor)

    def _remove(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        run = self._picked(event, visitor)
        self._ui.workspace.runs.delete(run.id)
        undo = {self._undo: gr.update(value=f"Undo: have “{run.title[:60]}” back", visible=True), self._gone: run.id}
        return {**self._draw(form, shown, visitor), **undo, self._run: "", self._editor: gr.update(visible=False)}

    def _restore(self, form: Filled, shown: int, gone: str, visitor: str) -> Outputs:
        if gone:
            self._ui.workspace.runs.restore(gone)
        return {**self._draw(form, shown, visitor), self._undo: gr.update(visible=False), self._gone: ""}

    def _save(self, form: Filled, shown: int, title: str, tags: str, note: str, chosen: str, visitor: str) -> Outputs:
        run = self._own(chosen, visitor)
        named = tuple(dict.fromkeys(filter(None, (tag.strip() for tag in (tags or "").split(",")))))
        given = {"title": (title or "").strip() or run.title, "tags": named, "note": note or ""}
        changed = self._ui.workspace.runs.change(run.id, **given)
        return {**self._draw(form, shown, visitor), **self._of(changed)}

    def _picked(self, event: gr.EventData, visitor: str) -> Run:
        return self._own(text_of(event, "pick"), visitor)

    def _own(self, id: str, visitor: str) -> Run:
        run = self._ui.workspace.runs.get(id)
        if self._ui.bench.owner(visitor) not in (None, run.owner):
            raise SteeringError("That run is another visitor's.", "one of your own.")
        return run


def _place_form(ui: PanelContext) -> Fields:
    states = [_ANY, *((state, state) for state in STATES)]
    return place_fields(
        ui,
        "runs",
        [
            section(
                "Look for",
                text("search", "Words", "", hint="in title, model, kind, note or tags"),
                choice("kind", "Kind", [_ANY], "", changing=True),
                choice("model", "Model", [_ANY], "", changing=True),
                choice("state", "How it ended", states, ""),
                switch("favourites", "Only those with a star", False),
            )
        ],
        events={"changed": ["search", "kind", "model", "state", "favourites"]},
    )


panel = RunsPanel()
