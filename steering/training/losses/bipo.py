"""Bi-directional preference optimisation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Side, Views


def bipo(views: Views, settings: Settings) -> Tensor:
    """-E_d log σ(d β [log π(y_T|x; d v)/π₀(y_T|x) - log π(y_O|x; d v)/π₀(y_O|x)]), d = 1 and -1 alike, (row,).

    Cao et al. 2024, arXiv 2406.00045: the vector must raise the behaviour when it is added and lower it when
    it is taken away. They draw d at every step; here both are read, which has the same mean and less noise.
    """
    assert views.minus is not None
    beta = settings["beta"]
    return -(logsigmoid(beta * _apart(views.plus)) + logsigmoid(-beta * _apart(views.minus))) / 2


def _apart(side: Side) -> Tensor:
    chosen, rejected = side.both
    return chosen.ratios - rejected.ratios


BIPO = Loss(
    "BiPO",
    "Cao et al. 2024, arXiv 2406.00045",
    bipo,
    views=("plus", "minus"),
    reference=True,
    defaults={"beta": 0.1},
)
