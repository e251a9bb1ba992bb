"""What happens in the process that has the GPU: one job, done by a thread of its own, and told piece by piece.

The process is a fork of the page's: it has the model and all that was imported, and none of its threads. A lock that
one of them held stays locked here. So nothing of the page's own is touched: the job stands on a lane without threads,
its stores are what was sent along, and what it finds leaves as bytes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from steering.confines import confined
from steering.errors import SteeringError
from steering.inline import Inline
from steering.lane import Job, Progress, Stopped
from steering.model.host import Host
from steering.model.learnt import facts, learn
from steering.store import Carried
from workbench.space.crossing import Crossing


EVERY = 0.2
"""Seconds between two words from here; also how soon a stop is seen."""
_AGAIN = 0.7
"""Seconds between two copies of something that a job shows again and again while it fills."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A partial result."""

    content: bytes


@dataclass(frozen=True)
class Addition:
    """Something more that a store has."""

    store: int
    """Its number; see `Crossing`."""
    key: str
    value: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    result: bytes | None
    error: BaseException | None
    notes: tuple[str, ...]
    learnt: tuple[bytes, ...]
    """Facts about the model (`steering.model.learnt`)."""


class _Told(Job[Any]):
    """A job whose partial results leave as bytes, made by its own thread, so that nothing changes them meanwhile."""

    def __init__(self, lane: Inline, work: Callable[[Job[Any]], Any], title: str, crossing: Crossing) -> None:
        super().__init__(lane, self._whole(work), title)
        self._crossing = crossing
        self._last: Any = None
        self._late = False
        self._copied = 0.0

    def emit(self, item: Any) -> None:
        """Hand on a copy; of one thing that comes again at once only the last, at the latest with the end."""
        again = item is self._last
        if not again:
            self._catch_up()
        self._last, self._late = item, again and time.monotonic() - self._copied < _AGAIN
        if not self._late:
            self._hand_on()

    def keep(self, store: int, key: str, value: dict[str, Any]) -> None:
        """Say that a store has something more."""
        super().emit(Addition(store, key, value))

    def _whole(self, work: Callable[[Job[Any]], Any]) -> Callable[[Job[Any]], Any]:
        def done(job: Job[Any]) -> Any:
            try:
                return work(job)
            finally:
                self._catch_up()

        return done

    def _catch_up(self) -> None:
        if self._late:
            self._late = False
            self._hand_on()

    def _hand_on(self) -> None:
        super().emit(Item(self._crossing.pack(self._last)))
        self._copied = time.monotonic()


def work_of(host: Host, data: bytes) -> Iterator[bytes]:
    """Do a job that the page's process packed; yields lists of what it tells, as bytes, and at last how it ended.

    Closing the iterator stops the job, and waits until it has ended.

    Args:
        host: The model, as this process has it.
        data: See `workbench.space.lane`.
    """
    crossing, lane = Crossing(host), Inline()  # a lane of its own: what a thread held at the fork would never open
    host.base.lane = lane
    sent, title, stores, known, confines = crossing.unpack(data)
    learn(host, known)
    before = dict(_packed_facts(crossing))
    carried = [Carried(content) for content in stores]
    crossing.stores += carried
    with confined(confines):  # which holds for the job
        job = _Told(lane, crossing.unpack(sent), title, crossing)
    for number, store in enumerate(carried):
        store.tell = partial(job.keep, number)
    thread = threading.Thread(target=lane.do, args=(job,), name="job", daemon=True)
    thread.start()
    try:
        yield from _told_by(job, crossing)
        thread.join()
        yield _end(job, crossing, before)
    finally:
        job.stop()
        thread.join()


def _told_by(job: Job[Any], crossing: Crossing) -> Iterator[bytes]:
    told: list[Any] = []
    due = time.monotonic()
    for event in job.events(heartbeat=EVERY):
        if isinstance(event, Progress):  # of which only the last one counts
            told = [each for each in told if not isinstance(each, Progress)]
        if event is not None:
            told.append(event)
        if time.monotonic() >= due:
            yield crossing.pack(told)
            told, due = [], time.monotonic() + EVERY
    yield crossing.pack(told)


def _end(job: Job[Any], crossing: Crossing, before: Mapping[tuple[str, str], bytes]) -> bytes:
    error, result = job.error, None
    if error is None:
        try:
            result = crossing.pack(job.result())
        except SteeringError as refused:
            error = refused
    elif not isinstance(error, SteeringError | Stopped):
        _log.error("%s failed", job.title, exc_info=error)
    learnt = [data for key, data in _packed_facts(crossing) if before.get(key) != data]
    return crossing.pack([Ended(result, _sendable(error, crossing), tuple(job.notes), tuple(learnt))])


def _sendable(error: BaseException | None, crossing: Crossing) -> BaseException | None:
    """An error as the other side can have it."""
    try:
        sent: BaseException | None = crossing.unpack(crossing.pack(error))
        return sent
    except Exception:  # of another library, which takes other arguments than it keeps
        return RuntimeError(f"{type(error).__name__}: {error}")


def _packed_facts(crossing: Crossing) -> Iterator[tuple[tuple[str, str], bytes]]:
    for fact in facts(crossing.host):
        yield fact[:2], crossing.pack(fact)
