"""Runs: what was run in this workspace, on its pages and on the command line; opened, noted, deleted and had back."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from panels.runs.chosen_run import ChosenRun
from panels.runs.comparison_view import ComparisonView
from panels.runs.markup import open_file_html
from panels.runs.runs_list import ANY, RunsList
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.studies.study import Result, origin
from workbench.controls.field import choice, more, number, section, switch, text
from workbench.controls.fields import Fields, WrongField, place_fields
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.kept_view import STATES
from workbench.panel import Panel
from workbench.runs.query import Query, day_begins
from workbench.workspace import Workspace


_ROOM = "Older runs go. Those with a star or a note stay, and Undo has the others back until the workbench ends."


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
    summary = (
        "Everything that was run here, found again: opened as it was, compared, noted, exchanged, deleted and had back."
    )
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
                listed = RunsList(ui, form)
                ChosenRun(ui, listed)
                ComparisonView(ui).follow(listed.block)


def _place_form(ui: PanelContext) -> Fields:
    states = [ANY, *((state, state) for state in STATES)]
    looked_for = [
        text("search", "Words", "", hint="in title, model, kind, note or tags"),
        choice("kind", "Kind", [ANY], "", changing=True, half=True),
        choice("model", "Model", [ANY], "", changing=True, half=True),
        choice("state", "How it ended", states, "", half=True),
        switch("favourites", "Only those with a star", False),
    ]
    seldom = [
        choice("vector", "Vector that it used", [ANY], "", changing=True),
        choice("tag", "Tag", [ANY], "", changing=True),
        text("since", "Begun on or after", "", placeholder="2026-01-31", half=True),
        text("until", "Begun on or before", "", placeholder="2026-12-31", half=True),
    ]
    latest = number("latest", "Keep the latest", 100, low=0, high=1_000_000, whole=True, unit="runs of these")
    return place_fields(
        ui,
        "runs",
        [
            section("Look for", *looked_for, more(*seldom, title="Vector, tag and day")),
            more(latest, title="Make room", note=_ROOM, act=("What would go", "tidy")),
        ],
        check=_check,
        events={"changed": [field.name for field in (*looked_for, *seldom)]},
    )


def _check(values: dict[str, Any]) -> None:
    """Name the day that is none."""
    for name in ("since", "until"):
        try:
            day_begins(values[name] or "2026-01-31")
        except SteeringError as error:
            raise WrongField(name, error) from error


panel = RunsPanel()
