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
from workbench.page import answers, choices
from workbench.page.answers import Question, parted, selected
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
            self.of, self.under = gr.Dropdown(["x", "y"]), gr.HTML()
            beside: dict[str, Any] = {"states": [self.words], "outputs": [self.under]}
            self.ui.choices.on_select("both", [self.which, self.of], self._both, picks=lambda words: (), **beside)
            self.ui.changed.update(dict.fromkeys([self.words, self.card, self.block]))
            self.ui.wire_watches()
        self.page = page

    def _word(self, pick: str, words: tuple[str, ...]) -> dict[Any, Any]:
        self.drawn.append(pick)
        return {self.card: words[int(pick)]} if int(pick) < len(words) else {}

    def _listed(self, pick: str, words: tuple[str, ...]) -> dict[Any, Any]:
        return {self.card: gr.update(value=pick * len(words))}

    def _both(self, pick: str, words: tuple[str, ...]) -> dict[Any, Any]:
        return {self.under: pick}

    def select(
        self, which: str, of: str, words: tuple[str, ...], *, run: str = "", before: tuple[Any, ...] = ()
    ) -> Any:
        """Choose from the lists; gives what changes on the page, and what was chosen then."""
        (listener,) = (each for each in self.page.fns.values() if each.fn and each.targets[0][1] == "input")
        assert listener.trigger_mode == "always_last"
        assert [each._id for each in listener.inputs[2:]] == [self.which._id, self.words._id, self.of._id]
        changes = listener.fn(run, before, which, words, of)
        return changes, changes.pop(listener.inputs[1])

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


def test_lists_that_two_choices_share_have_one_listener(place: Place) -> None:
    """Two that wait for one another would never come to an end."""
    drawn, now = place.select("b", "x", WORDS)
    assert drawn == {place.card: gr.update(value="bb"), place.under: selected("b", "x")}
    drawn, now = place.select("b", "y", WORDS, before=now)
    assert drawn == {place.under: selected("b", "y")}  # the list that stands as it did is not drawn anew
    drawn, now = place.select("a", "y", WORDS, before=now)
    assert drawn == {place.card: gr.update(value="aa"), place.under: selected("a", "y")}
    assert place.select("a", "y", WORDS, before=now) == (drawn, now)  # nothing tells them apart: all are drawn
    # Another run has set the lists anew, of which no choice tells: "a" is chosen, as it was before that run.
    drawn, _ = place.select("a", "x", tuple(reversed(WORDS)), before=now)
    assert drawn == {place.card: gr.update(value="aa"), place.under: selected("a", "x")}


def test_of_lists_that_share_a_listener_each_that_was_kept_is_shown(place: Place) -> None:
    """Of a run whose answers to one of them were not kept, such as one of an older version."""
    id = _kept(place)
    details = place.ui.workspace.runs.details
    assert details(id, "list")
    assert not details(id, "both")
    drawn, now = place.select("b", "x", (), run=id)
    assert drawn == {place.card: gr.update(value="bb")}
    with pytest.raises(SteeringError, match="not kept"):  # of the one that was chosen from nothing is there
        place.select("b", "y", (), run=id, before=now)


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
    for module in (answers, choices):
        monkeypatch.setattr(module, "MOST", 1)
    short = _kept(place)
    assert [*place.ui.workspace.runs.details(short, "word")] == ["0"]
    with pytest.raises(SteeringError, match="at most 1 things"):
        place.click("1", run=short)


def test_a_run_is_kept_though_what_can_be_chosen_cannot_be_drawn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = place.ui.answers._all["word"]
    monkeypatch.setitem(place.ui.answers._all, "word", Question(asked.states, asked.picks, _fails))
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
