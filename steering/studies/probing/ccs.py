"""Contrast-consistent search: many probes trained at once, as columns of one matrix product.

A probe p(x) = sigmoid(w·x + b) is to call a statement with "Yes" behind it true exactly where it calls the same
statement with "No" behind it false, and to be sure of it:

    loss = mean_i min(p(no_i), p(yes_i))² + mean_i (p(no_i) - (1 - p(yes_i)))²

Burns et al. 2022, "Discovering Latent Knowledge in Language Models Without Supervision", arXiv 2212.03827. Restarts,
folds and nulls are columns: the states are read once a step for all of them. The gradient is written out; AdamW keeps
its state by column, so that every column is trained as it would be alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import look_for_stop


CONSTANT_LOSS = 0.2
"""The least loss of a probe that looks at nothing, at p = 0.4."""
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@dataclass(frozen=True)
class Training:
    """How probes are trained; the defaults are those of the published PA-CCS code (arXiv 2511.21737)."""

    learning_rate: float = 0.015
    weight_decay: float = 0.01
    """Decoupled, as in AdamW, of bias and weights alike."""
    steps: int = 1500
    """Full-batch steps."""


@dataclass(frozen=True, eq=False)
class Probes:
    """Linear probes, a row each; perhaps of several blocks, along leading dimensions."""

    weights: Tensor
    """(..., probe, width)"""
    biases: Tensor
    """(..., probe)"""

    def __call__(self, states: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Probabilities, (..., row, probe), of states (..., row, width) less offsets (..., probe, width)."""
        shifted = self.biases if offsets is None else self.biases - (self.weights * offsets).sum(dim=-1)
        return (states @ self.weights.mT + shifted[..., None, :]).sigmoid_()


@dataclass(frozen=True, eq=False)
class Trained:
    """Probes with their losses on what they were trained on."""

    probes: Probes
    losses: Tensor
    """(..., probe), after the last step."""

    @property
    def best(self) -> int:
        """The probe of least loss."""
        return int(self.losses.argmin())


def starts(width: int, n: int, seed: int, *, device: torch.device | None = None) -> Probes:
    """Probes to start from, uniform in ±1 / sqrt(width), as `torch.nn.Linear` begins."""
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(width)
    drawn = (2 * torch.rand(n, width + 1, generator=generator) - 1) * bound
    return Probes(drawn[:, :-1].contiguous().to(device), drawn[:, -1].contiguous().to(device))


def losses_of(no: Tensor, yes: Tensor, weights: Tensor | None = None) -> Tensor:
    """The loss of probabilities, (..., pair, probe) each, a probe; `weights` (pair, probe) sum to 1 a probe."""
    each = torch.minimum(no, yes) ** 2 + (no + yes - 1) ** 2
    return each.mean(dim=-2) if weights is None else (each * weights).sum(dim=-2)


def train(
    no: Tensor,
    yes: Tensor,
    begin: Probes,
    training: Training | None = None,
    *,
    weights: Tensor | None = None,
    partners: Tensor | None = None,
    offsets: Tensor | None = None,
    report: Callable[[int], None] | None = None,
) -> Trained:
    """Train every probe from its own start.

    With leading dimensions, all blocks are trained in the same products (`torch.bmm`): on a GPU the launches of a step
    are then shared by all blocks; a CPU does better with one block after the other, whose states stay in its cache.

    Args:
        no: States of statements with "No", float32, (..., pair, width); centred, or near to it where `offsets` do the
            rest.
        yes: The same with "Yes".
        begin: Where to start, the same for every block.
        training: Steps and rates.
        weights: How much each pair counts for each probe, (pair, probe), summing to 1 a probe; all alike where None.
            Folds and bootstrap draws are weights.
        partners: For each probe, which "Yes" row stands beside each "No" row, (pair, probe): another order than the
            pairs' own is the null of shuffled pairs.
        offsets: What each probe subtracts from "No" states and from "Yes" states, (2, ..., probe, width): folds that
            are centred by their own training rows differ in nothing else, and share one matrix product.
        report: Called with every hundredth step.

    Raises:
        SteeringError: States that are not finite, or of different shapes.
    """
    training = training or Training()
    _check(no, yes)
    n = no.shape[-2]
    both = torch.cat([no, yes], dim=-2)
    share = torch.full((n, 1), 1 / n, device=no.device) if weights is None else weights
    back = None if partners is None else partners.argsort(dim=0)
    leading = no.shape[:-2]
    w = begin.weights.expand(*leading, *begin.weights.shape[-2:]).clone()
    b = begin.biases.expand(*leading, *begin.biases.shape[-1:]).clone()
    moments = [torch.zeros_like(each) for each in (w, w, b, b)]
    for step in range(1, training.steps + 1):
        if step % 10 == 0:
            look_for_stop()
        if report is not None and step % 100 == 0:
            report(step)
        no_p, yes_p = _probabilities(both, w, b, offsets)
        error = _error(no_p, yes_p, share, partners, back)
        sums = error[..., :n, :].sum(dim=-2), error[..., n:, :].sum(dim=-2)
        gradient = error.mT @ both
        if offsets is not None:  # of w · (x - m): the rows' part less the offset's
            for side in (0, 1):
                gradient.addcmul_(sums[side][..., None], offsets[side], value=-1)
        _adamw(w, gradient, moments[:2], step, training)
        _adamw(b, sums[0] + sums[1], moments[2:], step, training)
    no_p, yes_p = _probabilities(both, w, b, offsets)
    return Trained(Probes(w, b), losses_of(no_p, _ordered(yes_p, partners), weights))


def _probabilities(both: Tensor, w: Tensor, b: Tensor, offsets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Of "No" rows and of "Yes" rows, (..., pair, probe) each."""
    logits, n = both @ w.mT, both.shape[-2] // 2
    for side, rows in enumerate((logits[..., :n, :], logits[..., n:, :])):
        rows += (b if offsets is None else b - (w * offsets[side]).sum(dim=-1))[..., None, :]
    p = logits.sigmoid_()
    return p[..., :n, :], p[..., n:, :]


def _ordered(p: Tensor, order: Tensor | None) -> Tensor:
    return p if order is None else p.gather(-2, order.expand_as(p))


def _error(no: Tensor, yes: Tensor, share: Tensor, partners: Tensor | None, back: Tensor | None) -> Tensor:
    """The loss's derivative by each logit, (..., 2 pairs, probe), "No" rows first.

    Where both are the same, each has half of the smaller one's derivative, as `torch.minimum` gives it.
    """
    beside = _ordered(yes, partners)
    consistent = 2 * (no + beside - 1) * share
    sure = 2 * torch.minimum(no, beside) * share
    of_no = (no < beside) + 0.5 * (no == beside)
    first, second = consistent + of_no * sure, consistent + (1 - of_no) * sure
    return torch.cat([first * no * (1 - no), _ordered(second, back) * yes * (1 - yes)], dim=-2)


def _adamw(parameter: Tensor, gradient: Tensor, moments: list[Tensor], step: int, training: Training) -> None:
    first, second = moments
    parameter.mul_(1 - training.learning_rate * training.weight_decay)
    first.lerp_(gradient, 1 - _BETAS[0])
    second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    root = (second.sqrt() / math.sqrt(1 - _BETAS[1] ** step)).add_(_EPSILON)
    parameter.addcdiv_(first, root, value=-training.learning_rate / (1 - _BETAS[0] ** step))


def _check(no: Tensor, yes: Tensor) -> None:
    if no.shape != yes.shape or no.ndim < 2 or not no.shape[-2]:
        raise SteeringError(
            f"States of the shapes {tuple(no.shape)} and {tuple(yes.shape)} were given.",
            "two of the same shape, (pair, width), with at least one pair.",
        )
    for name, states in (("No", no), ("Yes", yes)):
        wrong = (~torch.isfinite(states)).any(dim=-1)
        rows = wrong.reshape(-1, wrong.shape[-1]).any(dim=0).nonzero()
        if len(rows):
            raise SteeringError(
                f"The states of {len(rows)} statements with '{name}' are not finite, first in row {int(rows[0])}.",
                "finite states.",
                "Load the model in bfloat16 or float32, or leave those statements out.",
            )
