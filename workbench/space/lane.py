"""The lane of the page's process where the GPU is another process's: each job goes there and back through one door."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, TypeVar

import gradio as gr

from steering.confines import current
from steering.errors import SteeringError
from steering.lane import Job, Lane, Progress, note, whole
from steering.model.host import Host
from steering.model.learnt import facts, learn
from steering.store import Kept, Store
from workbench.space.child import Addition, Ended, Item
from workbench.space.crossing import Crossing


T = TypeVar("T")
Door = Callable[[bytes, int], Iterator[bytes]]
"""`door(data, seconds)`: does a job elsewhere (`workbench.space.child.work_of`), which has the GPU for so long."""
_MOST_KEPT = 4_000_000
"""Characters of finished parts that go with a job."""


class DoorLane(Lane):
    """Jobs take turns here, and each is done on the other side of the door; it does not give way meanwhile."""

    near = False

    def __init__(self, door: Door, seconds: Callable[[Host], int]) -> None:
        """A lane on which a model is to stand (`host`).

        Args:
            door: Given each job.
            seconds: How long the job that is asked for needs the GPU.
        """
        super().__init__("door of the GPU")
        self.host: Host
        """The model; set before the first job."""
        self._door, self._seconds = door, seconds

    def submit(self, work: Callable[[Job[T]], T], *, title: str, joins: object = None) -> Job[T]:
        """Queue `work` for the other side.

        Raises:
            SteeringError: It holds something that cannot go there, or would take longer than a job may.
            RuntimeError: The lane was closed.
        """
        crossing, seconds = Crossing(self.host), self._seconds(self.host)
        sent = crossing.pack(work)
        return super().submit(lambda job: self._through(job, sent, crossing, seconds), title=title, joins=joins)

    def _through(self, job: Job[Any], sent: bytes, crossing: Crossing, seconds: int) -> Any:
        known = [_known(store) for store in crossing.stores]  # now, with what jobs before this one have added
        data = crossing.pack((sent, job.title, known, list(facts(self.host)), current()))
        with whole(), closing(self._told(data, seconds)) as parts:
            for part in parts:
                events = crossing.unpack(part)
                for event in sorted(events, key=lambda each: isinstance(each, Progress)):  # which may end it
                    if isinstance(event, Ended):
                        return self._ended(event, crossing)
                    _take(job, event, crossing)
                job.check()
        raise _cut_short()

    def _told(self, data: bytes, seconds: int) -> Generator[bytes, None, None]:
        try:
            yield from self._door(data, seconds)
        except gr.Error as error:  # no quota, no GPU free, or a process that is gone
            title = getattr(error, "title", "") or "GPU"
            raise SteeringError(
                f"{title}: {error.message}".strip(),
                remedy="Try again later, or ask for less at once. Signed in to Hugging Face, one has more time a day.",
            ) from error

    def _ended(self, end: Ended, crossing: Crossing) -> Any:
        for each in end.notes:
            note(each)
        learn(self.host, (crossing.unpack(fact) for fact in end.learnt))
        if end.error is not None:
            raise end.error
        return crossing.unpack(end.result or b"")


def _known(store: Kept) -> dict[str, dict[str, Any]]:
    return store.newest(_MOST_KEPT) if isinstance(store, Store) else dict(store)


def _take(job: Job[Any], event: Any, crossing: Crossing) -> None:
    """Do here what the job did there."""
    if isinstance(event, Progress):
        job.report(event.done, event.total, event.message, share=event.share)
    elif isinstance(event, Item):
        job.emit(crossing.unpack(event.content))
    elif isinstance(event, Addition):
        crossing.stores[event.store][event.key] = event.value


def _cut_short() -> SteeringError:
    return SteeringError(
        "The process that has the GPU ended before the work did.",
        remedy="Run again; what was finished is kept. Ask for less at once where it happens again.",
    )
