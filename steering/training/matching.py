"""How much an unwanted reply counts by its prompt: the underlying distribution matching of BCO.

Where wanted and unwanted replies answer different prompts, a loss can tell the prompts apart in place of the replies.
So an unwanted reply is weighed by p(wanted|x) / p(unwanted|x) of its prompt x, as a logistic regression on the prompts'
states says (Jung et al. 2024, arXiv 2404.04656).
"""

from __future__ import annotations

import torch
from torch import Tensor


_RIDGE = 1.0
_STEPS = 25
_LEAST, _MOST = 0.1, 10.0
"""Weights that no single example passes."""


def matching_weights(prompts: Tensor, wanted: Tensor) -> Tensor:
    """Weights of examples; 1 for wanted ones, and mean 1 over unwanted ones.

    Args:
        prompts: State at each prompt's last token, (example, width).
        wanted: Whether each reply is, boolean, (example,).

    Returns:
        float32, (example,).
    """
    if bool(wanted.all()) or not bool(wanted.any()):  # nothing is held against anything
        return torch.ones(len(wanted))
    odds = _log_odds(prompts.double(), wanted)
    weights = odds.exp().clamp(_LEAST, _MOST)
    weights = torch.where(wanted, 1.0, weights / weights[~wanted].mean())
    return weights.float()


def _log_odds(states: Tensor, wanted: Tensor) -> Tensor:
    """log p(wanted|x) / p(unwanted|x) with as many of both, by Newton's method with a ridge."""
    centred = (states - states.mean(dim=0)) / states.std(dim=0).clamp(min=1e-6)
    # In the space of the examples' own differences there are at most as many coordinates as examples.
    left, size, _ = torch.linalg.svd(centred / centred.shape[1] ** 0.5, full_matrices=False)
    features = torch.cat([left * size, torch.ones(len(states), 1, dtype=states.dtype)], dim=1)
    counts = torch.where(wanted, 0.5 / wanted.sum(), 0.5 / (~wanted).sum()) * len(wanted)
    ridge = torch.full((features.shape[1],), _RIDGE, dtype=states.dtype)
    ridge[-1] = 1e-6
    weights = torch.zeros(features.shape[1], dtype=states.dtype)
    for _ in range(_STEPS):
        chances = torch.sigmoid(features @ weights)
        slope = features.T @ (counts * (chances - wanted.double())) + ridge * weights
        bend = (features.T * (counts * chances * (1 - chances))) @ features + torch.diag(ridge)
        step = torch.linalg.solve(bend, slope)
        weights = weights - step
        if float(step.abs().max()) < 1e-9:
            break
    return features @ weights
