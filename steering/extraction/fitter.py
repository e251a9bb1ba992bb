"""What every extraction method is."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor


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
        """Unit directions from negative to positive, float64, (block, width)."""


def unit(vectors: Tensor) -> Tensor:
    """Rows divided by their norms; a zero row stays zero, and is refused later with the block named. (block, width)."""
    norms = vectors.norm(dim=-1, keepdim=True)
    return vectors / norms.where(norms > 0, norms.new_ones(()))
