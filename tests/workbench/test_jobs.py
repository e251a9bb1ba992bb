from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from steering.errors import SteeringError
from steering.lane import Job, Lane
from workbench.page.jobs import Call, Slots, drive, stop_job


SLOTS = Slots(line="line", job="job", errors="errors")
WAIT = 30
"""Seconds before a test that hangs gives up."""


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane()
    yield lane
    lane.close()


def _call(lane: Lane, loading: Job[Any] | None = None) -> Call:
    model = SimpleNamespace(loading=loading, loads=1, require=lambda: "the host")
    return Call(SimpleNamespace(lane=lane, model=model, workspace=None), "the test")  # type: ignore[arg-type]


def _count(job: Job[int], total: int = 5) -> int:
    for index in range(total):
        job.emit(index)
        job.report(index + 1, total, "numbers")
    return total


def _until_stopped(job: Job[None]) -> None:
    step = 0
    while True:
        step += 1
        job.emit(step)
        job.report(step, None, "steps")
        threading.Event().wait(0.01)


def test_outputs_come_with_the_line_and_the_jobs_id(lane: Lane) -> None:
    def handler(call: Call, *, total: int) -> Iterator[dict[str, Any]]:
        job = lane.submit(lambda job: _count(job, total), title="Counting <all>")
        seen: list[int] = []
        for items in call.follow(job, every=0):
            seen += items
            yield {"seen": list(seen)}
        yield {"result": job.result()}

    updates = list(drive(_call(lane), handler, {"total": 7}, SLOTS))
    assert updates[0] == {"errors": "", "line": "", "job": None}
    assert updates[-2]["result"] == 7
    assert max((update.get("seen", []) for update in updates), key=len) == list(range(7))
    assert isinstance(updates[1]["job"], int)
    assert "7 / 7 numbers" in "".join(update["line"] for update in updates)
    assert "Counting &lt;all&gt;" in updates[-1]["line"]
    assert "done in" in updates[-1]["line"]
    assert updates[-1]["job"] is None
    assert updates[-1]["errors"] == ""


def test_nothing_is_lost_when_updates_are_rarer_than_items(lane: Lane) -> None:
    job = lane.submit(lambda job: _count(job, 500), title="Counting")
    batches = list(_call(lane).follow(job, every=0.05))
    assert [item for items in batches for item in items] == list(range(500))
    assert len(batches) < 500


def test_a_mistake_becomes_one_card_and_leaves_what_was_made(lane: Lane) -> None:
    def handler(call: Call) -> Iterator[dict[str, Any]]:
        yield {"text": "made"}
        raise SteeringError("A cat.", "a dog.", "Bring a dog.")

    updates = list(drive(_call(lane), handler, {}, SLOTS))
    assert updates[1]["text"] == "made"
    assert "text" not in updates[-1]
    assert updates[-1]["errors"].count("sw-error") == 1
    assert "Bring a dog." in updates[-1]["errors"]


def test_a_mistake_inside_the_job_does_the_same_and_the_next_job_is_right(lane: Lane) -> None:
    def handler(call: Call, *, fail: bool) -> Iterator[dict[str, Any]]:
        def work(job: Job[int]) -> int:
            if fail:
                raise SteeringError("Inside.")
            return _count(job)

        job = lane.submit(work, title="Work")
        for _ in call.follow(job):
            yield {}
        yield {"result": job.result()}

    failed = list(drive(_call(lane), handler, {"fail": True}, SLOTS))[-1]
    assert "Inside." in failed["errors"]
    assert "failed" in failed["line"]
    assert list(drive(_call(lane), handler, {"fail": False}, SLOTS))[-2]["result"] == 5


def test_a_fault_is_logged_and_shown_as_one(lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    def handler(call: Call) -> Iterator[dict[str, Any]]:
        yield {}
        raise ZeroDivisionError("oh")

    card = list(drive(_call(lane), handler, {}, SLOTS))[-1]["errors"]
    assert "The workbench failed during the test" in card
    assert "ZeroDivisionError: oh" in card
    assert "ZeroDivisionError" in caplog.text


def _endless(call: Call) -> Iterator[dict[str, Any]]:
    job = call.bench.lane.submit(_until_stopped, title="Endless")
    for items in call.follow(job, every=0.02):
        yield {"steps": items}
    job.result()


def test_stop_ends_the_job_of_that_id_only(lane: Lane) -> None:
    call = _call(lane)
    updates = drive(call, _endless, {}, SLOTS)
    for update in updates:
        if update.get("steps"):
            break
    waiting = lane.submit(_count, title="Waiting")
    assert not stop_job(lane, None)
    assert not stop_job(lane, -1)
    assert stop_job(lane, update["job"])
    rest = list(updates)
    assert call.job is not None
    assert call.job.state == "stopped"
    assert "stopped" in rest[-1]["line"]
    assert rest[-1]["errors"] == ""
    assert waiting.result(WAIT) == 5


def test_a_queued_job_tells_its_place_and_can_be_stopped_there(lane: Lane) -> None:
    release = threading.Event()
    ahead = [lane.submit(lambda job: release.wait(WAIT), title="Ahead") for _ in range(2)]
    updates = drive(_call(lane), _endless, {}, SLOTS)
    for update in updates:
        if "ahead" in update["line"]:
            break
    assert "2 jobs ahead" in update["line"]
    assert stop_job(lane, update["job"])
    assert "stopped" in list(updates)[-1]["line"]
    release.set()
    assert [job.result(WAIT) for job in ahead] == [True, True]


def test_the_line_says_what_a_job_gives_way_to() -> None:
    lane, release = Lane(first=0, turn=0), threading.Event()
    updates = drive(_call(lane), _endless, {}, SLOTS)
    for update in updates:
        if update.get("steps"):
            break
    lane.submit(lambda job: release.wait(WAIT), title="<Other>")
    for update in updates:
        if "gives way" in update["line"]:
            break
    assert "gives way to “&lt;Other&gt;”" in update["line"]
    assert stop_job(lane, update["job"])
    release.set()
    assert "stopped" in list(updates)[-1]["line"]
    lane.close()


def test_the_line_says_at_once_that_a_job_is_stopping(lane: Lane) -> None:
    release = threading.Event()

    def slow(job: Job[None]) -> None:  # a long step, in which nothing looks for a stop
        job.report(1, 2, "halves")
        release.wait(WAIT)
        job.check()

    def handler(call: Call) -> Iterator[dict[str, Any]]:
        for _ in call.follow(lane.submit(slow, title="Slow"), every=0.01):
            yield {}

    updates = drive(_call(lane), handler, {}, SLOTS)
    for update in updates:
        if "1 / 2 halves" in update["line"]:
            break
    assert stop_job(lane, update["job"])
    for update in updates:
        if "stopping" in update["line"]:
            break
    assert not release.is_set()
    release.set()
    assert "stopped at 1 / 2" in list(updates)[-1]["line"]


def test_a_reader_who_goes_away_stops_the_job(lane: Lane) -> None:
    call = _call(lane)
    updates = drive(call, _endless, {}, SLOTS)
    for update in updates:
        if update.get("steps"):
            break
    assert call.job is not None
    assert call.job.state == "running"
    updates.close()  # what Gradio does when the page is closed
    with pytest.raises(Exception, match="stopped"):
        call.job.result(WAIT)


def test_a_call_waits_for_the_model_and_does_not_own_its_loading(lane: Lane) -> None:
    release = threading.Event()
    loading = lane.submit(lambda job: release.wait(WAIT), title="Loading demo")

    def handler(call: Call) -> Iterator[dict[str, Any]]:
        yield {"host": call.host}

    updates = drive(_call(lane, loading), handler, {}, SLOTS)
    seen = [next(updates), next(updates)]
    assert "Loading demo" in seen[1]["line"]
    assert seen[1]["job"] is None
    updates.close()
    assert not loading.finished
    release.set()
    loading.result(WAIT)
    finished = list(drive(_call(lane, loading), handler, {}, SLOTS))
    assert any(update.get("host") == "the host" for update in finished)
