"""What is written by features: activations changed where the dictionary gives, and states replaced by what it makes.

With a_i the activation of feature i at the state x that a dictionary reads, d_i its decoder row and s the length that
its normalisation takes off, an edit writes y + s Σ (f(a_i) - a_i) d_i, where y is the state that the dictionary gives:
x itself for an autoencoder, what the MLP gives for a transcoder. What the dictionary leaves unexplained is never taken
out, so that f(a) = a changes nothing (as features are clamped in Templeton et al. 2024, "Scaling Monosemanticity", and
steered with the error term in Arad et al. 2025, arXiv 2505.20063).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.errors import SteeringError
from steering.model.sites import ReadPlace
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Operation, check_finite
from steering.writes.scopes import Scope
from steering.writes.words import told


FeatureEdit = Literal["set", "floor", "ceil", "scale"]


@dataclass(frozen=True, eq=False)
class _OfDictionary(Operation):
    """What all operations by a dictionary have in common."""

    dictionary: Dictionary

    def __post_init__(self) -> None:
        self.dictionary.check_edited(f"States were to be written by the dictionary '{self.dictionary.name}'.")

    @property
    def reads(self) -> ReadPlace | None:
        """Where it looks, if that is not where it writes."""
        own = self.dictionary.reads == self.dictionary.gives
        return None if own else self.dictionary.reads

    @property
    def device(self) -> torch.device:
        device: torch.device = self.dictionary.sae.W_dec.device
        return device

    @property
    def width(self) -> int:
        return self.dictionary.width_out

    def to(self, device: torch.device) -> Self:
        """The same with its dictionary on another device: all operations of one share its weights."""
        self.dictionary.to(device)
        return super().to(device)

    def __call__(self, states: Tensor) -> Tensor:
        return self.beside(states, None)

    def _seen(self, states: Tensor, seen: Tensor | None) -> Tensor:
        """What the dictionary reads."""
        if seen is None and self.reads is not None:
            block, site = self.reads
            raise SteeringError(
                f"'{self.dictionary.name}' was given no states of block {block}, {site}, which it reads.",
                "states of that place, of the same tokens.",
                "Write it in a plan, whose pass reads that place, or call `beside`.",
            )
        return states if seen is None else seen


@dataclass(frozen=True, eq=False)
class EditFeatures(_OfDictionary):
    """y + s Σ (f(a_i) - a_i) d_i, with f(a) = v_i (set), max(a, v_i) (floor), min(a, v_i) (ceil) or v_i a (scale).

    Several features are changed by what the state is before any of them is. Which features of a TopK dictionary are
    active is found among all of them.
    """

    features: tuple[int, ...]
    """Which, each once."""
    values: tuple[float, ...]
    """v_i: activations in the dictionary's own units, or factors; one a feature."""
    kind: FeatureEdit = "set"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in get_args(FeatureEdit):
            raise SteeringError(f"The edit '{self.kind}' was asked for.", f"one of {', '.join(get_args(FeatureEdit))}.")
        if not self.features or len(set(self.features)) < len(self.features) or len(self.features) != len(self.values):
            raise SteeringError(
                f"{len(self.features)} features ({', '.join(map(str, self.features[:8]))}) and {len(self.values)} "
                "values were given.",
                "at least one feature, each once, with a value each.",
                "Correct them.",
            )
        for value in self.values:
            check_finite(value)
        self.dictionary.decoder(self.features)  # raises for a number that it does not have

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        read = self._seen(states, seen)
        found = self.dictionary.activations(read, self.features)
        changes = _changed(found, found.new_tensor(self.values), self.kind) - found
        return states + self.dictionary.contribution(read, self.features, changes).to(states.dtype)

    @property
    def stacks_with(self) -> Hashable:
        """Edits of one kind, by one dictionary."""
        return "features", id(self.dictionary.sae), self.kind

    def stacked(self, operations: Sequence[Operation]) -> Operation:
        edits = [each for each in operations if isinstance(each, EditFeatures)]
        features = sorted({feature for each in edits for feature in each.features})
        column = {feature: n for n, feature in enumerate(features)}
        values, edited = torch.zeros(2, len(edits), 1, len(features))
        for row, each in enumerate(edits):
            columns = [column[feature] for feature in each.features]
            values[row, 0, columns] = torch.tensor(each.values)
            edited[row, 0, columns] = 1
        return _EditRows(self.dictionary, tuple(features), values, edited, self.kind)


@dataclass(frozen=True, eq=False)
class _EditRows(_OfDictionary):
    """`EditFeatures` for rows that each edit features of their own, by one encoding of all rows."""

    features: tuple[int, ...]
    """All that any row edits."""
    values: Tensor
    """v_i, (row, 1, feature)."""
    edited: Tensor
    """1 where a row edits a feature and 0 elsewhere, (row, 1, feature)."""
    kind: FeatureEdit

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        read = self._seen(states, seen)
        found = self.dictionary.activations(read, self.features)
        changes = self.edited.to(found) * (_changed(found, self.values.to(found), self.kind) - found)
        return states + self.dictionary.contribution(read, self.features, changes).to(states.dtype)


def _changed(activations: Tensor, values: Tensor, kind: FeatureEdit) -> Tensor:
    """f(a) of (..., feature)."""
    if kind == "scale":
        return values * activations
    if kind == "floor":
        return activations.maximum(values)
    return activations.minimum(values) if kind == "ceil" else values.expand_as(activations)


@dataclass(frozen=True, eq=False)
class Replace(_OfDictionary):
    """y becomes what the dictionary makes of what it reads: its reconstruction, of a transcoder instead of the MLP.

    What it leaves unexplained is gone. The first token of a text is mostly left out of a dictionary's training and many
    times as long as the others, so scopes should leave it out, too.
    """

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        return self.dictionary.reconstruct(self._seen(states, seen)).to(states)


def switched_off(dictionary: Dictionary, features: Sequence[int]) -> EditFeatures:
    """The edit that sets features to 0 wherever they are active."""
    return EditFeatures(dictionary, tuple(features), (0.0,) * len(features), "scale")


def write_of(operation: EditFeatures | Replace, scope: Scope = "all", gate: Gate | None = None) -> Write:
    """The operation at the place that its dictionary gives."""
    block, site = operation.dictionary.gives
    return Write(operation, block, site, scope, gate)


def _says(kind: FeatureEdit, named: str, value: str) -> str:
    return {
        "set": f"clamp {named} to an activation of {value}",
        "floor": f"keep {named} from falling below an activation of {value}",
        "ceil": f"keep {named} from rising above an activation of {value}",
        "scale": f"multiply {named} by {value}",
    }[kind]


@told.register
def _(operation: EditFeatures) -> tuple[str, float | None]:
    values, numbers = operation.values, ", ".join(map(str, operation.features))
    named = f"feature{'s' * (len(operation.features) > 1)} {numbers} of {operation.dictionary.name}"
    if operation.kind == "scale" and not any(values):
        return f"switch {named} off", None
    if len(set(values)) == 1:
        return _says(operation.kind, named.replace("{", "{{").replace("}", "}}"), "{}"), values[0]
    return _says(operation.kind, named, " and ".join(f"{value:.3g}" for value in values)), None


@told.register
def _(operation: Replace) -> tuple[str, float | None]:
    made = "reconstruction" if operation.reads is None else "stand-in for the MLP"
    return f"replace the state by the {made} of {operation.dictionary.name}", None
