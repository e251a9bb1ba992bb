"""A lane without threads of its own: whoever asks for a job does it.

Where a process is forked, a lane's threads do not exist in the child, and whoever waits for them waits for ever; and
some work has to be done by one thread, such as the main one. There the model stands on such a lane.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from steering.job import Job
from steering.lane import Lane


T = TypeVar("T")


class Inline(Lane):
    """Runs each job at once, on the thread that submits it; of two threads one waits for the other.

    A job that another one submits is done within it. Nothing gives way: there is nobody else.
    """

    def __init__(self, name: str = "own thread") -> None:
        super().__init__(name)
        self._one = threading.RLock()
        self._begun: list[Job[Any]] = []

    def submit(self, work: Callable[[Job[T]], T], *, title: str, joins: object = None) -> Job[T]:
        """Do `work`, and give its job, which has ended.

        Raises:
            RuntimeError: The lane was closed.
        """
        job = Job(self, work, title, joins=joins)
        self.do(job)
        return job

    def do(self, job: Job[Any]) -> None:
        """Do a job of this lane. Whoever has another thread can read its events and stop it meanwhile.

        Raises:
            RuntimeError: The lane was closed.
        """
        if self._closed:
            raise RuntimeError("The lane is closed.")
        with self._one:
            self._begun.append(job)
            try:
                job._run()
            finally:
                self._begun.remove(job)

    def jobs(self) -> list[Job[Any]]:
        """The running job and those within it, the innermost first."""
        return self._begun[::-1]

    def close(self, timeout: float = 30.0) -> bool:
        """Stop what runs and take nothing more; gives whether nothing runs any more."""
        self._closed = True
        for job in self.jobs():
            job.stop()
        ended = self._one.acquire(timeout=timeout)
        if ended:
            self._one.release()
        return ended

    def give_way(self, job: Job[Any]) -> None:
        """To nobody."""

    def withdraw(self, job: Job[Any]) -> None:
        """It looks for a stop when it begins, and between its steps."""

    def place_of(self, job: Job[Any]) -> int:
        """None waits."""
        return 0

    def instead_of(self, job: Job[Any]) -> str:
        """None waits."""
        return ""
