"""Whether a feature that a crosscoder calls one model's own is there in the other one after all.

Latent Scaling (Minder et al. 2025, arXiv 2504.02922, section 3): with f the activations of a feature and d its decoder
in the model that it is said to be of, the factor β that gives a target y best as β f d is

    β = Σ_t f(t) y(t)·d / (|d|² Σ_t f(t)²).

It is taken for both models on two targets: the reconstruction's error with the feature's own part put back (ε), which
shows what the crosscoder left out of a model (complete shrinkage), and the reconstruction without its bias (r), which
shows what other features say in its place (latent decoupling). Near 0, the ratios ν = β(other model) / β(own model) say
that the feature is not in the other model; near 1, that it is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steering.studies.dictionaries.crosscoders import Crosscoder


ERROR_BELOW, RECONSTRUCTION_BELOW = 0.2, 0.5
"""What ν of the error and of the reconstruction must be under, as published, for a feature to be called exclusive."""
_PIECE = 2048


@dataclass(frozen=True, eq=False)
class Scaling:
    """What was measured of some features."""

    error: Tensor
    """ν of the error, (feature,); NaN where the feature never fires or is in neither."""
    reconstruction: Tensor
    """ν of the reconstruction."""
    fires: Tensor
    """Tokens at which it is active."""

    @property
    def exclusive(self) -> Tensor:
        """Whether both are under their bounds, (feature,); never where it does not fire."""
        return (self.error.abs() < ERROR_BELOW) & (self.reconstruction.abs() < RECONSTRUCTION_BELOW)


@torch.no_grad()
def latent_scaling(crosscoder: Crosscoder, states: Tensor, features: Tensor, own: Tensor) -> Scaling:
    """Measure some features.

    Args:
        crosscoder: Whose features.
        states: Of both models at the same tokens, (model, token, width).
        features: Which, (feature,).
        own: The model that each is said to be of, 0 or 1, (feature,).
    """
    directions = crosscoder.decoder[own, features]
    each = crosscoder.decoder[:, features]
    squares, fires = torch.zeros(len(features), dtype=torch.float64), torch.zeros(len(features), dtype=torch.long)
    sums = torch.zeros(2, 2, len(features), dtype=torch.float64)  # target, model, feature
    for start in range(0, states.shape[1], _PIECE):
        piece = states[:, start : start + _PIECE]
        active = crosscoder.encode(piece)
        given = crosscoder.decode(active)
        some = active[:, features]
        squares += some.double().square().sum(dim=0)
        fires += (some > 0).sum(dim=0)
        for target, values in enumerate((piece - given, given - crosscoder.centre[:, None])):
            weighted = torch.einsum("tf,mtw->mfw", some.double(), values.double())  # Σ_t f(t) y(t)
            sums[target] += (weighted * directions.double()).sum(dim=-1)
    # The feature's own part belongs to what is to be explained, of either model.
    sums[0] += torch.einsum("mfw,fw->mf", each.double(), directions.double()) * squares
    factors = sums / (directions.double().square().sum(dim=-1) * squares)
    index = torch.arange(len(features))
    ratio = factors[:, 1 - own, index] / factors[:, own, index]
    return Scaling(ratio[0].float(), ratio[1].float(), fires)
