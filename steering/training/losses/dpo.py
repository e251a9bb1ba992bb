"""Direct preference optimisation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def dpo(views: Views, settings: Settings) -> Tensor:
    """-log σ(β [log π(y_w|x)/π₀(y_w|x) - log π(y_l|x)/π₀(y_l|x)]), (row,).

    Rafailov et al. 2023, arXiv 2305.18290, equation 7; π₀ is the model without the plan.
    """
    chosen, rejected = views.plus.both
    return -logsigmoid(settings["beta"] * (chosen.ratios - rejected.ratios))


DPO = Loss("DPO", "Rafailov et al. 2023, arXiv 2305.18290, eq. 7", dpo, reference=True, defaults={"beta": 0.1})
