"""What an intervention can do with its vector: each mode makes the operation for one block. Packages add more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.plugins import Registry, of_class
from steering.recipes.features import feature_edit
from steering.vectors.vector import SteeringVector
from steering.writes.operations import Ablate, Add, Affine, Clamp, ClampKind, Erase, Operation, Rotate


@dataclass(frozen=True)
class Aim:
    """What a mode makes an operation of, at one block."""

    vector: SteeringVector
    block: int
    strength: float
    """A raw length; of a mode with a scale of its own, a number on that."""
    others: tuple[SteeringVector, ...] = ()
    """Further vectors, of a mode that takes several."""
    clamp: ClampKind = "set"

    @property
    def direction(self) -> Tensor:
        """The vector's unit direction at the block, (width,)."""
        return self.vector.directions[self.block]

    @property
    def reference(self) -> float:
        """Where the mean of the negative side lies along it, raw.

        Raises:
            SteeringError: The vector does not say.
        """
        return reference_of(self.vector, self.block)


@dataclass(frozen=True)
class Scale:
    """Strengths of a mode that are no length, as the page's slider has them."""

    low: float
    high: float
    step: float
    first: float
    """What a new intervention begins with."""
    unit: str
    """Behind a number, such as "degrees"."""
    label: str = "Strength"
    short: str = ""
    """The unit in a narrow place; the unit itself where empty."""


@dataclass(frozen=True)
class Mode:
    """One mode. A package offers it under the name that recipes then use."""

    title: str
    make: Callable[[Aim], Operation]
    """A pure function: equal aims make equal operations. Raises a `SteeringError` for a strength out of range."""
    says: str = ""
    """What it does, in a sentence."""
    scale: Scale | None = None
    """Of a strength that is no length; None for a length in any of the units of strength."""
    graded: bool = True
    """Whether it has a strength at all."""
    neutral: bool = True
    """Whether it does nothing at strength 0."""
    several: bool = False
    """Whether it takes further vectors."""
    nats: bool = True
    """Whether a strength can be found for a budget in nats: not where it does nothing at another number than 0."""
    feature: bool = False
    """Whether it changes how active a feature of a dictionary is, so that its vectors must be features of one, and its
    place that dictionary's own.
    """
    phrase: str = ""
    """What it does to its vectors, with {} for their names; its title in front of them where empty."""

    @property
    def in_nats(self) -> bool:
        """Whether its strength can be given in nats."""
        return self.graded and self.nats

    @property
    def scale_words(self) -> str:
        """What its strength is, in a sentence."""
        return (self.scale.label if self.scale else "Strength").lower()

    @property
    def length(self) -> bool:
        """Whether its strength is a length."""
        return self.graded and self.scale is None


def reference_of(vector: SteeringVector, block: int) -> float:
    """Where the mean of a vector's negative side lies along it, raw.

    Raises:
        SteeringError: The vector does not say.
    """
    if vector.references is None:
        raise SteeringError(
            f"The vector '{vector.name}' does not say where its negative side lies along it.",
            "a vector that was extracted from a contrast set: affine edits, clamps and gates count from there.",
            "Extract it again, or add or ablate it instead.",
        )
    return float(vector.references[block])


def _ablate(aim: Aim) -> Ablate:
    if not aim.others:
        return Ablate(aim.direction, aim.strength)
    rows = [aim.direction, *(other.directions[aim.block] for other in aim.others)]
    return Ablate(torch.stack(rows), aim.strength)


def _erase(aim: Aim) -> Erase:
    eraser = aim.vector.eraser
    if eraser is None:
        raise SteeringError(
            f"The vector '{aim.vector.name}' has no eraser.",
            "a vector made by the method leace.",
            "Extract it with that method, or ablate its direction instead.",
        )
    return Erase(eraser.left[aim.block][:, None], eraser.right[aim.block][None], eraser.mean[aim.block])


def _features(aim: Aim) -> tuple[SteeringVector, ...]:
    return aim.vector, *aim.others


def _read(name: str, offered: Any) -> Mode:
    mode = of_class("operation", Mode)(name, offered)
    scale = mode.scale
    if scale is not None and not scale.low <= scale.first <= scale.high:
        raise SteeringError(f"The operation '{name}' begins at {scale.first}.", f"from {scale.low} to {scale.high}.")
    return mode


MODES: Registry[Mode] = Registry(
    "operation",
    _read,
    {
        "add": Mode("Add", lambda aim: Add(aim.direction, aim.strength)),
        "ablate": Mode(
            "Ablate",
            _ablate,
            "1 removes the direction wholly, 0 leaves the model as it is.",
            scale=Scale(0, 1, 0.05, 1.0, "of the projection", "Share removed", "share"),
            several=True,
        ),
        "affine": Mode("Affine edit", lambda aim: Affine(aim.direction, aim.reference, aim.strength), neutral=False),
        "clamp": Mode(
            "Clamp", lambda aim: Clamp(aim.direction, aim.reference + aim.strength, aim.clamp), neutral=False
        ),
        "rotate": Mode(
            "Rotate",
            lambda aim: Rotate(aim.direction, aim.strength),
            "Turns the state towards the vector, away from it below 0, and keeps its length.",
            scale=Scale(-180, 180, 1, 30, "degrees", "Degrees towards it"),
        ),
        "erase": Mode(
            "Erase",
            _erase,
            "Takes away what a linear probe could read; needs a vector made by LEACE.",
            graded=False,
            neutral=False,
        ),
        "feature_clamp": Mode(
            "Clamp feature",
            lambda aim: feature_edit(_features(aim), aim.clamp, aim.strength),
            "Holds the feature's activation there, 0 switches it off; what its dictionary does not explain stays.",
            scale=Scale(-10, 10, 0.1, 1.0, "× typical maximum", "Activation", "× maximum"),
            neutral=False,
            several=True,
            feature=True,
        ),
        "feature_scale": Mode(
            "Scale feature",
            lambda aim: feature_edit(_features(aim), "scale", aim.strength),
            "1 leaves it as it is, 0 switches it off, 2 doubles it where it is active.",
            scale=Scale(-10, 10, 0.1, 2.0, "× its activation", "Factor", "× activation"),
            neutral=False,
            several=True,
            nats=False,
            feature=True,
        ),
        "feature_off": Mode(
            "Switch feature off",
            lambda aim: feature_edit(_features(aim), "scale", 0.0),
            "Takes away what the feature adds; what its dictionary does not explain stays.",
            graded=False,
            neutral=False,
            several=True,
            feature=True,
            phrase="Switch feature {} off",
        ),
    },
)
"""Every mode by the name that recipes use."""
CLAMPED = ("clamp", "feature_clamp")
"""Modes that hold something at a value, or keep it from falling below or rising above."""


def operation_of(mode: str, aim: Aim) -> Operation:
    """The operation of a mode.

    Raises:
        SteeringError: The vector lacks what the mode needs, the strength is outside its range, or the mode of a package
            makes no operation.
    """
    made = MODES[mode].make(aim)
    if not isinstance(made, Operation):
        raise SteeringError(
            f"The mode '{mode}' made a {type(made).__name__}.",
            "a steering.writes.operations.Operation.",
            "Mend the package that it comes from, or choose another mode.",
        )
    return made
