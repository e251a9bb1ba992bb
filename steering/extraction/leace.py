"""LEACE: the direction that a linear probe would read, and the map that takes it away."""

from __future__ import annotations

from functools import cached_property

import torch
from concept_erasure import LeaceEraser, LeaceFitter
from torch import Tensor

from steering.extraction.fitter import StoredFitter, register, signed, unit
from steering.vectors.vector import Eraser


@register("leace", "LEACE, with its eraser", min_train=4)
class Leace(StoredFitter):
    """u ∝ C^-1 (m+ - m-), with C the covariance of all states, shrunk as in the authors' package (Bodnar et al. 2014,
    arXiv 1308.2608), and the eraser x - l (r·(x - m)) with r along u.

    Least-squares concept erasure (Belrose et al. 2023, arXiv 2306.03819), by the authors' package: after the eraser no
    linear probe does better than the majority rate on the states it was fitted on, and no other such map changes them
    less.
    """

    def directions(self) -> Tensor:
        rows = []
        for block, eraser in enumerate(self._erasers):
            positive, negative = self.block_states(block)
            rows.append(signed(eraser.proj_right[0].double().cpu(), positive.mean(dim=0) - negative.mean(dim=0)))
        return unit(torch.stack(rows))

    def eraser(self) -> Eraser:
        return Eraser(
            left=torch.stack([eraser.proj_left[:, 0].float().cpu() for eraser in self._erasers]),
            right=torch.stack([eraser.proj_right[0].float().cpu() for eraser in self._erasers]),
            mean=torch.stack([eraser.bias.float().cpu() for eraser in self._erasers]),
        )

    @cached_property
    def _erasers(self) -> list[LeaceEraser]:
        return [self._fit(block) for block in range(self.n_blocks)]

    def _fit(self, block: int) -> LeaceEraser:
        device = "cuda" if torch.cuda.is_available() else "cpu"  # an eigenproblem of the width, a block
        positive, negative = (side.to(device) for side in self.block_states(block))
        fitter = LeaceFitter(positive.shape[1], 1, device=device, dtype=positive.dtype)
        for states, side in ((positive, 1), (negative, 0)):
            fitter.update(states, torch.full((len(states), 1), side, device=device))
        return fitter.eraser
