"""Likelihood of the chosen reply (supervised fine-tuning)."""

from __future__ import annotations

from torch import Tensor

from steering.training.losses.loss import Loss, Settings, Views


def sft(views: Views, settings: Settings) -> Tensor:
    """-(1/|y|) Σ_t log π(y_t | x, y_<t): the mean negative log-likelihood of the chosen reply's tokens, (row,).

    Maximum likelihood, as in supervised fine-tuning (Ouyang et al. 2022, arXiv 2203.02155, step 1).
    """
    return -views.plus.chosen.means


SFT = Loss("Likelihood (SFT)", "Ouyang et al. 2022, arXiv 2203.02155", sft, kind="wanted")
