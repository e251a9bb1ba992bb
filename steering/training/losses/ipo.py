"""Identity preference optimisation."""

from __future__ import annotations

from torch import Tensor

from steering.training.losses.loss import Loss, Settings, Views


def ipo(views: Views, settings: Settings) -> Tensor:
    """(h - 1/(2τ))² with h = log π(y_w|x)/π₀(y_w|x) - log π(y_l|x)/π₀(y_l|x), (row,).

    Azar et al. 2023, arXiv 2310.12036, equation 17: the log-ratio is drawn to a finite value, where DPO's grows
    without end on pairs that are always decided alike.
    """
    chosen, rejected = views.plus.both
    return (chosen.ratios - rejected.ratios - 1 / (2 * settings["tau"])) ** 2


IPO = Loss("IPO", "Azar et al. 2023, arXiv 2310.12036, eq. 17", ipo, reference=True, defaults={"tau": 0.1})
