"""Long jobs give way between their steps: others get in, nobody starves, and every result is what it is alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from itertools import pairwise
from typing import Any

import pytest

from steering.extraction.extract import extract
from steering.job import asked_by
from steering.lane import OTHERS, Job, Lane, Stopped, look_for_stop, whole
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import DecodeSettings, generate
from steering.passes.rows import Row
from steering.texts.contrast import ContrastSet


WAIT = 60
"""Seconds before a test that hangs gives up."""


@pytest.fixture
def own_lane() -> Iterator[Lane]:
    lane = Lane(first=0, turn=0)
    yield lane
    lane.close()


def _until(done: threading.Event, begun: threading.Event | None = None) -> Callable[[Job[int]], int]:
    """Work that reports steps until something happens; gives how many there were."""

    def work(job: Job[int]) -> int:
        step = 0
        while not done.is_set():
            step += 1
            job.report(step, None, "steps")
            if begun:
                begun.set()
            threading.Event().wait(0.001)
        return step

    return work


def test_a_short_job_does_not_wait_for_a_long_one(own_lane: Lane) -> None:
    done, begun = threading.Event(), threading.Event()
    long = own_lane.submit(_until(done, begun), title="long")
    assert begun.wait(WAIT)
    short = [own_lane.submit(lambda job, n=n: n, title="short") for n in range(5)]  # type: ignore[misc]
    assert [job.result(WAIT) for job in short] == [0, 1, 2, 3, 4]
    assert not long.finished
    done.set()
    assert long.result(WAIT) > 0


def test_a_job_has_its_first_seconds_for_itself() -> None:
    lane, done, begun = Lane(first=WAIT), threading.Event(), threading.Event()
    long = lane.submit(_until(done, begun), title="long")
    assert begun.wait(WAIT)
    short = lane.submit(lambda job: "short", title="short")
    seen = long.progress.done
    while long.progress.done < seen + 20:  # it has looked often since, and let nobody in
        threading.Event().wait(0.005)
    assert (long.state, short.state, short.place) == ("running", "queued", 1)
    done.set()
    assert short.result(WAIT) == "short"
    lane.close()


def test_long_jobs_take_turns_one_at_a_time_and_say_so(own_lane: Lane) -> None:
    inside: list[str] = []
    together, order, said = [], [], set()

    def count(name: str) -> Callable[[Job[int]], int]:
        def work(job: Job[int]) -> int:
            for step in range(20):
                inside.append(name)
                together.append(len(inside))
                order.append(name)
                threading.Event().wait(0.002)
                inside.remove(name)
                job.report(step + 1, 20, "steps")
                said.update(other.instead for other in jobs if other is not job)
            return 20

        return work

    jobs: list[Job[int]] = []
    with own_lane._changed:  # both are there before the first begins
        jobs += [own_lane.submit(count(name), title=name) for name in "ab"]
    assert [job.result(WAIT) for job in jobs] == [20, 20]
    assert set(together) == {1}
    assert sum(one != other for one, other in pairwise(order)) >= 10
    assert said == {"", "a", "b"}
    assert {job.instead for job in jobs} == {""}


def test_what_a_job_gave_way_for_does_not_count_as_its_time(own_lane: Lane) -> None:
    seen: list[tuple[float, float, float | None]] = []

    def long(job: Job[None]) -> None:
        threading.Event().wait(0.02)
        other = own_lane.submit(lambda job: threading.Event().wait(0.5), title="other")
        job.report(1, 2)
        assert other.finished
        seen.append((job.elapsed, job.used, job.remaining))

    own_lane.submit(long, title="long").result(WAIT)
    ((elapsed, used, remaining),) = seen
    assert elapsed - used == pytest.approx(0.5, abs=0.2)  # the threads' own waking
    assert remaining == pytest.approx(used, rel=0.5)


def test_a_job_that_gave_way_can_be_stopped(own_lane: Lane) -> None:
    done, begun = threading.Event(), threading.Event()
    first = own_lane.submit(_until(threading.Event(), begun), title="first")
    assert begun.wait(WAIT)
    second = own_lane.submit(_until(done), title="second")
    first.stop()
    with pytest.raises(Stopped):
        first.result(WAIT)
    assert not second.finished
    done.set()
    assert second.result(WAIT) > 0


def test_nobody_is_let_in_where_work_must_stay_whole_or_knows_no_job(own_lane: Lane) -> None:
    def long(job: Job[bool]) -> bool:
        other = own_lane.submit(lambda job: None, title="other")
        look_for_stop()
        with whole():
            with whole():
                job.report(1, 3)
            job.check()
        kept_out = not other.finished
        job.check()
        return kept_out and other.finished

    assert own_lane.submit(long, title="long").result(WAIT)


def test_a_lane_with_jobs_that_gave_way_can_be_closed() -> None:
    lane = Lane(first=0, turn=0)
    jobs = [lane.submit(_until(threading.Event()), title=str(n)) for n in range(4)]
    assert lane.close(WAIT)
    assert {job.state for job in jobs} == {"stopped"}


def test_results_are_the_same_to_the_digit_whoever_gets_in_between(tiny_host: Any) -> None:
    host: Host = tiny_host("llama")
    row = Row(render(host, "Tell me about the sea."))
    things = ["hotel", "cafe", "film", "book", "park", "train", "garden", "museum", "song", "boat"]
    contrast = ContrastSet.of([f"Praise the {each}." for each in things], [f"Pan the {each}." for each in things])
    order: list[str] = []

    def reply(seed: int) -> Any:
        order.append("reply")
        return generate(host, [row], DecodeSettings(max_new_tokens=12, temperature=1.0, seed=seed))[0].ids

    def vector() -> Any:
        order.append("vector")
        return extract(host, contrast, token_budget=40).content

    works: list[Callable[[], Any]] = [lambda: reply(0), lambda: reply(1), vector]
    alone = [work() for work in works]
    assert alone[0] != alone[1]
    order.clear()
    lane = host.lane
    before, lane._first, lane._turn = (lane._first, lane._turn), 0.0, 0.0
    try:
        jobs = [host.submit(lambda job, work=work: [work(), work()], title="between") for work in works]  # type: ignore[misc]
        assert [job.result(WAIT) for job in jobs] == [[each, each] for each in alone]
    finally:
        lane._first, lane._turn = before
    assert order != ["reply"] * 4 + ["vector"] * 2  # they were in each other's midst


def _held_by(lane: Lane, asker: str) -> tuple[threading.Event, Job[Any]]:
    """A job that runs until it is let go."""
    go, begun = threading.Event(), threading.Event()

    def work(job: Job[None]) -> None:
        begun.set()
        go.wait(WAIT)

    job = _as(asker, lambda: lane.submit(work, title="held"))
    assert begun.wait(WAIT)
    return go, job


def _as(asker: str, submit: Callable[[], Job[Any]]) -> Job[Any]:
    """What somebody submits."""
    context = copy_context()
    context.run(asked_by, asker)
    return context.run(submit)


def test_places_go_round_the_people_who_ask_and_not_the_jobs(own_lane: Lane) -> None:
    go, _ = _held_by(own_lane, "anna")
    ran: list[str] = []
    jobs = {
        name: _as(name.partition(" ")[0], lambda name=name: own_lane.submit(lambda job: ran.append(name), title=name))  # type: ignore[misc]
        for name in ("anna 1", "anna 2", "anna 3", "anna 4", "ben 1", "ben 2", "cara 1")
    }
    expected = ["ben 1", "cara 1", "anna 1", "ben 2", "anna 2", "anna 3", "anna 4"]  # Anna has her turn already
    assert [job.title for job in own_lane.jobs()[1:]] == expected
    assert {name: job.place for name, job in jobs.items()} == {name: n for n, name in enumerate(expected, 1)}
    go.set()
    for job in jobs.values():
        job.result(WAIT)
    assert ran == expected  # the places that were told are those that they got


def test_somebody_with_one_job_waits_for_one_of_anothers_many_not_for_all(own_lane: Lane) -> None:
    go, _ = _held_by(own_lane, "anna")
    many = [_as("anna", lambda: own_lane.submit(lambda job: None, title="one of many")) for _ in range(20)]
    one = _as("ben", lambda: own_lane.submit(lambda job: [each.finished for each in many], title="alone"))
    assert one.place == 1
    go.set()
    assert one.result(WAIT) == [False] * 20
    assert [each.result(WAIT) for each in many] == [None] * 20


def test_long_jobs_of_two_people_share_the_lane_evenly_however_many_each_has(own_lane: Lane) -> None:
    steps: list[str] = []
    done = threading.Event()

    def long(job: Job[None]) -> None:
        for step in range(400):
            steps.append(job.asker)
            job.report(step, 400, "steps")
            if done.is_set():
                return
        done.set()

    go, _ = _held_by(own_lane, "nobody")
    jobs = [_as("anna", lambda: own_lane.submit(long, title="long")) for _ in range(3)]
    jobs.append(_as("ben", lambda: own_lane.submit(long, title="long")))
    go.set()
    for job in jobs:
        job.result(WAIT)
    # Turns are over with each step here: while both have jobs, their steps alternate.
    counts = [steps[:600].count(name) for name in ("anna", "ben")]
    assert abs(counts[0] - counts[1]) <= 4, counts


def test_what_others_do_is_not_told_to_somebody_who_waits(own_lane: Lane) -> None:
    go, _ = _held_by(own_lane, "anna")
    own, other = (_as(name, lambda: own_lane.submit(lambda job: None, title="short")) for name in ("anna", "ben"))
    assert (own.instead, other.instead) == ("held", OTHERS)
    go.set()
    for job in (own, other):
        job.result(WAIT)
