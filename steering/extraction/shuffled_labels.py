"""Control: the mean difference after the sides were shuffled."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.fitter import StoredFitter, register, unit


@register("shuffled", "Control: mean difference of shuffled sides", min_train=4, control=True)
class ShuffledLabels(StoredFitter):
    """Mean difference of two groups, each half positive and half negative prompts, drawn at random.

    What the method finds where there is nothing to find: directions in which these prompts vary, whatever they mean.
    """

    def directions(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        positive, negative = (torch.randperm(len(side), generator=generator) for side in self._states.values())
        rows = []
        for block in range(self.n_blocks):
            sides = self.block_states(block)
            halves = [
                torch.cat([side[order[half::2]] for side, order in zip(sides, (positive, negative), strict=True)])
                for half in (0, 1)
            ]
            rows.append(halves[0].mean(dim=0) - halves[1].mean(dim=0))
        return unit(torch.stack(rows))
