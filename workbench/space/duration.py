"""For how long a job is given the GPU: it is taken from the visitor's time, and a job that takes longer is ended."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.size import Size, Work
from workbench.page.jobs import ahead


_USUAL = 60
"""Seconds of a job of which nothing is counted."""
_START = 10
"""Seconds until the weights are on the GPU, in a process that begins with this job."""
_SPARE = 1.5
"""By how much a job may be slower than foretold."""
_STEP, _TOKEN = 0.05, 2e-4
"""Seconds of a decoding step and of a token that is read, before any was timed: of 8 billion on half an H200."""


@dataclass(frozen=True)
class Durations:
    """What jobs on a GPU are given."""

    longest: int = 120
    """Seconds at most: what somebody who is not signed in has in a day."""

    def of(self, host: Host) -> int:
        """Seconds for the job that is submitted now, from the size of the run that has just begun.

        Raises:
            SteeringError: It is likely to take longer than one may.
        """
        size = _size(host)
        if size is None:
            return min(_USUAL, self.longest)
        seconds = _START + _SPARE * sum(_seconds(work, host) for work in size.works)
        if seconds > self.longest:
            raise SteeringError(
                f"This would take about {seconds:,.0f} s of a GPU at once.",
                f"at most {self.longest} s on this Space.",
                "Ask for less: fewer items, candidates or cells, shorter replies; Quick where there is such a button.",
            )
        return math.ceil(seconds)


def _size(host: Host) -> Size | None:
    count = ahead()
    with suppress(Exception):  # what is wrong is told by whoever runs them; a third party's may raise anything
        return count(host) if count else None
    return None


def _seconds(work: Work, host: Host) -> float:
    known = work.seconds(host)
    if known is not None:
        return known
    n = work.n - work.known
    if work.kind == "readings":
        return n * work.tokens * _TOKEN
    return n * _STEP if work.kind == "steps" else math.ceil(n / work.batch) * work.tokens * _STEP
