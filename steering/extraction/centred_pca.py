"""Principal component of all states, centred: what varies most, whatever it is."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.extraction.component import FirstComponent
from steering.extraction.fitter import register


@register("centred_pca", "PCA of all states, centred (for comparison)")
class CentredPCA(FirstComponent):
    """First principal component of x - (m+ + m-) / 2 over both sides, signed by the mean difference.

    It never sees which state is on which side, and finds the concept only where nothing else varies more: a contrast to
    the other methods. Explained is its share of the variance.
    """

    def rows(self, positive: Tensor, negative: Tensor) -> Tensor:
        return torch.cat([positive, negative]) - (positive.mean(dim=0) + negative.mean(dim=0)) / 2
