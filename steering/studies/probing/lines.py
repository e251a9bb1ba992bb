"""The numbers of one method at one block, on some of the pairs."""

from __future__ import annotations

from dataclasses import dataclass

from steering.passes.schedule import Place
from steering.statistics import Estimate


@dataclass(frozen=True)
class Polarity:
    """PC and CI of a probe, with what must stand beside them."""

    pc: Estimate
    """Mean of PC over pairs; 0 is ideal, and what a probe that looks at nothing has."""
    pc_size: float
    """Median of |PC|."""
    pc_positive: float
    """Share of pairs with PC > 0."""
    ci: Estimate
    """Mean of CI over pairs; 0 is ideal, 0.32 is a probe that looks at nothing, 0.5 independent verdicts."""
    same_verdict: float
    """Share of pairs whose halves get the same verdict."""
    loss: float
    """Held-out CCS loss of these pairs; 0.2 is a probe that looks at nothing."""
    train_loss: float
    """Of all pairs, whichever part this is; so is the silhouette."""
    silhouette: float
    """Cosine silhouette of x(Yes) - x(No) under the verdicts."""


@dataclass(frozen=True)
class Line:
    """A method at a block, on some of the pairs."""

    place: Place | None
    """None where it reads no states."""
    method: str
    part: str
    """ "all", a formulation, or "worded" and "unworded": with a negation word and without."""
    n: int
    """Pairs."""
    accuracy: Estimate
    """Share of statements called right, sign and threshold from training pairs; interval over pairs."""
    esa: Estimate
    """The larger of that share and its opposite, never under 0.5; by the published definition."""
    auroc: Estimate
    polarity: Polarity | None = None
