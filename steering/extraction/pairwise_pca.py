"""Pairwise principal component, uncentred."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.fitter import Side, unit


class PairwisePCA:
    """First right singular vector of the pair differences d_i = x+_i - x-_i, not centred, signed by their mean.

    Centring, as a library PCA does by default, subtracts the mean difference itself, which is the very thing looked
    for; so the differences are left as they are. A singular vector has no sign of its own: the mean difference gives
    it one.
    Method: Zou et al. 2023, arXiv 2310.01405, section 3.1 (there the sign is flipped at random instead of not
    centring). Keeps the differences, (pair, block, width) in float32.
    """

    def __init__(self) -> None:
        self._states: dict[Side, dict[int, Tensor]] = {"positive": {}, "negative": {}}

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        self._states[side].update(zip(indices.tolist(), states, strict=True))

    def directions(self) -> Tensor:
        positive, negative = self._states["positive"], self._states["negative"]
        differences = torch.stack(
            [positive[i] - negative[i] for i in sorted(positive)]
        ).double()  # (pair, block, width)
        per_block = differences.transpose(0, 1)
        first = torch.linalg.svd(per_block, full_matrices=False).Vh[:, 0]  # (block, width)
        sign = torch.sign((first * per_block.mean(dim=1)).sum(dim=-1, keepdim=True))
        return unit(first * sign.where(sign != 0, sign.new_ones(())))
