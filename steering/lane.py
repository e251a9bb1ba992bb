"""The model thread: every torch and nnsight call runs on it, one job at a time.

nnsight traces are bound to a thread and plain hooks leak between requests, so a web page with several visitors must not
touch the model from the threads its requests arrive on. A `Lane` runs one job at a time; work enters as a `Job` and
leaves as events and a result.

A long job gives way between its steps (`Job.check`). What is half done stays on its stack, so the job that is let in
runs on another thread; but only ever one of the threads runs, until it ends or gives way itself. No pass is cut in two.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from steering.errors import SteeringError
from steering.job import Job, Progress, Stopped, current_job, look_for_stop, note, whole


__all__ = ["Job", "Lane", "Progress", "Stopped", "look_for_stop", "note", "whole"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

OTHERS = "somebody else's job"
"""What a job is called for those whose it is not."""
FIRST, TURN = 2.0, 1.0
"""Seconds that a job has for itself when it begins, and whenever its turn comes again."""


class Lane:
    """One job at a time, in the order in which they came; those that take longer take turns. Of several people who ask
    (`steering.job.asked_by`), each has a turn after the other, however many jobs of theirs wait.

    Threads start when they are needed and are daemons, so a script that ends does not wait for them.
    """

    near = True
    """Whether a job costs its time and nothing else, so that one may be done without having been asked for."""

    def __init__(self, name: str = "model thread", *, first: float = FIRST, turn: float = TURN) -> None:
        self._name, self._first, self._turn = name, first, turn
        self._waiting: deque[Job[Any]] = deque()
        """Jobs that have not begun, and those that gave way, in the order in which they came here."""
        self._served: dict[str, int] = {}
        """Whose turn it was when, in turns of the lane, since it was idle last."""
        self._turns = 0
        self._running: Job[Any] | None = None
        # Guards all fields, which every caller reads and the lane's threads change.
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._free = 0
        """Threads that would begin a job; those of jobs that gave way would not."""
        self._closed = False

    def submit(self, work: Callable[[Job[T]], T], *, title: str, joins: object = None) -> Job[T]:
        """Queue `work`; it is called with its own job, on the lane's thread.

        Args:
            work: What to do.
            title: What it is called.
            joins: What others of its kind may know of it before it begins (`joining`), where it shares its steps with
                them: it begins when its turn comes, without waiting until whoever has the thread has had its own. None
                where it shares none.

        Raises:
            RuntimeError: The lane was closed, or the system gives no thread.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("The lane is closed.")
            job = Job(self, work, title, joins=joins)
            self._waiting.append(job)
            try:
                self._pass_on()
            except RuntimeError:  # no thread can be had: it is not left in a queue that nobody serves
                self._waiting.remove(job)
                raise
        return job

    def run(self, work: Callable[[Job[T]], T], *, title: str) -> T:
        """Do `work` on the lane and wait for its result; inside a job it joins that job instead of queueing behind
        it.

        Raises:
            Interrupted: As `Job.result`.
        """
        own = current_job()
        if own is not None and own.of(self):
            return work(own)
        return self.submit(work, title=title).result()

    def jobs(self) -> list[Job[Any]]:
        """The running job, then the others in the order of their turns."""
        with self._changed:
            running = [self._running] if self._running else []
            return running + self._in_turn()

    def joining(self) -> list[Any]:
        """What is known of the jobs that are about to begin and to join others, in the order of their turns."""
        with self._changed:
            return [job.joins for job in self._in_turn() if _joins_now(job)]

    def close(self, timeout: float = 30.0) -> bool:
        """Stop the jobs that have begun, drop the others and end the threads. Safe to call twice.

        Returns:
            Whether the threads ended within `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = [each for each in self._threads if each is not threading.current_thread()]
        for job in self.jobs():
            job.stop()
        end = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    # -- holding `_changed` ----------------------------------------------------

    def _pass_on(self) -> None:
        """Where nothing runs, let the first in the queue do so; wakes all threads, which look whether they may."""
        if self._running is None and self._waiting:
            if (first := self._in_turn()[0]).state == "paused":
                self._serve(first)
            elif not self._free:
                thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                thread.start()  # which may fail, and then there is none
                self._free += 1
                self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        self._changed.notify_all()

    def _to_begin(self) -> Job[Any] | None:
        """The job that a free thread should begin now."""
        if self._running is None and self._waiting and (first := self._in_turn()[0]).state == "queued":
            return first
        return None

    def _in_turn(self) -> list[Job[Any]]:
        """Those that wait in the order of their turns: first what ends soon, then what is about to join others, then in
        each round one of everybody's.
        """
        order = [each for each in self._waiting if each.stopping or each.ready]  # they have begun
        left = [each for each in self._waiting if each not in order]
        served, turn = dict(self._served), self._turns
        while left:
            # Of equals the one that came first.
            first = min(left, key=lambda each: (not _joins_now(each), served.get(each.asker, -1)))
            left.remove(first)
            turn += 1
            served[first.asker] = turn
            order.append(first)
        return order

    def _serve(self, job: Job[Any]) -> None:
        """Give a waiting job its turn."""
        self._waiting.remove(job)
        self._running = job
        self._turns += 1
        self._served[job.asker] = self._turns
        if not self._waiting:  # nobody is behind anybody
            self._served = {job.asker: self._turns}

    def _is_idle(self) -> bool:
        """Whether a free thread should end: nothing will come any more, or another one is free."""
        return self._free > 1 or (self._closed and not self._waiting and self._running is None)

    # -- the lane's threads ----------------------------------------------------

    def _loop(self) -> None:
        job: Job[Any] | None = None
        free = True
        try:
            while True:
                with self._changed:
                    while not (job := self._to_begin()):
                        if self._is_idle():
                            self._free -= 1
                            self._changed.notify_all()
                            return
                        self._changed.wait()
                    self._serve(job)
                    self._free -= 1
                    free = False
                job._run()
                with self._changed:
                    self._leave(job)
                    self._free += 1
                    free, job = True, None
                    self._pass_on()
        except BaseException as error:  # whatever it is, others wait for their turn
            self._end_thread(job, free, error)

    def _leave(self, job: Job[Any]) -> None:
        """A job has ended, perhaps while it gave way to another, which goes on."""
        if self._running is job:
            self._running = None
        if job in self._waiting:
            self._waiting.remove(job)

    def _end_thread(self, job: Job[Any] | None, free: bool, error: BaseException) -> None:
        """This thread ends by a fault outside of any job: the job at hand fails, and the others go on on a new one.

        Args:
            job: The one at hand; the first that waits where there is none, since the next thread might fail alike.
            free: Whether the thread was free.
            error: The fault.
        """
        _log.error("The %s ended", self._name, exc_info=error)
        with self._changed:
            if job is None and self._waiting:
                job = self._in_turn()[0]
            if job is not None:
                self._leave(job)
            self._free -= free
            if job is not None and not job.finished:
                job._end("failed", _ended(self._name, job.title, error))
            self._pass_on()

    def give_way(self, job: Job[Any]) -> None:
        """Let those go first that wait, if the job has had its turn; back when it has the next one."""
        if not self._waiting:  # the usual case; nobody is kept waiting by a look that comes too early
            return
        with self._changed:
            turn, used = job._had()
            if not self._waiting or self._running is not job:
                return
            first = self._in_turn()[0]
            at_once = first.ready or _joins_now(first)
            if not at_once and (turn < self._turn or used < self._first):
                return
            job._end_turn()
            self._waiting.append(job)
            self._running = None
            self._pass_on()
            while self._running is not job:
                self._changed.wait()
            job._begin_turn()

    # -- asked by jobs ---------------------------------------------------------

    def withdraw(self, job: Job[Any]) -> None:
        """Take a job that is to stop out of the queue; one that gave way comes first in it, and so ends soon."""
        with self._changed:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
            begun = job.state == "paused"
            if begun:  # which goes first now
                self._waiting.append(job)
            self._pass_on()
        if not begun:
            job._end("stopped", Stopped(f"'{job.title}' was stopped before it began."))

    def place_of(self, job: Job[Any]) -> int:
        """How many jobs come before it; 0 while it runs and when it has ended."""
        with self._changed:
            if job not in self._waiting:
                return 0
            return self._in_turn().index(job) + (self._running is not None)

    def instead_of(self, job: Job[Any]) -> str:
        """Title of the job that runs while this one waits for its turn, where it is the same one's; "" where it does
        not wait.
        """
        with self._changed:
            if job not in self._waiting or self._running is None:
                return ""
            return self._running.title if self._running.asker == job.asker else OTHERS


def _ended(thread: str, title: str, error: BaseException) -> SteeringError:
    said = f"{type(error).__name__}: {error}".strip(": ")
    return SteeringError(
        f"The {thread} ended by itself during '{title}': {said[:300]}.",
        "a thread that goes on from job to job.",
        "Run it again: a new one has begun, and what others asked for goes on. If it happens twice, please report it.",
    )


def _joins_now(job: Job[Any]) -> bool:
    """Whether a job has only to begin, and then does its work with others."""
    return job.joins is not None and job.state == "queued"
