"""Control: a random direction."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.fitter import BaseFitter, Side, register, unit


@register("random", "Control: random direction", control=True)
class RandomDirection(BaseFitter):
    """u isotropic, one draw a block: what any direction would show."""

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        self._shape = states.shape[1:]

    def directions(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return unit(torch.randn(self._shape, generator=generator, dtype=torch.float64))
