"""Random features of equal activity: what a chosen set is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.numbers import counted


NEAREST = 10
"""Features nearest in activity among which the one that stands for a chosen feature is drawn."""
RULE = (
    f"each chosen feature is stood for by one of the {NEAREST} others that are nearest to it in activity, which is the "
    "mean length that a feature adds to the state of a token of the target prompts"
)


@dataclass(frozen=True)
class Draw:
    """One random set."""

    number: int
    features: tuple[int, ...]
    """In the order of the chosen features that they stand for."""
    ratio: float
    """Activity of the set over that of the chosen one; 1 is equal."""


def draws(activity: Tensor, chosen: Sequence[int], n: int, *, seed: int) -> list[Draw]:
    """Random sets of features that are as active as some chosen ones.

    Args:
        activity: Of every feature, not negative, (feature,).
        chosen: Which are not to be drawn.
        n: How many sets. Sets may share features; a set has each once.
        seed: Of the draws.

    Raises:
        SteeringError: Fewer other features are ever active than are chosen.
    """
    known = activity.double().numpy()
    others = np.array([feature for feature in np.flatnonzero(known > 0) if feature not in set(chosen)])
    if len(others) < len(chosen):
        raise SteeringError(
            f"{counted(len(chosen), 'feature')} were chosen, and {counted(len(others), 'other')} are ever active on "
            "these prompts.",
            "at least as many others, so that random sets can be drawn.",
            "Choose fewer features, read more prompts, or take no random sets (random_sets=0).",
        )
    rng = np.random.default_rng(seed)
    return [_draw(known, others, list(chosen), number, rng) for number in range(n)]


def _draw(known: np.ndarray, others: np.ndarray, chosen: list[int], number: int, rng: np.random.Generator) -> Draw:
    left, found = list(others), dict[int, int]()
    # The most active ones choose first: there are the fewest like them.
    for feature in sorted(chosen, key=lambda each: -known[each]):
        apart = np.abs(np.log(known[left]) - np.log(max(known[feature], 1e-12)))
        taken = int(rng.choice(np.argsort(apart, kind="stable")[:NEAREST]))
        found[feature] = int(left.pop(taken))
    drawn = tuple(found[feature] for feature in chosen)
    whole = known[chosen].sum()
    return Draw(number, drawn, float(known[list(drawn)].sum() / whole) if whole else float("nan"))


def activity_of(features: Tensor, lengths: Tensor, tokens: int, n_features: int) -> Tensor:
    """Mean length that each feature adds to a token, (feature,).

    Args:
        features: Of every activation, (entry,).
        lengths: And its length, (entry,).
        tokens: How many were read.
        n_features: Of the dictionary.
    """
    total = torch.zeros(n_features, dtype=torch.float64).index_add_(0, features, lengths.double())
    return total / max(1, tokens)
