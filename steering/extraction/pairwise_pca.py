"""Pairwise principal component, uncentred."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.fitter import StoredFitter, register, signed


@register("pairwise_pca", "Pairwise PCA, uncentred", needs_pairs=True)
class PairwisePCA(StoredFitter):
    """First right singular vector of the pair differences d_i = x+_i - x-_i, not centred, signed by their mean.

    Centring, as a library PCA does by default, subtracts the mean difference itself, which is the very thing looked
    for; so the differences are left as they are. A singular vector has no sign of its own: the mean difference gives
    it one. Explained is its share of the differences' squares.
    Method: Zou et al. 2023, arXiv 2310.01405, section 3.1 (there the sign is flipped at random instead of not
    centring).
    """

    def directions(self) -> Tensor:
        return torch.stack([self._first(block)[0] for block in range(self.n_blocks)])

    def explained(self) -> Tensor:
        return torch.stack([self._first(block)[1] for block in range(self.n_blocks)])

    def _first(self, block: int) -> tuple[Tensor, Tensor]:
        positive, negative = self.block_states(block)
        return first_component(positive - negative, (positive - negative).mean(dim=0))


def first_component(rows: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """First right singular vector of rows, signed towards a vector, and its share of the squares; zero if all are."""
    _, sizes, right = torch.linalg.svd(rows, full_matrices=False)
    squares = sizes.square()
    if not squares[0] > 0:
        return torch.zeros_like(towards), torch.zeros((), dtype=rows.dtype)
    return signed(right[0], towards), squares[0] / squares.sum()
