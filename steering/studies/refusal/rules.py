"""Scores of a candidate, what drops one, and which is chosen.

Rules are those of Arditi et al. 2024 (arXiv 2406.11717, section 2.3); COSMIC is Siu et al. 2025 (arXiv 2506.00085).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from steering.errors import SteeringError
from steering.studies.refusal.candidates import Candidate


By = Literal["bypass", "cosmic"]
BYS: dict[By, str] = {
    "bypass": "lowest bypass: refusal log-odds on target requests with the direction ablated",
    "cosmic": "highest COSMIC: states under the edit like the other side's, no refusal tokens needed",
}


@dataclass(frozen=True)
class Rules:
    """What drops a candidate."""

    min_induce: float = 0.0
    """A direction that does not induce refusal when it is added is dropped."""
    max_kl: float = 0.1
    """Nats; one whose ablation changes control requests more is dropped."""
    max_depth: float = 0.8
    """Blocks from int(this x number of blocks) on are dropped: too near to the words."""


@dataclass(frozen=True)
class Score:
    """One candidate's scores; None where it has not been measured."""

    candidate: Candidate
    token: str
    bypass: float | None = None
    """Mean refusal log-odds on target validation requests with u ablated everywhere; low is good."""
    induce: float | None = None
    """Mean refusal log-odds on control validation requests with +1 r added at the candidate's block; high is good."""
    kl: float | None = None
    """Mean KL(base || ablated) of the first reply token on control validation requests, nats."""
    cosmic: float | None = None
    """Cosine of target states under ablation with control states, plus that of control states under addition with
    target states; from -2 to 2, high is good.
    """
    flat: bool = False
    """Whether the two sides do not differ here, so that there is no direction."""

    @property
    def measured(self) -> bool:
        """Whether every score is there that can be; without refusal tokens bypass and induce cannot."""
        return self.flat or None not in (self.kl, self.cosmic)

    def rank(self, by: By) -> float:
        """What the choice is made by, lowest first; infinite where it is not known or not finite."""
        value = self.bypass if by == "bypass" else self.cosmic
        if value is None or not math.isfinite(value):
            return math.inf
        return value if by == "bypass" else -value

    def reasons(self, rules: Rules, blocks: int, by: By = "bypass") -> tuple[str, ...]:
        """Why it is dropped; nothing where it may be chosen or is not measured yet.

        Args:
            rules: What drops a candidate.
            blocks: Blocks of the model.
            by: Inducing refusal is asked of a choice by bypass only: COSMIC knows no refusal tokens.
        """
        if self.flat:
            return ("no difference between the sides",)
        found, last = [], int(rules.max_depth * blocks)
        if self.candidate.block >= last:
            found.append(f"late: block {self.candidate.block} of {blocks}")
        known = [each for each in (self.bypass, self.induce, self.kl, self.cosmic) if each is not None]
        if not all(map(math.isfinite, known)):
            found.append("not a finite number")
            return tuple(found)
        if by == "bypass" and self.induce is not None and self.induce < rules.min_induce:
            found.append(f"induces no refusal: {self.induce:.2g} under {rules.min_induce:g}")
        if self.kl is not None and self.kl > rules.max_kl:
            found.append(f"changes harmless replies: KL {self.kl:.2g} over {rules.max_kl:g}")
        return tuple(found)


@dataclass(frozen=True)
class Choice:
    """The candidate that was chosen."""

    score: Score
    passes: bool
    """False where none passes the rules, and this is the one that breaks fewest of them."""
    n_passing: int
    n_candidates: int


def choose(scores: Sequence[Score], rules: Rules, blocks: int, by: By = "bypass") -> Choice:
    """The best of those that pass every rule; where none does, the best of those that break fewest.

    Raises:
        SteeringError: No candidate has any direction, or an unknown `by`.
    """
    if by not in get_args(By):
        raise SteeringError(f"A choice by '{by}' was asked for.", f"one of {', '.join(get_args(By))}.")

    def key(score: Score) -> tuple[int, float]:
        # What was never scored may break more rules than are known.
        return len(score.reasons(rules, blocks, by)) + (score.rank(by) == math.inf), score.rank(by)

    directed = [score for score in scores if not score.flat]
    if not directed:
        raise SteeringError(
            "The mean states of both kinds of requests are the same at every token and block.",
            "two kinds of requests that the model tells apart.",
            "Check that the two lists are not the same texts.",
        )
    best = min(directed, key=key)
    passing = sum(score.measured and not score.reasons(rules, blocks, by) for score in directed)
    return Choice(best, not best.reasons(rules, blocks, by), passing, len(scores))
