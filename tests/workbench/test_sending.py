"""What goes from one panel to another: what a run left, or what was kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.steer import SteerSettings
from tests.workbench.runs.test_runs import RUN
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.page.context import PanelContext
from workbench.page.sending import Sendable
from workbench.page.state import PageState


SETTINGS = SteerSettings(user="Write.", recipes=(Recipe(interventions=(Intervention(vector="joy", strength=2),)),))


class Place:
    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        with gr.Blocks() as page:
            self.ui = PanelContext(bench, PageState(), "Test", "test")
            self.found = gr.State(None)
            self.which = gr.Dropdown(["joy", "none"], elem_id="which")
            picks = ["joy", "none"]
            self.ui.sending.place_found(self.make, [self.found], selects=[self.which], picks=lambda found: picks)
        self.page = page

    def make(self, pick: str, found: str | None) -> Sendable:
        if found is None or pick == "none":
            raise SteeringError("There is nothing.")
        return Sendable(SETTINGS.model_copy(update={"user": found}), {"joy": vector("joy")})

    def kept(self) -> str:
        """A run that found something, kept with what can be sent of it."""
        runs = self.ui.workspace.runs
        id = runs.begin(RUN, {"joy": vector("joy")})
        runs.end(id, "done")
        call: Any = SimpleNamespace(record=SimpleNamespace(id=id, problem=None))
        self.ui.runs.keep_details(call, {self.found: {"value": "Found."}})
        return id

    def sent(self, pick: str = "joy", run: str = "", found: str | None = None) -> SteerSettings:
        sendable = self.ui.sending.of("found", pick, run, [found])
        number = self.ui.sending.going("other", sendable)[self.ui.page.go].partition("=")[2]
        taken = self.bench.sent.taken(number)
        assert taken is not None
        assert isinstance(taken.settings, SteerSettings)
        return taken.settings


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    bench = Workbench(workspace=tmp_path)
    yield Place(bench)
    bench.lane.close()


def test_what_a_run_left_is_sent_and_its_vector_stands_on_the_shelf(place: Place) -> None:
    assert place.bench.workspace.names() == []
    assert place.sent(found="Now.").user == "Now."
    assert place.bench.workspace.get("joy").vector.digest == vector("joy").digest


def test_another_vector_of_that_name_is_not_taken_for_it(place: Place) -> None:
    place.bench.workspace.put(vector("joy", seed=5))
    (recipe,) = place.sent(found="Now.").recipes
    assert recipe.vectors != ("joy",)
    assert place.bench.workspace.get(recipe.vectors[0]).vector.digest == vector("joy").digest


def test_a_run_that_is_shown_again_sends_what_was_kept_with_its_own_vector(place: Place) -> None:
    id = place.kept()
    assert place.bench.workspace.names() == []
    assert place.sent(run=id) == SETTINGS.model_copy(update={"user": "Found."})
    assert place.bench.workspace.get("joy").vector.digest == vector("joy").digest
    assert place.sent(run=id, found="Now.").user == "Now."  # a new run goes before it


def test_where_there_was_nothing_to_send_that_is_said(place: Place) -> None:
    id = place.kept()
    for pick, run in (("none", id), ("joy", ""), ("unheard of", id)):
        with pytest.raises(SteeringError, match="There is nothing"):
            place.sent(pick, run)


@pytest.mark.parametrize("kept", [{"user": 5}, {"recipes": [{"interventions": [{"vector": "gone"}]}]}, "words", []])
def test_what_was_kept_may_come_from_anybody(place: Place, kept: Any) -> None:
    runs = place.ui.workspace.runs
    id = runs.begin(RUN)
    runs.end(id, "done")
    runs.add_details(id, {"sent-found": {"joy": kept}})
    with pytest.raises(SteeringError):
        place.sent(run=id)
    assert place.bench.workspace.names() == []
