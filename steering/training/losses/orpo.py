"""Odds-ratio preference optimisation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def orpo(views: Views, settings: Settings) -> Tensor:
    """L_SFT + λ L_OR with L_OR = -log σ(log odds(y_w|x)/odds(y_l|x)), odds = P/(1 - P), (row,).

    Hong et al. 2024, arXiv 2403.07691, equations 6 and 7; log P(y|x) = (1/|y|) Σ_t log π(y_t | x, y_<t), so that the
    odds do not hang on a reply's length. No reference is needed.
    """
    chosen, rejected = (side.means for side in views.plus.both)
    ratio = _log_odds(chosen) - _log_odds(rejected)
    return -chosen - settings["lambda"] * logsigmoid(ratio)


def _log_odds(log_chance: Tensor) -> Tensor:
    # log(P / (1 - P)); a probability that rounds to 1 would have infinite odds.
    return log_chance - torch.log(-torch.expm1(log_chance.clamp(max=-1e-6)))


ORPO = Loss("ORPO", "Hong et al. 2024, arXiv 2403.07691, eq. 6-7", orpo, defaults={"lambda": 0.25})
