"""Where a training begins: at the mean difference of both sides' states, anywhere, at nothing, or at a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from steering.errors import SteeringError
from steering.store import digest
from steering.training.scores import KnownTexts
from steering.training.texts import Texts
from steering.training.trainee import Trainee
from steering.vectors.vector import SteeringVector


Start = Literal["mean_difference", "random", "zero"]
_SHARE = 0.1
"""Of a state's length: a usual length of a direction, where no two sides say a longer one."""
_LEAST = 1e-6
"""Of a state's length: two sides that are nearer are the same."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """What is known of the states at the trained places before the first step."""

    rows: Tensor
    """Where the training begins, raw units, (block, span, width)."""
    scale: Tensor
    """A usual length of the direction, raw units, (block,): how far apart both sides' means lie, and not less than a
    tenth of a state's length.
    """
    low: Tensor
    """Mean state of replies that are not wanted, of all where there are none, (block, width)."""
    norms: Tensor
    """Mean length of a state, (block,)."""


def beginning(known: KnownTexts, texts: Texts, trainee: Trainee, start: Start | SteeringVector, seed: int) -> Beginning:
    """Where to begin.

    Args:
        known: The texts, read.
        texts: Which of them are trained on.
        trainee: What is trained.
        start: Where.
        seed: Of a random beginning, and of the further directions of a span.

    Raises:
        SteeringError: Nothing for an operation that needs a direction, a mean difference of one side alone or of two
            that do not differ, or a vector of another model.
    """
    wanted = [each.chosen for each in texts.examples if each.wanted]
    unwanted = [each.chosen for each in texts.examples if not each.wanted]
    unwanted += [each.rejected for each in texts.examples if each.rejected is not None] + [*texts.beside]
    places = [known.places.index(place) for place in trainee.places]
    norms = known.norms[places]
    high = known.pooled[wanted][:, places].mean(dim=0) if wanted else None
    low = known.pooled[unwanted][:, places].mean(dim=0) if unwanted else None
    apart = high - low if high is not None and low is not None else None
    scale = _SHARE * norms if apart is None else torch.maximum(apart.norm(dim=-1), _SHARE * norms)
    first = _first(known, apart, norms, scale, trainee, start, seed)
    rows = torch.cat([first[:, None], _further(first, scale, trainee.span, seed)], dim=1)
    below = low if low is not None else high
    assert below is not None
    return Beginning(rows, scale, below, norms)


def _first(
    known: KnownTexts,
    apart: Tensor | None,
    norms: Tensor,
    scale: Tensor,
    trainee: Trainee,
    start: Start | SteeringVector,
    seed: int,
) -> Tensor:
    width = known.host.info.width
    if isinstance(start, SteeringVector):
        return _of_vector(known, start, trainee, scale)
    if start == "random":
        drawn = torch.randn(len(trainee.blocks), width, generator=_drawing("start", seed))
        return functional.normalize(drawn, dim=-1) * scale[:, None]
    if start == "zero":
        if trainee.mode != "add":
            raise SteeringError(
                f"A training with {trainee.mode} was to begin at nothing.",
                "a direction: only what is added can begin at length 0.",
                "Begin at the mean difference or at random.",
            )
        return torch.zeros(len(trainee.blocks), width)
    if start != "mean_difference":
        raise SteeringError(f"A training was to begin at '{start}'.", "mean_difference, random, zero or a vector.")
    if apart is None:
        raise SteeringError(
            "A training was to begin at the mean difference, and there are replies of one side alone.",
            "replies of both sides, whose mean states differ.",
            "Begin at random, at zero or at a vector.",
        )
    if bool((apart.norm(dim=-1) <= _LEAST * norms).any()):
        raise SteeringError(
            "The mean states of both sides do not differ where the vector is trained.",
            "two sides that differ there.",
            "Begin at random, or train at another block.",
        )
    return apart


def _of_vector(known: KnownTexts, vector: SteeringVector, trainee: Trainee, scale: Tensor) -> Tensor:
    vector.check(known.host)
    blocks = list(trainee.blocks)
    lengths = vector.mean_differences[blocks]
    return vector.directions[blocks] * torch.where(lengths > 0, lengths, scale)[:, None]


def _further(first: Tensor, scale: Tensor, span: int, seed: int) -> Tensor:
    """The other directions of a span, drawn at random, (block, span - 1, width)."""
    drawn = torch.randn(len(first), span - 1, first.shape[1], generator=_drawing("further", seed))
    return functional.normalize(drawn, dim=-1) * scale[:, None, None]


def _drawing(what: str, seed: int) -> torch.Generator:
    """Chance of its own: what a plain seed gives, a model may have been made from (the planted direction of the demo
    family was, by the same seed).
    """
    return torch.Generator().manual_seed(int(digest("direction", what, seed)[:15], 16))
