"""Median: the direction between both sides' medians."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction import Method, StoredFitter


class Median(StoredFitter):
    """u = (median of the positive states - median of the negative ones), at length 1, coordinate by coordinate."""

    def directions(self) -> Tensor:
        """Unit directions, float64, (block, width)."""
        rows = []
        for block in range(self.n_blocks):
            positive, negative = self.block_states(block)
            rows.append(positive.median(dim=0).values - negative.median(dim=0).values)
        found = torch.stack(rows)
        return found / found.norm(dim=-1, keepdim=True)


MEDIAN = Method("Difference of medians", Median)
