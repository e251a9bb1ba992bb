"""What transcoders and crosscoders share, of which sae-lens trains neither: the largest activations of a batch, a loss
that wakes silent features, and the optimiser.

BatchTopK: Bussmann et al. 2024, arXiv 2412.06410; the auxiliary loss: Gao et al. 2024, arXiv 2406.04093.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steering.studies.dictionaries.course import Course


_MEMORY = 0.98
"""The threshold is a running mean over about 50 batches, because the smallest activation of one batch is noisy."""


class BatchTopK:
    """Optimiser, rates, silence and threshold of a dictionary that keeps the largest activations of a batch."""

    def __init__(self, weights: Sequence[Tensor], course: Course) -> None:
        from sae_lens.saes.batchtopk_sae import BatchTopK as Largest

        self._weights = [weight.requires_grad_(True) for weight in weights]
        self._largest = Largest(course.active)
        self._course = course
        self._optimiser = torch.optim.Adam(self._weights, lr=course.rate)
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(self._optimiser, course.share)
        self._silent_for = torch.zeros(course.features, device=self._weights[0].device)
        self.threshold = 0.0
        """The smallest value that is kept."""
        self._begun = False

    def kept(self, values: Tensor) -> Tensor:
        """The largest of the values (tokens, features) of a batch; all others are 0."""
        return self._largest(values)

    def revival(self, values: Tensor, decoder: Tensor, error: Tensor) -> Tensor:
        """Squared error that is left where silent features alone explain `error`; weaker while there are few.

        Args:
            values: Before the largest are kept, (tokens, features).
            decoder: What a feature adds, (features, width).
            error: What the others leave over, (tokens, width); nothing is learnt from it.
        """
        from sae_lens.saes.topk_sae import calculate_topk_aux_acts

        silent = self._silent_for > self._course.silent_after
        n_silent, wanted = int(silent.sum()), max(1, error.shape[1] // 2)
        if n_silent == 0:
            return error.new_zeros(())
        chosen = calculate_topk_aux_acts(min(wanted, n_silent), values, silent)
        left = (chosen @ decoder - error.detach()).pow(2).sum(dim=-1).mean()
        return min(n_silent / wanted, 1.0) * left

    @torch.no_grad()
    def count(self, kept: Tensor) -> None:
        """Take in which features a batch used, before its `revival`."""
        self._silent_for = torch.where((kept > 0).any(dim=0), 0.0, self._silent_for + 1)

    def learn(self, loss: Tensor, kept: Tensor) -> None:
        """A step down the loss.

        Args:
            loss: Of the batch.
            kept: What `kept` gave of it.
        """
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._scheduler.step()
        active = kept.detach()[kept.detach() > 0]
        if len(active):
            smallest = float(active.min())
            self.threshold = _MEMORY * self.threshold + (1 - _MEMORY) * smallest if self._begun else smallest
            self._begun = True

    def state(self) -> dict[str, Any]:
        """All that changes from step to step."""
        return {
            "weights": [weight.detach().cpu() for weight in self._weights],
            "optimiser": self._optimiser.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "silent_for": self._silent_for,
            "threshold": self.threshold,
            "begun": self._begun,
        }

    @torch.no_grad()
    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for weight, before in zip(self._weights, state["weights"], strict=True):
            weight.copy_(before)
        self._optimiser.load_state_dict(state["optimiser"])
        self._scheduler.load_state_dict(state["scheduler"])
        self._silent_for = state["silent_for"].to(self._silent_for.device)
        self.threshold, self._begun = state["threshold"], state["begun"]
