"""The model thread: every torch and nnsight call runs on it, one job at a time.

nnsight traces are bound to a thread and plain hooks leak between requests, so a web page with several visitors must not
touch the model from the threads its requests arrive on. A `Lane` owns one thread; work enters as a `Job` and leaves as
events and a result.
"""

from __future__ import annotations

import contextvars
import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar


T = TypeVar("T")
State = Literal["queued", "running", "done", "stopped", "failed"]

_FINISHED = object()
_here = threading.local()
_log = logging.getLogger(__name__)


def note(text: str, *, instead_of: str = "") -> None:
    """Say something that whoever reads the result should know; in the job of this thread, in the log outside of any.

    Args:
        text: What.
        instead_of: What was said before and no longer holds, such as a smaller count.
    """
    job: Job[Any] | None = getattr(_here, "job", None)
    if job is None:
        _log.warning(text)
        return
    if instead_of in job.notes:
        job.notes.remove(instead_of)
    if text not in job.notes:
        job.notes.append(text)


def look_for_stop() -> None:
    """End the job of this thread here if somebody asked for it; nothing outside of any. For loops that know no job.

    Raises:
        Stopped: Somebody did.
    """
    job: Job[Any] | None = getattr(_here, "job", None)
    if job is not None:
        job.check()


class Stopped(Exception):
    """Raised inside a job at its next check after somebody asked it to stop."""


@dataclass(frozen=True)
class Progress:
    """How far a job has come."""

    done: int
    """Units finished."""
    total: int | None
    """Units in all; None while unknown."""
    message: str
    """What the units are, such as "prompts read"."""


class Job(Generic[T]):
    """One piece of work on the lane. Made by `Lane.submit`, never by hand."""

    _ids = itertools.count(1)

    def __init__(self, lane: Lane, work: Callable[[Job[T]], T], title: str) -> None:
        self.id = next(self._ids)
        self.title = title
        self.state: State = "queued"
        self.progress = Progress(0, None, "")
        self.error: BaseException | None = None
        self.notes: list[str] = []
        """What `note` was told while the job ran."""
        self._lane = lane
        self._work = work
        # What holds for whoever submits it, such as the confines of a page, holds for the work.
        self._context = contextvars.copy_context()
        self._result: T | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._started: float | None = None
        self._finished: float | None = None

    # -- asked from any thread -------------------------------------------------

    def stop(self) -> None:
        """Ask the job to end. A queued job ends at once, a running one at its next check (one decoding step)."""
        self._stop.set()
        self._lane._withdraw(self)

    @property
    def finished(self) -> bool:
        return self._ended.is_set()

    @property
    def place(self) -> int:
        """0 while running or finished, else the number of jobs that come before this one."""
        return self._lane._place(self)

    @property
    def elapsed(self) -> float:
        """Seconds since the job began to run; 0 while it is queued."""
        if self._started is None:
            return 0.0
        return (self._finished or time.monotonic()) - self._started

    @property
    def remaining(self) -> float | None:
        """Seconds left, extrapolated from the units done so far; None before there is anything to go by."""
        progress = self.progress
        if not progress.total or not progress.done or self.finished:
            return None
        return self.elapsed * (progress.total - progress.done) / progress.done

    def events(self, heartbeat: float = 0.2) -> Iterator[Any]:
        """Everything the job emits, in order, until it ends: items, `Progress` objects, and None every `heartbeat`
        s.
        """
        while True:
            try:
                event = self._events.get(timeout=heartbeat)
            except queue.Empty:
                yield None
                continue
            if event is _FINISHED:
                return
            yield event

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end and return what the work returned.

        Raises:
            Stopped: The job was stopped.
            TimeoutError: `timeout` seconds passed first.
            BaseException: Whatever the work raised.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"The job '{self.title}' did not end within {timeout} s.")
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value]

    # -- called by the work itself ---------------------------------------------

    def check(self) -> None:
        """Raise `Stopped` if somebody asked the job to end. Call between steps."""
        if self._stop.is_set():
            raise Stopped(f"'{self.title}' was stopped.")

    def report(self, done: int, total: int | None, message: str = "") -> None:
        """Say how far the work has come, and end it here if a stop was asked for."""
        self.progress = Progress(done, total, message)
        self._events.put(self.progress)
        self.check()

    def emit(self, item: Any) -> None:
        """Hand a partial result to whoever reads `events`."""
        self._events.put(item)

    def _run(self) -> None:
        self.state, self._started = "running", time.monotonic()
        _here.job = self
        try:
            self.check()
            self._result = self._context.run(self._work, self)
            self._end("done")
        except Stopped as stopped:
            self._end("stopped", stopped)
        except BaseException as error:
            self._end("failed", error)
        finally:
            _here.job = None

    def _end(self, state: State, error: BaseException | None = None) -> None:
        self.state, self.error, self._finished = state, error, time.monotonic()
        self._ended.set()
        self._events.put(_FINISHED)


class Lane:
    """One thread and its queue of jobs.

    The thread starts with the first job and is a daemon, so a script that ends does not wait for it.
    """

    def __init__(self, name: str = "model thread") -> None:
        self._name = name
        self._waiting: deque[Job[Any]] = deque()
        self._running: Job[Any] | None = None
        # Guards the two fields above, which are read by every caller and changed by the lane's thread.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Callable[[Job[T]], T], *, title: str) -> Job[T]:
        """Queue `work`; it is called with its own job, on the lane's thread.

        Raises:
            RuntimeError: The lane was closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("The lane is closed.")
            job = Job(self, work, title)
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job

    def run(self, work: Callable[[Job[T]], T], *, title: str) -> T:
        """Do `work` on the lane and wait for its result; inside a job it joins that job instead of queueing behind
        it.
        """
        if threading.current_thread() is self._thread:
            assert self._running is not None
            return work(self._running)
        job = self.submit(work, title=title)
        try:
            return job.result()
        except KeyboardInterrupt:
            job.stop()
            raise

    def jobs(self) -> list[Job[Any]]:
        """The running job, then the queued ones in order."""
        with self._changed:
            running = [self._running] if self._running else []
            return running + list(self._waiting)

    def close(self, timeout: float = 30.0) -> bool:
        """Stop the running job, drop the queued ones and end the thread. Safe to call twice.

        Returns:
            Whether the thread ended within `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            jobs = ([self._running] if self._running else []) + list(self._waiting)
            self._changed.notify_all()
        for job in jobs:
            job.stop()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                self._running = self._waiting.popleft()
            self._running._run()
            with self._changed:
                self._running = None

    def _withdraw(self, job: Job[Any]) -> None:
        with self._changed:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
        job._end("stopped", Stopped(f"'{job.title}' was stopped before it began."))

    def _place(self, job: Job[Any]) -> int:
        with self._changed:
            if job not in self._waiting:
                return 0
            return self._waiting.index(job) + (self._running is not None)
