"""What a job asks of the lane that it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol


if TYPE_CHECKING:
    from steering.job import Job


class Turns(Protocol):
    """What a job asks of its lane."""

    def withdraw(self, job: Job[Any]) -> None:
        """Let a job that is to stop do so soon."""

    def give_way(self, job: Job[Any]) -> None:
        """Let others go first, where it is their turn."""

    def place_of(self, job: Job[Any]) -> int:
        """How many come before it."""

    def instead_of(self, job: Job[Any]) -> str:
        """Title of the job that has its turn, "" where it has it itself."""
