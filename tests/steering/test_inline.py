"""A lane without threads: whoever asks does the job, others wait, and events and stops are those of any lane."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from steering.inline import Inline
from steering.lane import Job, Lane, Progress, Stopped
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row


def test_a_job_is_done_by_who_submits_it_and_has_ended_then() -> None:
    lane = Inline()

    def work(job: Job[int]) -> int:
        job.emit("first")
        job.report(1, 2, "halves")
        return threading.get_ident()

    job = lane.submit(work, title="work")
    assert job.finished
    assert job.result() == threading.get_ident()
    assert [event for event in job.events() if event] == ["first", Progress(1, 2, "halves")]
    assert lane.jobs() == []


def test_within_a_job_run_joins_it_and_submit_does_another_within() -> None:
    lane, seen = Inline(), []

    def outer(job: Job[str]) -> str:
        seen.append(lane.run(lambda joined: joined is job, title="joined"))
        inner = lane.submit(lambda own: (own is not job, lane.jobs() == [own, job]), title="inner")
        seen.append(inner.result())
        job.check()  # it is this thread's job again: before, nothing was after one had been done within it
        return lane.run(lambda joined: "same" if joined is job else "other", title="joined")

    assert lane.submit(outer, title="outer").result() == "same"
    assert seen == [True, (True, True)]


def test_of_two_threads_one_waits() -> None:
    lane, inside, most = Inline(), threading.Event(), []
    go_on = threading.Event()

    def long(job: Job[None]) -> None:
        inside.set()
        most.append(len(lane.jobs()))
        go_on.wait(5)

    threads = [threading.Thread(target=lane.run, args=(long,), kwargs={"title": "long"}) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(5)
    assert len(lane.jobs()) == 1
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert most == [1, 1]


def test_another_thread_can_stop_it() -> None:
    lane, begun = Inline(), threading.Event()

    def endless(job: Job[None]) -> None:
        while True:
            begun.set()
            job.check()

    job: Job[None] = Job(lane, endless, "endless")
    thread = threading.Thread(target=lane.do, args=(job,))
    thread.start()
    assert begun.wait(5)
    job.stop()
    thread.join(5)
    assert job.state == "stopped"
    with pytest.raises(Stopped):
        job.result()
    assert lane.submit(lambda job: "next", title="next").result() == "next"


def test_closed_it_takes_nothing_more() -> None:
    lane = Inline()
    assert lane.close()
    with pytest.raises(RuntimeError):
        lane.submit(lambda job: None, title="late")


def _ask(lane: Lane, answers: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg]
    answers.put(lane.submit(lambda job: "done", title="after the fork").result(timeout=1.0))


@pytest.mark.parametrize(("kind", "answers"), [(Inline, True), (Lane, False)])
def test_after_a_fork_a_new_one_does_jobs_where_a_lane_with_threads_waits_for_ever(
    kind: type[Lane], answers: bool
) -> None:
    """Of the parent's threads none is there: its lane has one that is free, and gives it the job."""
    lane = kind()
    lane.run(lambda job: None, title="before the fork")
    fork = multiprocessing.get_context("fork")
    found = fork.SimpleQueue()
    child = fork.Process(target=_ask, args=(lane, found), daemon=True)
    child.start()
    child.join(30)
    assert found.empty() is not answers
    lane.close()


def test_a_model_writes_the_same_on_it(demo: Host) -> None:
    rows, settings = [Row(render(demo, "Write a note to my boss about the meeting."))], DecodeSettings(max_new_tokens=8)
    expected = generate(demo, rows, settings)[0].ids
    before = demo.lane
    try:
        demo.lane = Inline()
        assert generate(demo, rows, settings)[0].ids == expected
    finally:
        demo.lane = before
