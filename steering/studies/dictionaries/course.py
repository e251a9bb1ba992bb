"""What every training has in common: how long it is and how states are scaled."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from steering.training.order import share_of_rate


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a dictionary is trained."""

    features: int
    """Size of the dictionary."""
    active: int
    """Features that a token may use: at most so many (TopK), or so many on average."""
    steps: int
    """Optimiser steps."""
    batch: int
    """Tokens a step."""
    rate: float
    """Peak learning rate: it rises over the first twentieth of the steps and falls to nothing over the last half."""
    silent_after: int
    """Steps without firing after which a feature is trained on what the others leave over."""
    seed: int
    """Of weights and order."""

    @property
    def warm_up(self) -> int:
        """Steps until the peak rate."""
        return max(1, self.steps // 20)

    def share(self, step: int) -> float:
        """Which share of the peak rate a step has, counted from 0."""
        return share_of_rate(step, self.steps)


def scale_of(states: Tensor) -> float:
    """The factor that gives states (tokens, width) a mean norm of the root of their width."""
    return float(states.shape[-1] ** 0.5 / states.norm(dim=-1).mean())


def variance_of(states: Tensor) -> float:
    """Mean squared distance of states (tokens, width) from their mean."""
    return float(states.var(dim=0, correction=0).sum())
