"""Keeping the latest runs: what would go, and what somebody marked, which stays."""

from __future__ import annotations

from dataclasses import dataclass

from steering.errors import SteeringError
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.runs.runs import Runs


@dataclass(frozen=True)
class Offer:
    """Older runs that may go."""

    runs: tuple[Run, ...]
    """The latest of them first."""
    spared: int
    """How many older ones stay: with a star or a note, or since they go on."""

    @property
    def size(self) -> int:
        """Bytes that would be free."""
        return sum(run.size for run in self.runs)


def beyond_latest(runs: Runs, query: Query, latest: int) -> Offer:
    """What would go if the latest runs of those that are looked for were kept.

    Args:
        runs: Of a workspace.
        query: Which of them.
        latest: How many.

    Raises:
        SteeringError: That is no number from 0.
    """
    if latest < 0:
        raise SteeringError(f"The latest {latest} runs.", "a number from 0.", "Correct it.")
    older = runs.find(query, offset=latest)
    going = tuple(run for run in older if run.over and not run.favourite and not run.note.strip())
    return Offer(going, len(older) - len(going))
