"""What is asked of a training: how long and how fast, by which loss, and which examples are kept for validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from steering.errors import SteeringError
from steering.training.losses import LOSSES, Loss
from steering.training.texts import Given
from steering.training.trainee import Trainee


G = TypeVar("G", bound=Given)
RATE = 0.05
"""Of AdamW, in shares of a usual coordinate of the direction."""
BETAS, EPS = (0.9, 0.999), 1e-8
"""Of AdamW, in trainings and in what goes back through one."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long and how fast a vector is trained."""

    steps: int = 200
    """Of the optimiser; with none the vector is what it begins at, which a budget gives its size."""
    batch: int = 8
    """Examples a step."""
    learning_rate: float = RATE
    """Peak rate of AdamW: it rises over the first twentieth of the steps and falls to nothing over the last half. In
    shares of a usual coordinate, so that it means the same in every model and block.
    """
    weight_decay: float = 0.0
    seed: int = 0
    """Of the order, a random beginning and the split of validation data."""
    patience: int = 5
    """Looks at the validation data without a lower loss after which the training ends; 0 for never."""

    def check(self) -> Course:
        """Return it.

        Raises:
            SteeringError: Fewer steps than none, an empty batch, or a rate that is not above 0.
        """
        for name, least in (("steps", 0), ("batch", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise SteeringError(f"{name} is {getattr(self, name)}.", f"at least {least}.")
        if not 0 < self.learning_rate < math.inf or self.weight_decay < 0:
            raise SteeringError(
                f"A learning rate of {self.learning_rate} and a weight decay of {self.weight_decay}.",
                "a rate above 0, and a decay of 0 or more.",
            )
        return self


def find_loss(name: str) -> Loss:
    """A loss by its name.

    Raises:
        SteeringError: There is none of that name.
    """
    if name not in LOSSES:
        raise SteeringError(f"The loss '{name}' was asked for.", f"one of {', '.join(LOSSES)}.", "Choose one of these.")
    return LOSSES[name]


def check_together(loss: Loss, trainee: Trainee) -> None:
    """Refuse a loss that does not go with what is trained.

    Raises:
        SteeringError: A sign where nothing is added, a direction taken out of an ablation, a gate without its loss or
            the other way round.
    """
    if ("minus" in loss.views or "nulled" in loss.views) and trainee.mode != "add":
        raise SteeringError(
            f"{loss.title} was to train a direction for {trainee.mode}.",
            "a direction that is added: the loss also reads replies with it taken away.",
            "Choose add, or another loss.",
        )
    if loss.gated != (trainee.mode == "gated_add"):
        raise SteeringError(
            f"{loss.title} was to train a direction for {trainee.mode}.",
            "gated_add with ReFT-r1, which belong together.",
            "Choose both or neither.",
        )


def split(data: Sequence[G], validation: Sequence[G] | float, seed: int) -> tuple[Sequence[G], Sequence[G]]:
    """What is trained on and what it is watched on; no prompt is on both sides where a share is asked for.

    Raises:
        SteeringError: A share that leaves nothing on a side.
    """
    if not isinstance(validation, float | int):
        return data, validation
    if not validation:
        return data, ()
    prompts = list(dict.fromkeys(tuple(item.messages) for item in data))
    n = round(validation * len(prompts))
    if not 0 < n < len(prompts):
        raise SteeringError(
            f"A share of {validation:g} of {len(prompts)} prompts was to be kept for validation.",
            "a share that leaves prompts on both sides.",
            "Give more examples, or a share such as 0.2.",
        )
    kept = set(Random(f"validation {seed}").sample(prompts, n))
    own = [item for item in data if tuple(item.messages) not in kept]
    return own, [item for item in data if tuple(item.messages) in kept]
