"""Whether a probe's direction does anything: added and ablated, beside random directions of equal norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steering.lane import Job
from steering.model.host import Host
from steering.store import Kept
from steering.studies.probing.settings import ProbeSettings
from steering.studies.probing.size import caused
from steering.studies.tradeoff import Comparison, Picture, picture_of
from steering.vectors.vector import SteeringVector


class Cause:
    """A small trade-off of one direction, on the measure that the Trade-off panel charts."""

    def __init__(self, host: Host, settings: ProbeSettings, vector: SteeringVector, kept: Kept) -> None:
        """Take a direction.

        Raises:
            SteeringError: Strengths that are not in order.
        """
        self.vector = vector
        self.found = Comparison(host, caused(settings, vector.name), kept, {vector.name: vector})

    def run(self, job: Job[Any]) -> Iterator[None]:
        """Measure it; yields whenever there is more."""
        yield from self.found.run(job)

    @property
    def picture(self) -> Picture:
        """What was measured so far."""
        return picture_of(self.found)
