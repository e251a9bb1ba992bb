"""Controls: what a vector's effect has to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from steering.extraction.fitter import unit
from steering.vectors.vector import AUROC, MAYBE, SteeringVector


def random_control(vector: SteeringVector, *, seed: int = 0) -> SteeringVector:
    """A vector of the same scale at every block whose directions are random: isotropic, one draw a block.

    Added at the same strength it moves the residual stream exactly as far, in a direction that means nothing. It keeps
    no AUROC, since none was measured.
    """
    unknown: dict[str, Any] = dict.fromkeys((*AUROC, *MAYBE))
    generator = torch.Generator().manual_seed(seed)
    directions = unit(torch.randn(vector.directions.shape, generator=generator, dtype=torch.float64)).float()
    return replace(
        vector,
        name=f"random {seed} like {vector.name}",
        directions=directions,
        **unknown,
        eraser=None,
        feature=None,
        provenance=replace(vector.provenance, method="random", seed=seed),
    )


def random_direction_like(vector: SteeringVector, *, seed: int = 0) -> SteeringVector:
    """One random direction in every block, of the vector's own lengths: the control of a vector that is one direction,
    as refusal directions are.
    """
    control = random_control(vector, seed=seed)
    return replace(control, directions=control.directions[:1].repeat(vector.n_blocks, 1))
