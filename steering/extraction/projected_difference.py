"""Mean difference without what lies along the negative side's mean."""

from __future__ import annotations

from torch import Tensor

from steering.extraction.fitter import register, unit
from steering.extraction.mean_difference import MeanDifference


@register("projected_difference", "Mean difference, off the negative mean")
class ProjectedDifference(MeanDifference):
    """u ∝ d - n (n·d), with d = m+ - m- and n = m- / |m-|.

    Ablating u then leaves the mean of the negative side, such as harmless requests, where it was. Known for
    refusal directions as "projected abliteration" (grimjim 2025; llm-abliteration). Streams as the mean difference.
    """

    def directions(self) -> Tensor:
        positive, negative = self.means()
        difference, along = positive - negative, unit(negative)
        return unit(difference - (difference * along).sum(dim=-1, keepdim=True) * along)
