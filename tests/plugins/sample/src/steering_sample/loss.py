"""A loss by which a vector is trained."""

from steering.training.losses import Loss


def hinge(views, settings):
    """max(0, margin - (log π(chosen) - log π(rejected))): a float tensor with a number an example."""
    chosen, rejected = views.plus.both
    return (settings["margin"] - (chosen.sums - rejected.sums)).clamp(min=0)


HINGE = Loss("Hinge", "sequence likelihood calibration", hinge, defaults={"margin": 5.0})
