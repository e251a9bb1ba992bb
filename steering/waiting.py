"""Waiting for a job: meanwhile a bar in a notebook or a terminal says how far it is, and an interrupt stops it."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from steering.numbers import about_seconds


if TYPE_CHECKING:
    from steering.job import Job

EVERY = 0.25
"""Seconds between two looks at a job."""
_AFTER = 1.0
"""Seconds that a job takes at least before anything is shown of it."""
_GUESS_AFTER = 2.0
"""Seconds for which a job must have run before the time that is left is told: before, it is anybody's guess."""
PATIENCE = 60.0
"""Seconds that a job which was interrupted gets to end: one step of the model at most."""
_WIDE = 24
_asked: ContextVar[bool | None] = ContextVar("progress", default=None)


class progress:
    """Show how far jobs are that are waited for: `with progress(): result = study.start(host, settings).result()`.

    In Jupyter that is so without asking, and `with progress(False):` shows nothing. Whatever waits shows it: `extract`,
    `generate`, `Host.load`, `Host.run`, `Job.result`. Interrupting a cell, or Ctrl-C, stops the job; see
    `Interrupted`.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown, self._before = shown, list[Token[bool | None]]()

    def __enter__(self) -> progress:
        self._before.append(_asked.set(self._shown))
        return self

    def __exit__(self, *error: object) -> None:
        _asked.reset(self._before.pop())


@dataclass(frozen=True)
class Progress:
    """How far a job has come."""

    done: int
    """Units finished."""
    total: int | None
    """Units in all; None while unknown."""
    message: str
    """What the units are, such as "prompts read"."""
    share: float | None = None
    """Share of the work that is done, from 0 to 1, where that is not `done / total`: some units were found finished, or
    take longer than others."""

    @property
    def fraction(self) -> float | None:
        """Share of the work that is done; None while unknown."""
        if self.share is not None:
            return min(1.0, max(0.0, self.share))
        return self.done / self.total if self.total else None


class Interrupted(KeyboardInterrupt):
    """Raised where somebody waited for a job and was interrupted (Stop in a notebook, Ctrl-C): the job was stopped, so
    that nothing of it is left on the lane, and the model is as it was.
    """

    def __init__(self, said: str, job: Job[Any]) -> None:
        super().__init__(said)
        self.job = job
        """The job, with its notes, and with what it had emitted among its `events`."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it: a line."""
        return [f"Interrupted: {self}"]


def wait_for(job: Job[Any]) -> None:
    """Wait until a job has ended, showing how far it is where that is asked for.

    Raises:
        Interrupted: Whoever waited was interrupted; the job has stopped.
    """
    bar = Bar(job)
    try:
        while not job.ended_within(EVERY):
            bar.look()
    except KeyboardInterrupt:
        raise interrupted(job, bar) from None
    finally:
        bar.end()


def interrupted(job: Job[Any], bar: Bar | None = None) -> Interrupted:
    """Stop a job, wait until it has, and say so; whoever interrupts again waits no longer."""
    job.stop()
    if not job.finished and cell_number() is None and sys.stderr.isatty():
        print("\nStopping …", file=sys.stderr)
    end = time.monotonic() + PATIENCE
    with suppress(KeyboardInterrupt):
        while not job.ended_within(EVERY) and time.monotonic() < end:
            if bar is not None:
                bar.look()
    said = how_it_ended(job) if job.finished else "is asked to stop, and does so at its next step"
    return Interrupted(f"{job.title}: {said}.", job)


def how_far(job: Job[Any]) -> str:
    """What is said of a job that has not ended: its place in the queue, or what is done and about how long it takes."""
    if job.state == "queued":
        ahead = job.place
        return f"{ahead} job{'s' * (ahead != 1)} ahead"
    done, left = job.progress, job.remaining
    known = bool(done.total)
    parts = [f"{done.done} / {done.total} {done.message}" if known else done.message]
    if job.stopping:
        parts = ["stopping …"]
    elif instead := job.instead:
        parts.append(f"gives way to “{instead}”")
    elif left is not None and left >= 1 and job.used >= _GUESS_AFTER:
        parts.append(f"about {about_seconds(left)} left")
    return " · ".join(part.strip() for part in parts if part.strip())


def how_it_ended(job: Job[Any]) -> str:
    """The line that a job leaves behind."""
    words = {"done": f"done in {job.elapsed:.1f} s", "failed": "failed"}
    at = f" at {job.progress.done} / {job.progress.total} {job.progress.message}" if job.progress.total else ""
    return words.get(job.state, f"stopped{at}".rstrip())


class Bar:
    """What is shown while somebody waits for a job; nothing where nobody asked and no notebook is there."""

    def __init__(self, job: Job[Any]) -> None:
        self._job, self._begun = job, time.monotonic()
        self._notebook = cell_number() is not None
        asked = _asked.get()
        on_main = threading.current_thread() is threading.main_thread()
        self._shown = (self._notebook and on_main) if asked is None else asked
        self._last = ""

    def look(self) -> None:
        """Show how far the job is now."""
        if self._shown and time.monotonic() - self._begun >= _AFTER:
            self._show(ended=False)

    def end(self) -> None:
        """Leave one line behind, where anything was shown."""
        if self._last:
            self._show(ended=True)

    def _show(self, *, ended: bool) -> None:
        line = _Line(self._job, ended)
        text = str(line)
        if text == self._last:
            return
        self._last = text
        if self._notebook:
            with suppress(Exception):  # a bar is no reason to fail
                _display(line)
        elif sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}" + "\n" * ended)
            sys.stderr.flush()
        elif ended:
            print(text, file=sys.stderr)


class _Line:
    """A job at one moment, as markup and as text."""

    def __init__(self, job: Job[Any], ended: bool) -> None:
        self._title, self._share = job.title, None if ended else job.progress.fraction
        self._said, self._ended = how_it_ended(job) if ended else how_far(job), ended

    def _repr_html_(self) -> str:
        value = "" if self._share is None else f' value="{self._share:.4f}"'
        bar = "" if self._ended else f'<progress max="1"{value} style="width:14em;accent-color:#0072b2"></progress> '
        return f'<div role="status" style="font-size:13px"><b>{escape(self._title)}</b> {bar}{escape(self._said)}</div>'

    def __repr__(self) -> str:
        full = round(_WIDE * (self._share or 0))
        bar = "" if self._ended or self._share is None else f"[{'█' * full}{'░' * (_WIDE - full)}] "
        return f"{self._title}: {bar}{self._said}"


_cell: tuple[Any, Any] = (None, None)
"""Which cell shows a bar, by its number, and what changes it."""


def _display(line: _Line) -> None:
    """Show a line in the cell that runs; the jobs of one cell share their line."""
    global _cell
    display = import_module("IPython.display").display  # there, since a kernel runs this
    number = cell_number()
    if _cell[0] == number and _cell[1] is not None:
        _cell[1].update(line)
    else:
        _cell = number, display(line, display_id=True)


def cell_number() -> int | None:
    """The number of the cell that runs, or ran last; None where no Jupyter kernel runs this, which shows what is
    displayed and changes it in place.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return int(shell.execution_count) if shell is not None and hasattr(shell, "kernel") else None
