"""What a dictionary reads that reads more than one state of one place: several side by side, or the sum of some.

A crosscoder reads the states of several blocks, or of two models, at the same token. A cross-layer transcoder that was
trained on the stream between attention and MLP, which no site has, reads the block's input plus what attention adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steering.model.sites import ReadPlace, site_words


ModelPlace = tuple[str, ReadPlace]
"""The other model's name, "" for the one at hand, and a place in it."""


@dataclass(frozen=True)
class Input:
    """One of the states that stand side by side."""

    places: tuple[ReadPlace, ...]
    """Whose states are added up; mostly one place."""
    model: str = ""
    """The other model that it is read from; "" for the one at hand."""

    @property
    def words(self) -> str:
        """As people say it: `block 3, block input plus attention output`."""
        block = self.places[0][0]
        said = f"block {block}, {' plus '.join(site_words(site) for _, site in self.places)}"
        return f"{said} of {self.model}" if self.model else said

    def moved(self, step: int) -> Input:
        """The same so many blocks further on."""
        return replace(self, places=tuple((block + step, site) for block, site in self.places))


def needed(inputs: Sequence[Input]) -> tuple[ModelPlace, ...]:
    """Every place that has to be read, each once."""
    return tuple(dict.fromkeys((each.model, place) for each in inputs for place in each.places))


def side_by_side(inputs: Sequence[Input], states: Mapping[ModelPlace, Tensor], device: torch.device) -> Tensor:
    """What a dictionary reads: (token, width of all inputs).

    Args:
        inputs: What it reads.
        states: By model and place, (token, width).
        device: Of the result.
    """
    parts = [
        torch.stack([states[each.model, place].to(device) for place in each.places]).sum(dim=0)
        if len(each.places) > 1
        else states[each.model, each.places[0]].to(device)
        for each in inputs
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
