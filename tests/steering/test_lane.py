"""The lane: one thread, one job at a time, stoppable, and clean after every kind of end."""

from __future__ import annotations

import ctypes
import queue
import threading
import time

import pytest

from steering.errors import SteeringError
from steering.lane import Job, Lane, Progress, Stopped
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row


@pytest.fixture
def own_lane():
    lane = Lane()
    yield lane
    lane.close()


def test_jobs_of_many_threads_run_on_one_thread_one_at_a_time(own_lane: Lane) -> None:
    threads: set[int] = set()
    inside = []
    overlaps = []

    def work(job: Job[None]) -> None:
        inside.append(job)
        overlaps.append(len(inside))
        threads.add(threading.get_ident())
        time.sleep(0.005)
        inside.remove(job)

    callers = [threading.Thread(target=lambda: own_lane.run(work, title="work")) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(overlaps) == 12
    assert set(overlaps) == {1}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_run_inside_a_job_joins_it_instead_of_waiting_for_itself(own_lane: Lane) -> None:
    def outer(job: Job[str]) -> str:
        return own_lane.run(lambda inner: "same" if inner is job else "other", title="inner")

    assert own_lane.submit(outer, title="outer").result(timeout=5) == "same"


def test_events_carry_items_and_progress_in_order(own_lane: Lane) -> None:
    def work(job: Job[str]) -> str:
        job.emit("first")
        job.report(1, 2, "halves")
        job.emit("second")
        return "result"

    job = own_lane.submit(work, title="work")
    assert [event for event in job.events() if event is not None] == ["first", Progress(1, 2, "halves"), "second"]
    assert job.result() == "result"
    assert job.state == "done"


def test_all_who_follow_a_job_are_told_of_its_end(own_lane: Lane) -> None:
    release = threading.Event()
    job = own_lane.submit(lambda job: release.wait(5), title="load")
    following = [threading.Thread(target=lambda: list(job.events(heartbeat=0.02)), daemon=True) for _ in range(3)]
    for each in following:
        each.start()
    assert all(each.is_alive() for each in following)
    release.set()
    for each in following:
        each.join(5)
    assert not any(each.is_alive() for each in following)
    assert list(job.events(heartbeat=0.02)) == []  # nor does somebody wait who comes too late


def test_of_many_who_follow_with_short_beats_none_is_left_waiting(own_lane: Lane) -> None:
    """Where an item comes at the very end of a beat, somebody else may take it: with `queue.SimpleQueue` of Python 3.11
    one of three tries leaves somebody waiting for ever.
    """

    def work(job: Job[None]) -> None:
        for item in range(200):
            job.emit(item)
            time.sleep(2e-4)

    for _ in range(12):
        job = own_lane.submit(work, title="items")
        readers = [threading.Thread(target=lambda: list(job.events(5e-4)), daemon=True) for _ in range(8)]  # noqa: B023
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(10)
        assert not any(reader.is_alive() for reader in readers)


def test_what_is_emitted_between_a_heartbeat_and_the_end_is_read(own_lane: Lane) -> None:
    job = own_lane.submit(lambda job: job.emit("last"), title="short")
    job.result(timeout=5)
    events, late = job._events, [True]

    class Late:
        """A queue in which nothing lay when the reader looked, although all does now."""

        def get(self, timeout: float) -> object:
            if late and late.pop():
                raise queue.Empty
            return events.get(timeout=timeout)

        def empty(self) -> bool:
            return events.empty()

    job._events = Late()  # type: ignore[assignment]
    assert [event for event in job.events() if event is not None] == ["last"]


def test_stop_ends_a_running_job_at_its_next_check_and_the_next_job_runs(own_lane: Lane) -> None:
    steps = []
    started = threading.Event()

    def endless(job: Job[None]) -> None:
        while True:
            steps.append(1)
            started.set()
            time.sleep(0.002)
            job.check()

    job = own_lane.submit(endless, title="endless")
    after = own_lane.submit(lambda job: "after", title="after")
    assert started.wait(5)
    assert (job.state, after.state, after.place) == ("running", "queued", 1)
    job.stop()
    with pytest.raises(Stopped):
        job.result(timeout=5)
    seen = len(steps)
    assert after.result(timeout=5) == "after"
    assert job.state == "stopped"
    assert len(steps) == seen  # it really ended and does not run on beside its successor


def test_stop_withdraws_a_queued_job_before_it_runs(own_lane: Lane) -> None:
    release = threading.Event()
    ran = []
    first = own_lane.submit(lambda job: release.wait(5), title="first")
    queued = own_lane.submit(lambda job: ran.append(1), title="queued")
    queued.stop()
    release.set()
    first.result(timeout=5)
    with pytest.raises(Stopped):
        queued.result(timeout=5)
    assert not ran


def test_an_exception_reaches_the_caller_and_spares_the_next_job(own_lane: Lane) -> None:
    def fail(job: Job[None]) -> None:
        raise ValueError("broken")

    job = own_lane.submit(fail, title="fail")
    with pytest.raises(ValueError, match="broken"):
        job.result(timeout=5)
    assert job.state == "failed"
    assert own_lane.run(lambda job: 7, title="next") == 7


def test_remaining_time_is_extrapolated_from_the_units_done(own_lane: Lane) -> None:
    seen = []

    def work(job: Job[None]) -> None:
        assert job.remaining is None
        time.sleep(0.05)
        job.report(1, 4)
        seen.append((job.elapsed, job.remaining))

    own_lane.run(work, title="work")
    elapsed, remaining = seen[0]
    assert remaining == pytest.approx(3 * elapsed, rel=0.2)  # the clock runs on between the two readings


def test_remaining_time_counts_what_takes_time_and_begins_anew_with_another_count(own_lane: Lane) -> None:
    seen = []

    def work(job: Job[None]) -> None:
        time.sleep(0.05)
        job.report(9, 10, "cells", share=0.1)  # eight of the nine were kept
        seen.append((job.progress.fraction, job.used, job.remaining))
        before = job.used
        time.sleep(0.02)
        job.report(1, 2, "halves")
        seen.append((job.progress.fraction, job.used - before, job.remaining))
        job.report(0, None, "tidying")
        seen.append((job.progress.fraction, job.used, job.remaining))

    own_lane.run(work, title="work")
    (first, used, left), (second, half, rest), nothing = seen
    assert (first, second, nothing[0], nothing[2]) == (0.1, 0.5, None, None)
    assert left == pytest.approx(9 * used, rel=0.2)  # the clock runs on between two readings
    assert rest == pytest.approx(half, rel=0.2)


def test_a_closed_lane_takes_no_more_work() -> None:
    lane = Lane()
    lane.run(lambda job: None, title="one")
    lane.close()
    lane.close()
    with pytest.raises(RuntimeError, match="closed"):
        lane.submit(lambda job: None, title="late")


def test_a_loop_of_passes_that_never_looks_for_a_stop_ends_all_the_same(tiny_host) -> None:
    host = tiny_host("llama")
    begun = threading.Event()

    def endless(job: Job[None]) -> None:
        while True:
            next_token_logits(host, [Row(render(host, "Hello."))])
            begun.set()

    job = host.submit(endless, title="endless")
    assert begun.wait(60)
    job.stop()
    with pytest.raises(Stopped):
        job.result(timeout=60)
    assert job.state == "stopped"
    assert host.run(lambda job: next_token_logits(host, [Row(render(host, "Hello."))]), title="after").shape[0] == 1


@pytest.mark.parametrize("where", ["serve", "run", "end"])
def test_a_thread_that_ends_by_itself_takes_one_job_with_it_and_the_others_go_on(
    own_lane: Lane, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    owner, name = {"serve": (Lane, "_serve"), "run": (Job, "_run"), "end": (Lane, "_leave")}[where]
    real, failed = getattr(owner, name), []

    def broken(self, *given):
        job = given[0] if given else self
        if job.title == "victim" and not failed:
            failed.append(threading.current_thread())
            raise MemoryError("outside of the job")
        return real(self, *given)

    monkeypatch.setattr(owner, name, broken)
    release = threading.Event()
    first = own_lane.submit(lambda job: release.wait(5), title="first")
    victim, after = (
        own_lane.submit(lambda job: threading.current_thread(), title=title) for title in ("victim", "after")
    )
    release.set()
    if where == "end":  # it had ended already
        assert victim.result(timeout=5) is failed[0]
    else:
        with pytest.raises(SteeringError, match="model thread ended by itself during 'victim': MemoryError: outside"):
            victim.result(timeout=5)
        assert victim.state == "failed"
    assert first.state == "done"
    assert after.result(timeout=5) is not failed[0]
    assert own_lane.run(lambda job: own_lane.jobs(), title="last")[1:] == []
    assert own_lane.close(timeout=5)


def test_a_job_that_fails_while_it_gives_way_leaves_the_one_that_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lane, inside, release = Lane(first=0.0, turn=0.0), [], threading.Event()
    began = threading.Event()

    def long(job: Job[None]) -> None:
        while True:
            job.check()

    def other(job: Job[None]) -> None:
        inside.append(job)
        began.set()
        release.wait(5)
        assert inside == [job]
        inside.remove(job)

    paused = lane.submit(long, title="long")
    running = lane.submit(other, title="other")
    assert began.wait(5)
    thread = next(each for each in lane._threads if each.is_alive() and paused.state == "paused")
    raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(MemoryError)
    )
    assert raised == 1
    later = lane.submit(other, title="later")  # which wakes those who wait
    with pytest.raises(MemoryError):
        paused.result(timeout=5)
    assert lane.jobs() == [running, later]
    release.set()
    running.result(timeout=5)
    later.result(timeout=5)
    assert lane.close(timeout=5)


def test_where_no_thread_can_be_had_nothing_is_left_in_the_queue(
    own_lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: (_ for _ in ()).throw(RuntimeError("can't start")))
        with pytest.raises(RuntimeError, match="can't start"):
            own_lane.submit(lambda job: 1, title="none")
        assert own_lane.jobs() == []
    assert own_lane.submit(lambda job: 2, title="next").result(timeout=5) == 2
