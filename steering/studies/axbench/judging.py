"""Who marks replies: what every judge is, and which one the settings mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from steering.lane import Job
from steering.studies.axbench.concepts import Concept, Instruction
from steering.studies.axbench.marks import Marks


@dataclass(frozen=True)
class Said:
    """A reply to an instruction."""

    instruction: Instruction
    text: str
    ids: tuple[int, ...]
    cut: bool
    """Whether it was stopped by the token budget."""


class Judge(Protocol):
    """Marks replies. Called on the model thread."""

    @property
    def title(self) -> str:
        """Who it is, in a few words."""

    def marks(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[Marks]:
        """What each reply gets."""
