"""What a click opens on a page: drawn from what the run left, or as it was kept beside a run that is shown again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from tests.workbench.runs.test_runs import RUN
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.page import choices
from workbench.page.choices import parted, selected
from workbench.page.context import PanelContext
from workbench.page.picks import PICK_SCRIPT
from workbench.page.state import PageState


WORDS = ("one", "<b>two</b>")


class Place:
    """A panel's page with a block that can be clicked and a list, both of which need what a run left."""

    def __init__(self, bench: Workbench) -> None:
        self.drawn: list[str] = []
        with gr.Blocks() as page:
            self.ui = PanelContext(bench, PageState(), "Test", "test")
            self.words = gr.State(())
            self.block, self.card = gr.HTML(elem_id="block", js_on_load=PICK_SCRIPT), gr.HTML(elem_id="card")
            self.which = gr.Dropdown(["a", "b"], elem_id="which")
            known: dict[str, Any] = {"states": [self.words], "outputs": [self.card]}
            clicked = {"pick": lambda event: event._data["pick"], "picks": lambda words: map(str, range(len(words)))}
            self.ui.choices.on_click("word", self.block.choose, self._word, **clicked, **known)
            self.ui.choices.on_select("list", [self.which], self._listed, picks=lambda words: "ab", **known)
            self.ui.changed.update(dict.fromkeys([self.words, self.card, self.block]))
        self.page = page

    def _word(self, pick: str, words: tuple[str, ...]) -> dict[Any, Any]:
        self.drawn.append(pick)
        return {self.card: words[int(pick)]} if int(pick) < len(words) else {}

    def _listed(self, pick: str, words: tuple[str, ...]) -> dict[Any, Any]:
        return {self.card: gr.update(value=pick * len(words))}

    def click(self, pick: str, *, run: str = "", words: tuple[str, ...] = ()) -> Any:
        handle = next(each.fn for each in self.page.fns.values() if each.fn and each.targets[0][1] == "choose")
        return handle(gr.EventData(None, {"pick": pick}), run, words)  # type: ignore[misc]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    bench = Workbench(workspace=tmp_path)
    yield Place(bench)
    bench.lane.close()


def _kept(place: Place) -> str:
    """A run that left words, kept with all that can be chosen on its page."""
    runs = place.ui.workspace.runs
    id = runs.begin(RUN)
    runs.end(id, "done", view={"shown": {}})
    call: Any = SimpleNamespace(record=SimpleNamespace(id=id, problem=None))
    place.ui.runs.keep_details(call, {place.words: {"value": WORDS}})
    return id


def test_a_click_is_answered_from_what_the_run_left(place: Place) -> None:
    assert place.click("1", words=WORDS) == {place.card: WORDS[1]}
    assert place.click("7", words=WORDS) == gr.skip()


def test_a_run_that_is_shown_again_answers_as_it_was_kept_and_draws_nothing(place: Place) -> None:
    id = _kept(place)
    assert place.drawn == ["0", "1"]
    del place.drawn[:]
    assert place.click("1", run=id) == {place.card: gr.update(value=WORDS[1])}
    assert place.drawn == []
    assert place.ui.workspace.runs.details(id, "list") == {
        "a": {"card": {"value": "aa"}},
        "b": {"card": {"value": "bb"}},
    }
    assert place.ui.workspace.runs.get(id).size > 0


def test_what_a_new_run_left_goes_before_what_was_kept(place: Place) -> None:
    id = _kept(place)
    assert place.click("0", run=id, words=("new",)) == {place.card: "new"}


def test_what_was_not_kept_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    id = _kept(place)
    with pytest.raises(SteeringError, match="not kept"):
        place.click("2", run=id)
    monkeypatch.setattr(choices, "MOST", 1)
    short = _kept(place)
    assert [*place.ui.workspace.runs.details(short, "word")] == ["0"]
    with pytest.raises(SteeringError, match="at most 1 things"):
        place.click("1", run=short)


def test_a_run_is_kept_though_what_can_be_chosen_cannot_be_drawn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = place.ui.choices._all["word"]
    monkeypatch.setitem(place.ui.choices._all, "word", choices.Choice("word", choice.states, _fails, choice.picks))
    id = _kept(place)
    assert place.ui.workspace.runs.details(id, "word") == {}
    assert place.ui.workspace.runs.details(id, "list") != {}


def test_details_that_cannot_be_written_leave_the_run_as_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    runs = place.ui.workspace.runs
    id = runs.begin(RUN)
    runs.end(id, "done")
    monkeypatch.setattr("workbench.runs.files.os.replace", full)
    runs.add_details(id, {"word": {"0": {}}})
    assert (runs.get(id).state, runs.details(id, "word")) == ("done", {})


def test_several_lists_are_one_pick() -> None:
    assert parted(selected("a b", None, 3)) == ["a b", "", "3"]


def _fails(pick: str, words: Any) -> Any:
    raise ValueError(pick)


def test_files_of_a_run_that_is_shown_again_are_not_offered_where_they_are_no_more(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Trade-off", RUN.panel)
        file = gr.DownloadButton("CSV")
        ui.changed[file] = None
    id = bench.workspace.runs.begin(RUN)
    bench.workspace.runs.end(id, "done", view={"shown": {}})
    assert ui.runs.reopened(id)[file] == gr.update(interactive=False)
    bench.lane.close()


def test_a_vector_that_has_another_name_by_now_is_not_missing(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Trade-off", RUN.panel)
    used = vector("joy")
    run = replace(RUN, about={**RUN.about, "vectors": {"joy": used.digest}})
    id = bench.workspace.runs.begin(run, {"joy": used})
    bench.workspace.runs.end(id, "done")
    assert ui.runs._off_the_shelf(bench.workspace.runs.get(id)) == (["joy"], [])
    bench.workspace.put(used, "gladness")
    assert ui.runs._off_the_shelf(bench.workspace.runs.get(id)) == ([], [])
    bench.lane.close()
