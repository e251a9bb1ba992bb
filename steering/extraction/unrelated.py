"""Control: the direction of something else."""

from __future__ import annotations

from steering.extraction.fitter import register
from steering.extraction.mean_difference import MeanDifference


@register("unrelated", "Control: the direction of morning against evening", control=True, texts="time-of-day")
class Unrelated(MeanDifference):
    """Mean difference of another contrast set: a direction that means something, but not this.

    Random directions are easy to beat, since they lie across everything that the model uses. One that it does use shows
    what moving along any concept does.
    """
