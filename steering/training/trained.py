"""What a training came to: the vector, the way to it, and how it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.extraction.provenance import made_here
from steering.model.host import Host
from steering.recipes.recipe import Intervention
from steering.training.beginnings import Beginning
from steering.training.trainee import Parameters, Trainee
from steering.vectors.vector import Provenance, SteeringVector


Point = dict[str, float]
"""Numbers of one step; NaN for what was not measured then."""


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A vector that was trained. At strength 1 it does what it was trained to do."""

    vector: SteeringVector
    others: tuple[SteeringVector, ...]
    """The further directions of a span."""
    intervention: Intervention
    """How it was written in training, at the strength that it was trained to."""
    curve: list[Point]
    """One a step: `step`, `loss`, `margin` (nats), `length` (raw; share of an ablation), `rate`, `validation_loss`,
    `validation_margin`, `kl` (nats, the budget's measure).
    """
    stopped: str
    """Why it ended, in a sentence."""
    best: int
    """The step after which the vector is as it was kept; 0 for where it began."""
    kl: float | None
    """What it costs, in nats, where there was a budget."""

    def __repr__(self) -> str:
        cost = "" if self.kl is None else f", {self.kl:.3g} nats"
        return f"<Trained: {len(self.curve)} steps, as after step {self.best}{cost}; {self.stopped} {self.vector!r}>"

    @property
    def vectors(self) -> Mapping[str, SteeringVector]:
        """All directions, by name, as a recipe takes them."""
        return {each.name: each for each in (self.vector, *self.others)}


def vectors_of(
    host: Host,
    parameters: Parameters,
    begun: Beginning,
    name: str,
    *,
    gate: Tensor | None,
    provenance: Provenance,
) -> tuple[SteeringVector, ...]:
    """What was trained as vectors, one a direction of the span.

    Args:
        host: The model.
        parameters: As they stand.
        begun: What was known of the states.
        name: Of the first; the others get a number behind it.
        gate: Of a gated plan: how much of the direction it adds in the mean, raw units, (block,).
        provenance: How it was made.

    Raises:
        SteeringError: A direction of length 0, or one that is not finite.
    """
    trainee = parameters.trainee
    directions = parameters.directions.cpu()
    lengths = parameters.lengths.cpu() if gate is None else gate.cpu()
    if not torch.isfinite(directions).all() or not (directions.norm(dim=-1) > 0.5).all():
        raise SteeringError(
            "The trained vector has no direction: it is zero, or not finite.",
            "a training that takes at least one step.",
            "Begin at the mean difference, or lower the learning rate.",
        )
    if trainee.mode == "clamp":  # held on the other side of where the unwanted replies lie
        directions, lengths = directions * lengths.sign()[:, None, None], lengths.abs()
    return tuple(
        _vector(
            host,
            trainee,
            directions[:, index],
            lengths,
            begun,
            name if not index else f"{name} {index + 1}",
            provenance,
        )
        for index in range(trainee.span)
    )


def _vector(
    host: Host,
    trainee: Trainee,
    directions: Tensor,
    lengths: Tensor,
    begun: Beginning,
    name: str,
    provenance: Provenance,
) -> SteeringVector:
    blocks, n = list(trainee.blocks), host.info.blocks
    zeros = torch.zeros(n)
    return SteeringVector(
        name=name,
        directions=directions[:1].repeat(n, 1).index_copy(0, torch.tensor(blocks), directions),
        mean_differences=zeros.index_copy(0, torch.tensor(blocks), lengths.float()),
        residual_norms=zeros.index_copy(0, torch.tensor(blocks), begun.norms.float()),
        references=zeros.index_copy(0, torch.tensor(blocks), (begun.low * directions).sum(dim=-1).float()),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site=trainee.site,
        default_block=blocks[0],
        default_block_reason="where it was trained",
        suggested_strength=1.0,
        provenance=provenance,
    )


def intervention_of(trainee: Trainee, names: Sequence[str], share: float) -> Intervention:
    """How a recipe applies what was trained.

    Args:
        trainee: What was trained.
        names: Of the directions.
        share: Of an ablation.
    """
    return Intervention(
        vector=names[0],
        others=tuple(names[1:]),
        mode=trainee.written,
        blocks=trainee.blocks,
        site=trainee.site,
        strength=share if trainee.mode == "ablate" else 1.0,
        scope=trainee.scope,
    )


def provenance_of(host: Host, *, method: str, data: str, digest: str, seed: int, **known: Any) -> Provenance:
    """How a vector was trained.

    Args:
        host: The model.
        method: By which loss.
        data: What the examples are called.
        digest: Of the examples.
        seed: Of order and beginning.
        known: Further fields.
    """
    return Provenance.made_elsewhere(
        method=method,
        contrast=data or "preference data",
        contrast_digest=digest,
        positive_label="chosen",
        negative_label="rejected",
        seed=seed,
        **known,
        **made_here(host),
    )
