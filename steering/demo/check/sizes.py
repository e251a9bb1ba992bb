"""How much of everything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many prompts and tries a check takes."""

    requests: int = 200
    """Harmful, and as many harmless, requests a score."""
    validation: int = 32
    """Requests a side on which directions and strengths are chosen."""
    train: int = 128
    """Requests a side that directions are fitted on."""
    random_seeds: int = 5
    """Random directions."""
    choices: int = 200
    """Questions answered by a letter."""
    sums: int = 100
    """Small sums."""
    open_prompts: int = 40
    """Requests a concept that its vector is tried on."""
    facts: int = 50
    """Questions that check what else a vector does."""
    strengths: int = 8
    """Strengths of a concept's vector, of `steering.demo.check.concepts.STRENGTHS`, at each of up to three blocks."""

    dictionary_tokens: int = 30_000
    """Held-out states that dictionaries are measured on; with 0 their cards are believed."""

    @property
    def finding(self) -> dict[str, Any]:
        """Settings of `find_direction`."""
        return {"n_train": self.train, "n_validation": self.validation}


FULL = Sizes()
QUICK = Sizes(
    requests=40,
    validation=16,
    train=64,
    random_seeds=1,
    choices=40,
    sums=40,
    open_prompts=20,
    facts=30,
    strengths=4,
    dictionary_tokens=0,
)
"""A fixed subset: the first prompts of each full list."""
