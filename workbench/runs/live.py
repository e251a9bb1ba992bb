"""What runs now, on threads of its own, and the pages that follow it.

A page that asks for something only starts it and follows. It may be left, loaded again or closed: the run goes on, and
any page can follow it from where it is, with all that it has shown so far.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any

from steering.errors import SteeringError
from steering.lane import Job
from workbench.doors.at_hand import limits_at_hand, visit_at_hand
from workbench.memory import Changes, Properties, changed, join_all


Of = tuple[Job[Any] | None, str]
MOST_WAITING = 8
"""Updates that wait for a slow reader; of more, all become one."""
MOST, MOST_OF_ONE = 60, 8
"""Runs that may go on and wait at once, of all visitors and of one; each has a thread."""
_log = logging.getLogger(__name__)


class LiveRun:
    """One run of a handler, from its start to its end."""

    def __init__(
        self, steps: Iterator[Changes], *, visitor: str, panel: str, of: Callable[[], Of] = lambda: (None, "")
    ) -> None:
        """A run that has not begun (`begin`).

        Args:
            steps: What changes on the page, step by step; taken on a thread of the run's own.
            visitor: Who asked.
            panel: Id of the panel whose page shows it.
            of: Gives its job on the model thread, as far as it has one now, and its id in the list of runs.
        """
        self.of = of
        self.visitor, self.panel = visitor, panel
        visit = visit_at_hand()
        self.room = visit.room if visit else ""
        """Whose workspace it writes into."""
        self.ended = False
        self._steps = steps
        self._shown: Properties = {}
        self._readers: list[_Reader] = []
        self._news = threading.Condition()

    @property
    def whose(self) -> str:
        """Who asked: a user, on whichever browser, or a visitor."""
        return self.room or self.visitor

    def begin(self, when_ended: Callable[[LiveRun], None]) -> None:
        """Start it, in the context of whoever asks: who that is, some of what it calls wants to know."""
        work = partial(copy_context().run, self._run, when_ended)
        threading.Thread(target=work, name=f"run {self.panel}", daemon=True).start()

    def follow(self) -> Iterator[Changes]:
        """What it has shown so far as one update, then every further one until it ends. The reader may go away at any
        time, and others may read beside it.
        """
        reader = _Reader()
        with self._news:
            if self._shown:
                reader.take(_updates(self._shown))
            self._readers.append(reader)
        try:
            while True:
                with self._news:
                    self._news.wait_for(lambda: reader.waiting or self.ended)
                    if not reader.waiting:
                        return
                    changes = reader.waiting.popleft()
                yield changes
        finally:
            with self._news:
                self._readers.remove(reader)

    def _run(self, when_ended: Callable[[LiveRun], None]) -> None:
        try:
            for changes in self._steps:
                self._show(changes)
        except Exception:  # what a handler raises is a card by now
            _log.exception("A run of %s failed", self.panel or "the frame")
        finally:
            when_ended(self)
            with self._news:
                self.ended = True
                self._news.notify_all()

    def _show(self, changes: Changes) -> None:
        with self._news:
            join_all(self._shown, changed(changes))
            for reader in self._readers:
                reader.take(changes)
            self._news.notify_all()


class _Reader:
    """Who follows a run: what waits for them."""

    def __init__(self) -> None:
        self.waiting: deque[Changes] = deque()

    def take(self, changes: Changes) -> None:
        self.waiting.append(changes)
        if len(self.waiting) > MOST_WAITING:
            whole: Properties = {}
            for each in self.waiting:
                join_all(whole, changed(each))
            self.waiting = deque([_updates(whole)])


class LiveRuns:
    """All that runs now, by the visitor who asked and the panel that shows it."""

    def __init__(self) -> None:
        self._runs: list[LiveRun] = []
        self._lock = threading.Lock()  # pages begin and look on threads of their own

    def begin(self, steps: Iterator[Changes], **asked: Any) -> LiveRun:
        """Start a run; see `LiveRun`.

        Raises:
            SteeringError: Too many go on and wait already.
        """
        run = LiveRun(steps, **asked)
        with self._lock:
            own = sum(each.whose == run.whose for each in self._runs)
            limits = limits_at_hand()
            most = limits.queue if limits else MOST_OF_ONE
            if len(self._runs) >= MOST or own >= most:
                raise SteeringError(
                    f"{own} runs of yours go on and wait already, and {len(self._runs)} of all visitors.",
                    f"at most {most} of one visitor and {MOST} of all.",
                    "Wait until one has ended, or stop one on its page.",
                )
            self._runs.append(run)
        run.begin(self._forget)
        return run

    def of(self, visitor: str, panel: str) -> LiveRun | None:
        """The run that a visitor's panel began last, if it goes on."""
        with self._lock:
            own = [run for run in self._runs if visitor and (run.visitor, run.panel) == (visitor, panel)]
        return own[-1] if own else None

    def with_id(self, id: str) -> LiveRun | None:
        """The run that has an id in the list of runs of whoever is at hand, if it goes on here."""
        visit = visit_at_hand()
        room = visit.room if visit else ""
        with self._lock:
            runs = [run for run in self._runs if run.room == room]
        return next((run for run in runs if id and run.of()[1] == id), None)

    def goes_on(self, room: str) -> bool:
        """Whether something goes on in somebody's workspace."""
        with self._lock:
            return any(run.room == room for run in self._runs)

    def panel_of(self, visitor: str, job: Job[Any]) -> str:
        """Id of the visitor's panel that shows a job; "" where it is nobody's panel, or another visitor's."""
        with self._lock:
            runs = list(self._runs)
        return next((run.panel for run in runs if visitor and run.visitor == visitor and run.of()[0] is job), "")

    def stop(self) -> None:
        """Stop all that goes on and waits."""
        with self._lock:
            runs = list(self._runs)
        for job in (run.of()[0] for run in runs):
            if job is not None:
                job.stop()

    def _forget(self, run: LiveRun) -> None:
        with self._lock:
            self._runs.remove(run)


def _updates(known: Properties) -> Changes:
    """As a handler of Gradio gives them."""
    return {part: {**properties, "__type__": "update"} for part, properties in known.items()}
