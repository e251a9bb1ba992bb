"""Runs of a page as its visitors see them: each gets their own replies, and a vanished workspace takes none away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.job import Job
from steering.passes import running
from steering.studies import STUDIES
from tests.workbench.asking import Asker, asked_by, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.frame.shell import build
from workbench.page.markup import escape
from workbench.runs.query import Query
from workbench.runs.run import Run


ROUNDS = 15
WAIT = 120
"""Seconds before a test that hangs gives up."""
TEXT = "Write a note to my boss."


@pytest.fixture
def bench(tmp_path: Path, tokenizer: Any) -> Iterator[Workbench]:
    bench = tiny_bench(tmp_path, tokenizer)
    for seed, name in enumerate(("anna", "ben")):
        bench.workspace.put(vector(name, seed, blocks=4, width=32))
    yield bench
    bench.lane.close()


def _recipe(name: str) -> dict[str, Any]:
    steered = {"vector": name, "strength": 20.0, "unit": "raw"}
    return {"interventions": [steered], "decode": {"max_new_tokens": 6}}


def _pressed(page: Any, name: str = "anna", asker: Asker | None = None) -> str:
    """All that a visitor's page, new or one that is open, shows when Run is pressed with their own vector."""
    return (asker or Asker(page, asked_by(name))).ask("run", user=TEXT, **{"recipe-a": _recipe(name)})


def _on_the_page(text: str) -> str:
    """A reply while it is written, as the browser is sent it."""
    return json.dumps(escape(text))[1:-1]


def test_each_of_two_visitors_gets_their_own_replies_thirty_times_of_thirty(bench: Workbench) -> None:
    page, study = build(bench), STUDIES["steer"]
    expected, shown = {}, {"anna": [], "ben": []}
    for name in shown:
        given = {"user": TEXT, "recipes": [_recipe(name)], "vectors": str(bench.workspace.shelf)}
        alone = study.start(bench.model.require(), study.parse(given)).result(WAIT)
        expected[name] = alone.tables["replies"]["text"].tolist()
    assert expected["anna"][0] == expected["ben"][0] != ""
    assert len({*expected["anna"], *expected["ben"]}) == 3  # unsteered, and two that differ from it and from each other
    both = threading.Barrier(2)

    def visit(name: str) -> None:
        asker = Asker(page, asked_by(name))
        for _ in range(ROUNDS):
            both.wait(WAIT)  # both press Run at the same moment
            shown[name].append(_pressed(page, name, asker))

    threads = [threading.Thread(target=visit, args=(name,), daemon=True) for name in shown]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    right = 0
    for name, other in (("anna", "ben"), ("ben", "anna")):
        kept = bench.runs.find(Query(owner=name))
        results = [bench.runs.result(run.id) for run in kept]
        assert all(result is not None and result.settings["recipes"][0]["interventions"] for result in results)
        right += sum(result.tables["replies"]["text"].tolist() == expected[name] for result in results if result)
        own, strange = (_on_the_page(expected[each][1]) for each in (name, other))
        assert len(shown[name]) == ROUNDS
        assert any(own in said for said in shown[name])  # a page that is slow skips some steps
        assert not any(strange in said for said in shown[name])
    assert right == 2 * ROUNDS


def test_a_run_ends_and_shows_what_it_found_though_its_workspace_is_gone(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, read, steps = build(bench), running.read_token, []
    folder, elsewhere = bench.workspace.folder, tmp_path.with_name(f"{tmp_path.name}-elsewhere")

    def vanishing(*args: Any, **options: Any) -> Any:
        steps.append(len(steps))
        if len(steps) == 3:  # in the middle of the replies
            folder.rename(elsewhere)
        return read(*args, **options)

    monkeypatch.setattr(running, "read_token", vanishing)
    shown = _pressed(page)
    assert len(steps) > 3
    assert "sw-tok" in shown  # the replies, read to their end
    assert "could not be kept" in shown
    assert "No such file or directory" in shown
    assert not folder.exists()  # nothing is made in its place
    again = _pressed(page)
    assert "There is no vector" in again
    elsewhere.rename(folder)  # the disk is back
    monkeypatch.setattr(running, "read_token", read)
    whole = _pressed(page)
    assert "sw-error" not in whole
    assert [run.state for run in bench.runs.find()] == ["done", "failed"]
    assert "could not be kept" in bench.runs.find()[1].error


def test_a_run_that_ends_before_its_first_token_leaves_no_pane_that_waits(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = build(bench)

    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("broken before the first token")

    monkeypatch.setattr(running, "read_prompts", broken)
    shown = _pressed(page)
    assert "Waiting \\u2026" in shown
    assert "broken before the first token" in shown
    assert "Nothing was written." in shown.rpartition("Waiting")[2]


def test_a_model_thread_that_ends_by_itself_is_told_on_the_page_and_the_next_run_is_right(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, real, ended = build(bench), Job._run, []

    def broken(job: Job[Any]) -> None:
        if not ended and job.title.startswith("Steering"):
            ended.append(job)
            raise MemoryError("outside of the job")
        real(job)

    monkeypatch.setattr(Job, "_run", broken)
    shown = _pressed(page)
    assert "The model thread ended by itself during" in shown
    assert "a new one has begun" in shown
    assert f"{ended[0].title}</b>" in shown.rpartition("sw-over")[2]
    assert ">failed</span>" in shown.rpartition("sw-over")[2]  # in the job strip
    again = _pressed(page)
    assert "sw-error" not in again
    assert [run.state for run in bench.runs.find()] == ["done", "failed"]


def test_a_run_of_every_panel_is_shown_again_without_a_model_and_without_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Workbench(workspace=tmp_path)
    page = build(bench)
    openings = [event for event in page.fns.values() if getattr(event.fn, "__name__", "") == "opened"]
    assert len(openings) > len(bench.catalogue.panels)

    def submit(*args: Any, **options: Any) -> None:
        raise AssertionError("a job was queued")

    monkeypatch.setattr(bench.lane, "submit", submit)
    for panel in bench.catalogue.panels:
        id = bench.runs.begin(Run("", panel.id, "Of yesterday", "demo", panel=panel.id))
        bench.runs.end(id, "done", view={"shown": {}, "settings": {}})
        request = asked_by("", run=id)
        shown = [str([*opening.fn(request, *(None for _ in opening.inputs)).values()]) for opening in openings]
        assert sum("Of yesterday</b> on demo" in each for each in shown) == 1  # on its own page
        assert any("not one of the panel" in each for each in shown)  # and refused on others
    missing = asked_by("", run="0123456789abcdef")
    told = [str([*opening.fn(missing, *(None for _ in opening.inputs)).values()]) for opening in openings]
    assert sum("There is no run" in each for each in told) == len(bench.catalogue.panels)
