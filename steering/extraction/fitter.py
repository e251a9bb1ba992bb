"""What every extraction method is, and where it is registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor

from steering.lane import look_for_stop
from steering.plugins import Registry, of_class
from steering.vectors.vector import Eraser


Side = Literal["positive", "negative"]


class Fitter(Protocol):
    """Sees the training states in batches, then gives the directions."""

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        """Take in a batch.

        Args:
            side: Which side of the contrast the prompts belong to.
            indices: Index of each prompt within its side, (batch,). In a paired set, equal indices are a pair.
            states: Pooled states, (batch, block, width).
        """

    def directions(self) -> Tensor:
        """Unit directions from negative to positive, float64, (block, width).

        Raises:
            SteeringError: The states do not allow it.
        """

    def eraser(self) -> Eraser | None:
        """A map that erases the concept, where the method has one."""

    def explained(self) -> Tensor | None:
        """The share of the variance that each block's direction holds, (block,), where the method has one."""


@dataclass(frozen=True)
class Method:
    """A registered method."""

    title: str
    """A few words for people."""
    build: Callable[[int], Fitter]
    """A new fitter from a seed."""
    needs_pairs: bool = False
    min_train: int = 2
    """Training prompts a side that it takes at least."""
    control: bool = False
    """Whether it is there to be beaten: its direction means nothing."""
    texts: str = ""
    """A preset contrast set that it is fitted on instead of the one at hand, on which it is measured."""


METHODS: Registry[Method] = Registry("method", of_class("method", Method))
"""Every method by its name; packages offer a `Method`."""
F = TypeVar("F", bound=type)


def register(
    name: str, title: str, *, needs_pairs: bool = False, min_train: int = 2, control: bool = False, texts: str = ""
) -> Callable[[F], F]:
    """Class decorator: make a fitter known by a name. Its constructor takes a seed."""

    def add(fitter: F) -> F:
        METHODS.add(name, Method(title, fitter, needs_pairs, min_train, control, texts))
        return fitter

    return add


class BaseFitter:
    """What most methods share: a seed, no eraser, no explained variance."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def eraser(self) -> Eraser | None:
        return None

    def explained(self) -> Tensor | None:
        return None


class StoredFitter(BaseFitter):
    """A method that needs all states at once: it keeps them, float32, (prompt, block, width) a side."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._states: dict[Side, dict[int, Tensor]] = {"positive": {}, "negative": {}}

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        self._states[side].update(zip(indices.tolist(), states, strict=True))

    def block_states(self, block: int) -> tuple[Tensor, Tensor]:
        """Positive and negative states of one block in prompt order, float64, (prompt, width) each.

        A stop takes effect here: what is fitted to them takes a while, block after block.
        """
        look_for_stop()
        positive, negative = (
            torch.stack([side[index][block] for index in sorted(side)]).double() for side in self._states.values()
        )
        return positive, negative

    @property
    def n_blocks(self) -> int:
        return len(next(iter(self._states["positive"].values())))


def unit(vectors: Tensor) -> Tensor:
    """Rows divided by their norms; a zero row stays zero, and is refused later with the block named. (block, width)."""
    norms = vectors.norm(dim=-1, keepdim=True)
    return vectors / norms.where(norms > 0, norms.new_ones(()))


def signed(direction: Tensor, difference: Tensor) -> Tensor:
    """A direction that points from the negative to the positive mean: it, or its opposite."""
    return -direction if direction @ difference < 0 else direction
