"""Who is told of a training while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steering.recipes.recipe import Intervention
from steering.recipes.writes import Vectors
from steering.training.trained import Point, Trained


SELDOM = 5
"""How often `look` is asked, in a whole training."""
OnStep = Callable[[Point], None]
OnLook = Callable[[Intervention, Vectors], Point]
OnStop = Callable[[Trained], None]


@dataclass(frozen=True, eq=False)
class Followers:
    """Told on the model thread."""

    title: str
    """What progress calls the training."""
    step: OnStep | None = None
    """Told of every step."""
    look: OnLook | None = None
    """Asked a few times what else is known of the vector as it stands, given how a recipe would apply it; what it says
    stands in the curve.
    """
    stop: OnStop | None = None
    """Told, before the job ends, what a training came to that somebody stopped: the best vector so far."""
