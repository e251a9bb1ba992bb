"""Binary classifier optimisation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def bco(views: Views, settings: Settings) -> Tensor:
    """-log σ(r - δ) for a wanted reply and -w log σ(-(r - δ)) for an unwanted one, (row,), r = β log π(y|x)/π₀(y|x).

    Jung et al. 2024, arXiv 2404.04656: a classifier whose logit is the reward. δ is their reward shift, half of the sum
    of both sides' mean rewards, a moving mean over the steps before; w is their underlying distribution matching,
    p(wanted|x)/p(unwanted|x) of the prompt, so that a prompt to which only unwanted replies were given does not pass
    for a reason.
    """
    assert views.wanted is not None
    apart = reward(views, settings) - views.shift
    weights = torch.ones_like(apart) if views.weights is None else views.weights.to(apart)
    return torch.where(views.wanted, -logsigmoid(apart), -weights * logsigmoid(-apart))


def reward(views: Views, settings: Settings) -> Tensor:
    """r, (row,)."""
    return settings["beta"] * views.plus.chosen.ratios


BCO = Loss(
    "BCO",
    "Jung et al. 2024, arXiv 2404.04656",
    bco,
    kind="labelled",
    reference=True,
    defaults={"beta": 0.1},
    shift="running",
    reward=reward,
    weighted=True,
)
