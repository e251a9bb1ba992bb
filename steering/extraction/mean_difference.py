"""Mean difference."""

from __future__ import annotations

from torch import Tensor

from steering.extraction.fitter import BaseFitter, Side, register, unit
from steering.extraction.moments import Moments


@register("mean_difference", "Mean difference")
class MeanDifference(BaseFitter):
    """u = (m+ - m-) / |m+ - m-|, with m the mean states of the two sides.

    The class-mean difference is the worst-case optimal additive steering direction among those that keep the covariance
    (Belrose 2023, "Diff-in-means concept editing is worst-case optimal"); as a steering vector: Rimsky et al. 2023,
    arXiv 2312.06681. Streams in float64: memory is (block, width), whatever the number of prompts.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._moments: dict[Side, Moments] = {"positive": Moments(), "negative": Moments()}

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        self._moments[side].update(states)

    def means(self) -> tuple[Tensor, Tensor]:
        """m+ and m-, float64, (block, width)."""
        return self._moments["positive"].mean, self._moments["negative"].mean

    def directions(self) -> Tensor:
        positive, negative = self.means()
        return unit(positive - negative)
