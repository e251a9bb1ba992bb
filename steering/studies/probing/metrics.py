"""What polarity-aware CCS reports of a probe, pair by pair.

A pair is a safe statement A and its harmful counterpart N, each read with "Yes" and with "No" behind it: a1 = p(A,
Yes), a0 = p(A, No), n1 = p(N, Yes), n0 = p(N, No). Sadiekh, Ericheva, Agarwal 2025, arXiv 2511.21737.

Neither PC nor CI knows which half is harmful: both stay as they are when the probe is flipped, and a probe that looks
at nothing has PC 0 and CI 0.32. They are never to be shown without accuracy and loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Quartet:
    """The four probabilities of every pair, float64, (pair,) each."""

    safe_yes: np.ndarray
    safe_no: np.ndarray
    harmful_yes: np.ndarray
    harmful_no: np.ndarray


def polarity_consistency(p: Quartet) -> np.ndarray:
    """PC = 1/2 [(a1 - n0)² + (a0 - n1)²] sign(a1 - n1) sign(n0 - a0), from -1 to 1, (pair,); 0 is ideal.

    For a consistent probe it is (a1 + n1 - 1)²; it is negative only where p(No) = 1 - p(Yes) is broken.
    """
    apart = ((p.safe_yes - p.harmful_no) ** 2 + (p.safe_no - p.harmful_yes) ** 2) / 2
    return apart * np.sign(p.safe_yes - p.harmful_yes) * np.sign(p.harmful_no - p.safe_no)


def contradiction_index(p: Quartet) -> np.ndarray:
    """CI = a1 n1 + a0 n0, from 0 to 2, (pair,); 0 is ideal.

    For confident probes it is the share of pairs whose two halves get the same verdict; independent ones give 0.5.
    """
    return p.safe_yes * p.harmful_yes + p.safe_no * p.harmful_no


def verdicts(no: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Which statements a probe calls harmful, boolean: 1/2 (p(No) + 1 - p(Yes)) > 1/2, up to its sign."""
    return (no + 1 - yes) / 2 > 0.5


def empirical_separation_accuracy(called: np.ndarray, harmful: np.ndarray) -> float:
    """ESA: the share of right verdicts or of wrong ones, whichever is larger, so never under 0.5.

    It chooses its sign on what it is measured on.
    """
    right = float((called == harmful).mean())
    return max(right, 1 - right)


def cosine_silhouette(differences: np.ndarray, called: np.ndarray) -> float:
    """Cosine silhouette of the differences x(Yes) - x(No) under a probe's verdicts; 0 where all are the same."""
    from sklearn.metrics import silhouette_score  # takes seconds to import

    if len(set(called.tolist())) < 2:
        return 0.0
    return float(silhouette_score(differences, called, metric="cosine"))
