"""The run that was chosen in the list: what it was, and what somebody notes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from panels.runs.markup import run_html
from panels.runs.runs_list import RunsList
from steering.errors import SteeringError
from workbench.controls.fields import Filled
from workbench.page.blocks import event_of, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import heading
from workbench.runs.run import Run


class ChosenRun:
    """Places the card of a run, and the fields below it."""

    def __init__(self, ui: PanelContext, listed: RunsList) -> None:
        self._ui, self._listed = ui, listed
        self._chosen = gr.State("")
        self._run = html_block("", elem_id="runs-run")
        with gr.Column(elem_classes="sw-card", visible=False) as self._editor:
            html_block(heading("What you note of it"))
            self._title = gr.Textbox(label="Title", max_lines=1, elem_id="runs-title")
            self._tags = gr.Textbox(label="Tags, with commas between", max_lines=1, elem_id="runs-tags")
            self._note = gr.Textbox(label="Note", lines=3, max_lines=12, elem_id="runs-note")
            save = gr.Button("Save", size="sm", elem_id="runs-save")
        self._wire(save)

    def _wire(self, save: gr.Button) -> None:
        listed, look = self._listed, self._listed.look
        written = {"title": self._title, "tags": self._tags, "note": self._note}
        of_run = [self._run, self._editor, *written.values(), self._chosen]
        clicked: dict[str, Any] = {"of_visitor": True, "of_event": True}
        self._ui.quick(event_of(listed.block, "choose"), self._choose, outputs=of_run, **clicked)
        removed = [*listed.drawn, *listed.removing, self._run, self._editor]
        self._ui.quick(event_of(listed.block, "remove"), self._remove, inputs=look, outputs=removed, **clicked)
        saved = [*listed.drawn, *of_run]
        given = {**look, **written, "chosen": self._chosen}
        self._ui.quick(save.click, self._save, inputs=given, outputs=saved, of_visitor=True)

    def _choose(self, event: gr.EventData, visitor: str) -> Outputs:
        return self._of(self._listed.own(text_of(event, "pick"), visitor))

    def _of(self, run: Run) -> dict[Any, Any]:
        try:
            result = self._ui.workspace.runs.result(run.id)
        except SteeringError as error:  # its files are damaged; what the list knows stands
            result = None
            run = replace(run, error=f"{run.error} {error}".strip())
        vectors = self._ui.workspace.runs.used(run.id)
        return {
            self._run: run_html(self._listed.here(run), result, self._listed.settings_of(run), vectors),
            self._editor: gr.update(visible=True),
            self._title: run.title,
            self._tags: ", ".join(run.tags),
            self._note: run.note,
            self._chosen: run.id,
        }

    def _remove(self, event: gr.EventData, form: Filled, shown: int, visitor: str) -> Outputs:
        run = self._listed.own(text_of(event, "pick"), visitor)
        self._ui.workspace.runs.delete(run.id)
        gone = {self._run: "", self._editor: gr.update(visible=False)}
        return {**self._listed.draw(form, shown, visitor), **self._listed.gone([run]), **gone}

    def _save(self, form: Filled, shown: int, title: str, tags: str, note: str, chosen: str, visitor: str) -> Outputs:
        run = self._listed.own(chosen, visitor)
        named = tuple(dict.fromkeys(filter(None, (tag.strip() for tag in (tags or "").split(",")))))
        given = {"title": (title or "").strip() or run.title, "tags": named, "note": note or ""}
        changed = self._ui.workspace.runs.change(run.id, **given)
        return {**self._listed.draw(form, shown, visitor), **self._of(changed)}
