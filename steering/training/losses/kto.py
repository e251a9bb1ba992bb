"""Kahneman-Tversky optimisation."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.training.losses.loss import Loss, Settings, Views


def kto(views: Views, settings: Settings) -> Tensor:
    """λ_y - v with v = λ_D σ(β (r - z₀)) for a wanted reply and λ_U σ(β (z₀ - r)) for an unwanted one, (row,).

    Ethayarajh et al. 2024, arXiv 2402.01306; r = log π(y|x)/π₀(y|x), and z₀ ≥ 0, their estimate of
    KL(π || π₀), is the mean log-ratio of other examples' replies to the same prompts, through which no gradient goes.
    """
    assert views.wanted is not None
    apart = settings["beta"] * (views.plus.chosen.ratios - max(views.shift, 0.0))
    wanted = settings["lambda_wanted"] * torch.sigmoid(-apart)  # 1 - σ(z) = σ(-z)
    unwanted = settings["lambda_unwanted"] * torch.sigmoid(apart)
    return torch.where(views.wanted, wanted, unwanted)


KTO = Loss(
    "KTO",
    "Ethayarajh et al. 2024, arXiv 2402.01306",
    kto,
    kind="labelled",
    reference=True,
    defaults={"beta": 0.1, "lambda_wanted": 1.0, "lambda_unwanted": 1.0},
    shift="mismatched",
)
