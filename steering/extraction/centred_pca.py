"""Principal component of all states, centred: what varies most, whatever it is."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.fitter import StoredFitter, register
from steering.extraction.pairwise_pca import first_component


@register("centred_pca", "PCA of all states, centred (for comparison)")
class CentredPCA(StoredFitter):
    """First principal component of x - (m+ + m-) / 2 over both sides, signed by the mean difference.

    It never sees which state is on which side, and finds the concept only where nothing else varies more: a contrast to
    the other methods. Explained is its share of the variance.
    """

    def directions(self) -> Tensor:
        return torch.stack([self._first(block)[0] for block in range(self.n_blocks)])

    def explained(self) -> Tensor:
        return torch.stack([self._first(block)[1] for block in range(self.n_blocks)])

    def _first(self, block: int) -> tuple[Tensor, Tensor]:
        positive, negative = self.block_states(block)
        middle = (positive.mean(dim=0) + negative.mean(dim=0)) / 2
        return first_component(torch.cat([positive, negative]) - middle, positive.mean(dim=0) - negative.mean(dim=0))
