"""From a job on the model thread to what a page shows: progress, queue place, stop, partial results and errors.

Gradio's queue is not a lock and moves a generator between threads, so a handler does no model work itself. It submits
jobs to the lane and only drains what they emit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from pydantic import BaseModel

from steering.confines import confine
from steering.errors import SteeringError
from steering.lane import Job, Lane, Progress, Stopped
from steering.model.host import Host
from steering.names import short_name
from steering.studies import STUDIES
from steering.studies.size import Size
from steering.studies.study import Result, told
from steering.waiting import how_far
from workbench.bench import Workbench
from workbench.doors.at_hand import limits_at_hand
from workbench.page.markup import error_card, job_ended, job_line, note
from workbench.runs.record import Record
from workbench.runs.run import Run
from workbench.workspace import Workspace


T = TypeVar("T")
Outputs = Mapping[Any, Any]
"""Component -> its new value; components that are left out keep theirs."""
Handler = Callable[..., Iterator[Outputs | None]]
"""`handler(call, **values)`: submits jobs, follows them and yields what changes on the page."""

EVERY = 0.2
"""Seconds between two updates of the page, at least. Each one costs the browser work in proportion to all components
of the page, and a fast model writes several tokens in that time.
"""

Count = Callable[[Host], Size | None]
"""What counts how much a run will do, without touching the model."""
_ahead: ContextVar[Count | None] = ContextVar("ahead", default=None)
_log = logging.getLogger(__name__)


def coming(count: Count | None) -> None:
    """Say how much the job will do that the handler asks for next; None where nobody counts."""
    _ahead.set(count)


def ahead() -> Count | None:
    """What counts the job that is asked for now; None where nobody does."""
    return _ahead.get()


class Call:
    """One click on a button that needs the model; passed to the handler as its first argument."""

    def __init__(self, bench: Workbench, title: str, *, visitor: str = "", panel: str = "") -> None:
        self.bench = bench
        self.title = title
        self.visitor, self.panel = visitor, panel
        self.job: Job[Any] | None = None
        self.line = ""
        """The job strip's line, as HTML."""
        self.record = Record(bench.workspace)
        """What is kept of it as a run; nothing where the handler begins none."""
        self.further: dict[Any, Any] = {}
        self.page: dict[str, Any] = {}
        """What stood in the panel's form, and which button repeats it."""

    @property
    def host(self) -> Host:
        """The loaded model.

        Raises:
            SteeringError: None could be loaded.
        """
        return self.bench.model.require()

    @property
    def workspace(self) -> Workspace:
        return self.bench.workspace

    def begins(self, kind: str, title: str, settings: BaseModel, **used: Any) -> None:
        """Say that a run begins which is to be found again: see `workbench.runs.run.about` for the arguments.

        Raises:
            SteeringError: It would do more than whoever is at hand may ask for.
        """
        limits, study = limits_at_hand(), STUDIES.get(kind)
        count = study.size if study else None
        if limits and count:
            limits.check_size(kind, count(self.host, settings))
        coming(None if count is None else lambda host: count(host, settings))
        run = Run("", kind, title, short_name(self.host.name), panel=self.panel, owner=self.visitor)
        self.record.begin(self.host, run, settings, page=self.page, **used)

    def shows(self, changes: Outputs) -> None:
        """Add to what is kept of the page what other events draw once the run has ended."""
        self.further.update(changes)

    def ends(self, result: Result) -> None:
        """Give what the run found, whole or as far as it came."""
        self.record.result = told(result, self.host, self.job.notes if self.job else ())

    def follow(self, job: Job[Any], *, every: float = EVERY, own: bool = True) -> Iterator[list[Any]]:
        """Drain a job: yields what it emitted since the last time, an empty list where only its progress moved, and
        nothing while neither did.

        Ends when the job ends, whatever its end was; ask `job.result()` afterwards.

        Args:
            job: Queued or running.
            every: Seconds between two yields.
            own: Whether the job is this call's: then Stop ends it.
        """
        self.job = job if own else None
        items: list[Any] = []
        shown = 0.0
        for event in job.events(heartbeat=every):
            if event is not None and not isinstance(event, Progress):
                items.append(event)
            if time.monotonic() - shown < every:
                continue
            line, self.line = self.line, _running(job)
            if items or line != self.line:
                yield items
                items, shown = [], time.monotonic()
        self.line = self.ended(job)
        yield items

    def finish(self, job: Job[T], *, every: float = EVERY) -> Iterator[None]:
        """Follow a job whose partial results are of no interest; use as `yield from call.finish(job)`."""
        for _ in self.follow(job, every=every):
            yield None

    def ended(self, job: Job[Any]) -> str:
        """The line that a job leaves behind; "" while it has not ended."""
        if not job.finished:
            return ""
        words = {"done": f"done in {job.elapsed:.1f} s", "failed": "failed"}
        progress = f" at {job.progress.done} / {job.progress.total}" if job.progress.total else ""
        said = words.get(job.state, f"stopped{progress}")
        return job_ended(job.title, said, job_id=job.id, model=self.bench.model.loads)

    def close(self) -> None:
        """Stop what still runs; called when the handler ends for any reason."""
        if self.job is not None and not self.job.finished:
            self.job.stop()


class Slots:
    """The keys under which a handler's surroundings are updated; components on a page, plain strings in a test."""

    def __init__(self, *, line: Any, job: Any, errors: Any) -> None:
        self.line = line
        self.job = job
        self.errors = errors


def drive(call: Call, handler: Handler, values: Mapping[str, Any], slots: Slots) -> Iterator[dict[Any, Any]]:
    """Run a handler to its end: yields its outputs with the job line, the job's id and an error card beside them.

    An error leaves every output as it is. If the reader goes away, the job is stopped.
    """
    card = ""
    try:
        yield {slots.errors: "", slots.line: "", slots.job: None}
        for outputs in _steps(call, handler, values):
            yield {**(outputs or {}), slots.line: call.line, slots.job: call.job.id if call.job else None}
    except Stopped:
        call.record.state = "stopped"
    except SteeringError as error:
        call.record.failed(error)
        card = error_card(error)
    except Exception as error:
        _log.exception("%s failed", call.title)
        call.record.failed(error)
        card = error_card(error, doing=call.title)
    finally:
        call.close()
    line = call.ended(call.job) if call.job else call.line
    card += "".join(map(note, call.job.notes)) if call.job else ""
    yield {slots.errors: card, slots.line: line, slots.job: None}


def within(bench: Workbench, steps: Iterator[dict[Any, Any]]) -> Iterator[dict[Any, Any]]:
    """The same steps within the page's confines, although Gradio takes each in a context of its own."""
    context = copy_context()
    context.run(confine, bench.confines)
    end: dict[Any, Any] = {}
    try:
        while (step := context.run(next, steps, end)) is not end:
            yield step
    finally:
        context.run(steps.close)  # type: ignore[attr-defined]


def latest(emitted: Sequence[Any], known: T) -> T:
    """The last one of what a job fills and emits again and again; `known` where it is not among what was emitted now.
    It may be a copy, of a job that another process does.
    """
    return next((each for each in reversed(emitted) if isinstance(each, type(known))), known)


def stop_job(lane: Lane, job_id: int | None) -> bool:
    """Stop the job with this id if it is still queued or running; says whether it was."""
    for job in lane.jobs():
        if job.id == job_id:
            job.stop()
            return True
    return False


def _steps(call: Call, handler: Handler, values: Mapping[str, Any]) -> Iterator[Outputs | None]:
    loading = call.bench.model.loading
    if loading is not None:  # a click is never refused for what waiting solves
        for _ in call.follow(loading, own=False):  # the model is everybody's
            yield None
    yield from handler(call, **values)


def _running(job: Job[Any]) -> str:
    queued = job.state == "queued"
    fraction = None if queued else job.progress.fraction
    return job_line(job.title, how_far(job), fraction=fraction, queued=queued, job_id=job.id)
