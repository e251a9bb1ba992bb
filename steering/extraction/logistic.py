"""Logistic regression."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from steering.extraction.fitter import StoredFitter, register, signed, unit


@register("logistic", "Logistic regression", min_train=4)
class Logistic(StoredFitter):
    """Weights of an L2-regularised logistic regression of the side on the states, as a unit vector.

    States are centred on the two sides' middle and divided by their root mean square over all entries, so that the
    penalty (C = 1 in scikit-learn) means the same at every block. The direction that reads a concept best need not be
    the one that steers it best.
    """

    def directions(self) -> Tensor:
        return unit(torch.stack([self._weights(block) for block in range(self.n_blocks)]))

    def _weights(self, block: int) -> Tensor:
        from sklearn.linear_model import LogisticRegression  # takes seconds to import

        positive, negative = self.block_states(block)
        difference = positive.mean(dim=0) - negative.mean(dim=0)
        states = torch.cat([positive, negative]) - (positive.mean(dim=0) + negative.mean(dim=0)) / 2
        scale = states.square().mean().sqrt()
        if not scale > 0:
            return torch.zeros_like(difference)
        sides = np.repeat([1, 0], [len(positive), len(negative)])
        fitted = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit((states / scale).numpy(), sides)
        return signed(torch.from_numpy(fitted.coef_[0]), difference)
