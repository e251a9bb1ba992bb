"""Linear discriminant, or mass-mean probe, with a shrunk covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.extraction.fitter import StoredFitter, register, unit


@register("lda", "LDA (mass-mean), shrunk covariance", min_train=4)
class LDA(StoredFitter):
    """u ∝ C^-1 (m+ - m-), with C the within-side covariance, shrunk.

    Fisher's discriminant; as a probe of language models: Marks and Tegmark 2023, arXiv 2310.06824 ("mass-mean, IID").
    There are fewer prompts than dimensions, so that the empirical covariance has no inverse: C = (1 - s) S + s t I with
    t the mean variance and s by oracle approximating shrinkage (Chen et al. 2010, IEEE Trans. Signal Process. 58).
    Solved in the space of the prompts: no (width, width) matrix is made.
    """

    def directions(self) -> Tensor:
        return unit(torch.stack([self._weights(block) for block in range(self.n_blocks)]))

    def _weights(self, block: int) -> Tensor:
        positive, negative = self.block_states(block)
        difference = positive.mean(dim=0) - negative.mean(dim=0)
        within = torch.cat([positive - positive.mean(dim=0), negative - negative.mean(dim=0)])
        if not within.square().sum() > 1e-12 * difference.square().sum():
            raise SteeringError(
                f"At block {block} all prompts of a side have the same state, so that there is no covariance.",
                "prompts that differ from each other where they are read.",
                "Read another token or site, or choose the mean difference.",
            )
        return solve_shrunk(within, difference)


def solve_shrunk(rows: Tensor, vector: Tensor) -> Tensor:
    """C^-1 v, with C the covariance of centred rows (n, width), shrunk as `LDA` says. (width,)."""
    n, width = rows.shape
    gram = rows @ rows.T
    variance = gram.trace() / n / width
    squares = gram.square().sum() / n**2 / width**2
    shrunk = (squares + variance**2) / ((n + 1) * (squares - variance**2 / width))
    shrinkage = float(shrunk.clamp(1e-6, 1)) if squares > variance**2 / width else 1.0
    # (a I + b X'X)^-1 v = (v - X' (a / b I + X X')^-1 X v) / a, by Woodbury.
    ridge, weight = shrinkage * variance, (1 - shrinkage) / n
    if weight == 0:
        return vector / ridge
    inner = torch.linalg.solve(gram + ridge / weight * torch.eye(n, dtype=rows.dtype), rows @ vector)
    return (vector - rows.T @ inner) / ridge
