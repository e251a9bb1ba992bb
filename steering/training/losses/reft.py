"""ReFT-r1: likelihood under a gated addition."""

from __future__ import annotations

from torch import Tensor

from steering.training.losses.loss import Loss, Settings, Views


def reft(views: Views, settings: Settings) -> Tensor:
    """-(1/|y|) Σ_t log π(y_t | x, y_<t) + λ s (1/n) Σ_{t not in TopK(a)} a_t, (row,), a_t = max(u·x_t, 0), over the n
    tokens of prompt and reply.

    ReFT-r1 (Wu et al. 2025, AxBench, arXiv 2501.17148; a rank-1 ReFT, Wu et al. 2024, arXiv 2404.03592): the direction
    is read at every token, the k most active ones say how much of it is added to all, and the others are to be silent.
    s grows from 0 to 1 along the training, and what is not among the k is a mean over tokens, as in AxBench's code:
    the paper's sum outweighs the likelihood by far, and shuts the gate for good.
    """
    assert views.penalty is not None
    return -views.plus.chosen.means + settings["lambda"] * views.progress * views.penalty


REFT = Loss(
    "ReFT-r1",
    "Wu et al. 2025, arXiv 2501.17148; Wu et al. 2024, arXiv 2404.03592",
    reft,
    kind="wanted",
    defaults={"lambda": 0.005},
    gated=True,
)
