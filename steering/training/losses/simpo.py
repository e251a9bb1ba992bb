"""Simple preference optimisation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def simpo(views: Views, settings: Settings) -> Tensor:
    """-log σ((β/|y_w|) log π(y_w|x) - (β/|y_l|) log π(y_l|x) - γ), (row,).

    Meng et al. 2024, arXiv 2405.14734, equation 6: mean log-probabilities in place of log-ratios, and a margin γ.
    """
    chosen, rejected = views.plus.both
    return -logsigmoid(settings["beta"] * (chosen.means - rejected.means) - settings["gamma"])


SIMPO = Loss("SimPO", "Meng et al. 2024, arXiv 2405.14734, eq. 6", simpo, defaults={"beta": 2.0, "gamma": 0.5})
