"""Preference-oriented supervised fine-tuning."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def poft(views: Views, settings: Settings) -> Tensor:
    """-log σ(β (1/|y|) [log π(y|x) - log π₀(y|x)]), (row,).

    Fan et al. 2024, arXiv 2412.12865: of two models, a Bradley-Terry preference for the one that is trained over an
    aligned one, by their likelihoods of the same wanted reply. The aligned model is here the one without the plan, so
    that replies which it finds likely by itself weigh least.
    """
    chosen = views.plus.chosen
    return -logsigmoid(settings["beta"] * chosen.ratios / chosen.lengths)


POFT = Loss("PoFT", "Fan et al. 2024, arXiv 2412.12865", poft, kind="wanted", reference=True, defaults={"beta": 1.0})
