"""A job of the model thread: whoever asked for it sees how far it is and can stop it; it lets others in between."""

from __future__ import annotations

import contextvars
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from steering.turns import Turns
from steering.waiting import Progress, interrupted, wait_for


T = TypeVar("T")
State = Literal["queued", "running", "paused", "done", "stopped", "failed"]
"""A job is paused while it gives way to another."""

_FINISHED = object()
_asker: contextvars.ContextVar[str] = contextvars.ContextVar("asker", default="")
_here = threading.local()
_log = logging.getLogger(__name__)


def asked_by(name: str) -> None:
    """Have the jobs of the rest of this context (see `contextvars`) be somebody's; "" for nobody's in particular. Jobs
    of different people take turns.
    """
    _asker.set(name)


def note(text: str, *, instead_of: str = "") -> None:
    """Say something that whoever reads the result should know; in the job of this thread, in the log outside of any.

    Args:
        text: What.
        instead_of: What was said before and no longer holds, such as a smaller count.
    """
    job = current_job()
    if job is None:
        _log.warning(text)
        return
    if instead_of in job.notes:
        job.notes.remove(instead_of)
    if text not in job.notes:
        job.notes.append(text)


def current_job() -> Job[Any] | None:
    """The job that runs on this thread; None outside of any."""
    job: Job[Any] | None = getattr(_here, "job", None)
    return job


def look_for_stop() -> None:
    """End the job of this thread here if somebody asked for it; nothing outside of any. For loops that know no job,
    which may stand anywhere: no other job is let in.

    Raises:
        Stopped: Somebody did.
    """
    job = current_job()
    if job is not None:
        job._look()


@contextmanager
def whole(*, ending: bool = False) -> Iterator[None]:
    """Give way to no other job meanwhile. For work during which something stands that others must not meet, such as a
    hook on the model's own modules, or a lock that they may want. `ending`: look for no stop either, in the few passes
    by which a job that was stopped leaves whole what it has.
    """
    before = getattr(_here, "whole", False), getattr(_here, "ending", False)
    _here.whole, _here.ending = True, ending or before[1]
    try:
        yield
    finally:
        _here.whole, _here.ending = before


class Stopped(Exception):
    """Raised inside a job at its next check after somebody asked it to stop."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it: a line."""
        return [f"Stopped: {self}"]


class Job(Generic[T]):
    """One piece of work on the lane. Made by `Lane.submit`, never by hand."""

    _ids = itertools.count(1)

    def __init__(self, lane: Turns, work: Callable[[Job[T]], T], title: str, *, joins: object = None) -> None:
        self.joins = joins
        """What others of its kind may know before it begins, with whom it does its work; None where it is alone."""
        self.carried = self.ready = False
        """Whether another job does its work meanwhile, and whether all of it is done; see `carry`."""
        self.id = next(self._ids)
        self.title = title
        self.state: State = "queued"
        self.progress = Progress(0, None, "")
        self.error: BaseException | None = None
        self.notes: list[str] = []
        """What `note` was told while the job ran."""
        self.asker = _asker.get()
        """Whose it is; see `asked_by`."""
        self._lane = lane
        self._work = work
        # What holds for whoever submits it, such as the confines of a page, holds for the work.
        self._context = contextvars.copy_context()
        self._result: T | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        # No `SimpleQueue`: of several who wait on one with a timeout, Python 3.11 can leave one waiting for ever.
        self._events: queue.Queue[Any] = queue.Queue()
        self._started: float | None = None
        self._finished: float | None = None
        self._turn: float | None = None
        """When its present turn began; None while another job has the model thread."""
        self._earlier = 0.0
        """Seconds of its turns before."""
        self._counted = self._reported = 0.0
        """Seconds used when what the progress counts began, and at the last report."""

    # -- asked from any thread -------------------------------------------------

    def of(self, lane: Turns) -> bool:
        """Whether it is a job of this lane."""
        return self._lane is lane

    def stop(self) -> None:
        """Ask the job to end. A queued job ends at once, a running one at its next check (one decoding step)."""
        self._stop.set()
        self._lane.withdraw(self)

    @property
    def finished(self) -> bool:
        return self._ended.is_set()

    def ended_within(self, seconds: float) -> bool:
        """Wait so long for its end at most; says whether it has ended."""
        return self._ended.wait(seconds)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked it to end, and it has not ended yet."""
        return self._stop.is_set() and not self.finished

    @property
    def place(self) -> int:
        """0 while running, carried or finished, else the number of jobs that come before this one."""
        return 0 if self.carried else self._lane.place_of(self)

    @property
    def elapsed(self) -> float:
        """Seconds since the job began to run; 0 while it is queued."""
        if self._started is None:
            return 0.0
        return (self._finished or time.monotonic()) - self._started

    @property
    def used(self) -> float:
        """Seconds for which the job had the model thread: `elapsed` without what it gave way for."""
        turn = self._turn
        return self._earlier + (0.0 if turn is None else (self._finished or time.monotonic()) - turn)

    @property
    def remaining(self) -> float | None:
        """Seconds left of what the progress counts, extrapolated from its share that is done; None before there is
        anything to go by. What was done before it, such as reading the data, took its own time.
        """
        share = self.progress.fraction
        if not share or self.finished:
            return None
        return (self.used - self._counted) * (1 - share) / share

    @property
    def instead(self) -> str:
        """Title of the job that this one gives way to; "" while it gives way to none."""
        return "" if self.carried else self._lane.instead_of(self)

    def events(self, heartbeat: float = 0.2) -> Iterator[Any]:
        """Everything the job emits, in order, until it ends: items, `Progress` objects, and None every `heartbeat`
        s. Of several who read, each gets a part of it, and the end.

        Raises:
            Interrupted: Whoever waited was interrupted; the job has stopped.
        """
        while True:
            try:
                event = self._events.get(timeout=heartbeat)
            except queue.Empty:
                if self.finished and self._events.empty():  # somebody else who follows it was told of its end
                    return
                event = None
            except KeyboardInterrupt:
                raise interrupted(self) from None
            if event is _FINISHED:
                return
            yield event

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end and return what the work returned; see `steering.waiting.progress`.

        Raises:
            Stopped: The job was stopped.
            Interrupted: Whoever waited was interrupted; the job has stopped.
            TimeoutError: `timeout` seconds passed first.
            BaseException: Whatever the work raised.
        """
        if timeout is None:
            wait_for(self)
        elif not self.ended_within(timeout):
            raise TimeoutError(f"The job '{self.title}' did not end within {timeout} s.")
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value]

    # -- called by the work itself ---------------------------------------------

    def check(self) -> None:
        """Raise `Stopped` if somebody asked the job to end, and let another job in if it is due. Call between steps.

        Whatever stands between two steps stays: the other job runs on a thread of its own (see `Lane`).
        """
        self._look()
        if not getattr(_here, "whole", False) and current_job() is self:
            self._lane.give_way(self)
            self._look()

    def _look(self) -> None:
        if self._stop.is_set() and not getattr(_here, "ending", False):
            raise Stopped(f"'{self.title}' was stopped.")

    def report(self, done: int, total: int | None, message: str = "", *, share: float | None = None) -> None:
        """Say how far the work has come, and `check`.

        Args:
            done: Units finished.
            total: Units in all, None where unknown. Another total is another count, and begins anew.
            message: What the units are.
            share: See `Progress`.
        """
        self.tell(done, total, message, share=share)
        self.check()

    def tell(self, done: int, total: int | None, message: str = "", *, share: float | None = None) -> None:
        """Say how far the work has come, as `report`, and no more: also where another job did it."""
        before, used = self.progress, self.used
        self.progress = Progress(done, total, message, share)
        if before.total is not None and total != before.total:
            self._counted = self._reported
        self._reported = used
        self._events.put(self.progress)

    def carry(self, seconds: float, *, ends: bool) -> None:
        """Another job did a part of this one's work with its own, in so many seconds; with `ends` all that was left of
        it, so that this one needs its turn only to end.
        """
        self._earlier += seconds
        self.carried, self.ready = True, ends

    def emit(self, item: Any) -> None:
        """Hand a partial result to whoever reads `events`."""
        self._events.put(item)

    def _run(self) -> None:
        self._started = time.monotonic()
        self._begin_turn()
        before = current_job()  # where one is done within another
        _here.job = self
        try:
            self._look()
            self._result = self._context.run(self._work, self)
            self._end("done")
        except Stopped as stopped:
            self._end("stopped", stopped)
        except BaseException as error:
            self._end("failed", error)
        finally:
            _here.job = before

    def _begin_turn(self) -> None:
        self.state, self._turn = "running", time.monotonic()
        self.carried = self.ready = False

    def _end_turn(self) -> None:
        self._earlier, self._turn, self.state = self.used, None, "paused"

    def _had(self) -> tuple[float, float]:
        """Seconds of the present turn, and of all."""
        return time.monotonic() - (self._turn or 0.0), self.used

    def _end(self, state: State, error: BaseException | None = None) -> None:
        self.state, self.error, self._finished = state, error, time.monotonic()
        self._ended.set()
        self._events.put(_FINISHED)
