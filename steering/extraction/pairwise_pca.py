"""Pairwise principal component, uncentred."""

from __future__ import annotations

from torch import Tensor

from steering.extraction.component import FirstComponent
from steering.extraction.fitter import register


@register("pairwise_pca", "Pairwise PCA, uncentred", needs_pairs=True)
class PairwisePCA(FirstComponent):
    """First right singular vector of the pair differences d_i = x+_i - x-_i, not centred, signed by their mean.

    Centring, as a library PCA does by default, subtracts the mean difference itself, which is the very thing looked
    for; so the differences are left as they are. A singular vector has no sign of its own: the mean difference gives
    it one. Explained is its share of the differences' squares.
    Method: Zou et al. 2023, arXiv 2310.01405, section 3.1 (there the sign is flipped at random instead of not
    centring).
    """

    def rows(self, positive: Tensor, negative: Tensor) -> Tensor:
        return positive - negative
