"""Reference-free preference steering."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from steering.training.losses.loss import Loss, Settings, Views


def reps(views: Views, settings: Settings) -> Tensor:
    """-log σ(Δ₊) - log σ(Δ₋), (row,), with y_w the reply that shows the behaviour and y_l the one without it:

        Δ₊ = (b₊/|y_w|) log π(y_w|x; + v) - (1/|y_l|) log π(y_l|x; + v)
        Δ₋ = (b₋/|y_l|) log π(y_l|x; v out) - (1/|y_w|) log π(y_w|x; v out)
        b₊ = max(log π₀(y_l|x) - log π₀(y_w|x), 1),   b₋ = max(log π₀(y_w|x) - log π₀(y_l|x), 1)

    Wu et al. 2025, arXiv 2505.20809: the vector makes the behaviour likelier than its absence when it is added, and
    its absence likelier when it is projected out of the states. b weighs the reply up that the model by itself finds
    the less likely of the two; it is a number, through which no gradient goes, as is SimPO's β.
    """
    assert views.nulled is not None
    chosen, rejected = views.plus.both
    without_chosen, without_rejected = views.nulled.both
    apart = rejected.reference_sums - chosen.reference_sums
    up = settings["beta"] * (apart.clamp(min=1) * chosen.means - rejected.means)
    down = settings["beta"] * ((-apart).clamp(min=1) * without_rejected.means - without_chosen.means)
    return -logsigmoid(up) - logsigmoid(down)


REPS = Loss(
    "RePS",
    "Wu et al. 2025, arXiv 2505.20809",
    reps,
    views=("plus", "nulled"),
    reference=True,
    defaults={"beta": 1.0},
)
