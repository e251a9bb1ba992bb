"""Reinforcement learning with a verifiable reward."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.training.losses.loss import Loss, Settings, Views


def rlvr(views: Views, settings: Settings) -> Tensor:
    """-(1/|o|) Σ_t (A log π(o_t|x, o_<t) - β D_t) with D_t = π₀/π - log π₀/π - 1 at o_t, (row,).

    Replies o are sampled from the steered model anew at every step, and A = (r - mean r) / std r over those to the same
    prompt, r a reward that a rule gives. With one step a sample, this has the gradient of GRPO (Shao et al. 2024,
    DeepSeekMath, arXiv 2402.03300, equations 3 and 4); rewards by rule are those of Lambert et al. 2024 (Tülu 3, arXiv
    2411.15124). D is the estimate of KL(π || π₀) that cannot be negative.
    """
    assert views.advantages is not None
    scores = views.plus.chosen
    assert scores.reference is not None
    apart = scores.reference - scores.policy
    drift = torch.exp(apart) - apart - 1
    each = views.advantages[:, None] * scores.policy - settings["beta"] * drift
    return -(each * scores.used).sum(dim=1) / scores.lengths


RLVR = Loss(
    "RLVR",
    "Shao et al. 2024, arXiv 2402.03300, eq. 3-4; Lambert et al. 2024, arXiv 2411.15124",
    rlvr,
    kind="wanted",
    reference=True,
    defaults={"beta": 0.02},
    sampled=True,
)
