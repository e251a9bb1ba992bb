"""A budget in nats that a training keeps to, and what it costs as it stands.

The measure is that of `steering.recipes.nats`: the 95th percentile over tokens of KL(unsteered || steered), on the
unsteered model's own replies to everyday requests. So vectors of different losses are compared at equal cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from steering.errors import SteeringError
from steering.job import note
from steering.model.host import Host
from steering.recipes.nats import calibrated
from steering.recipes.recipe import Intervention
from steering.recipes.writes import Vectors, writes_of
from steering.training.everyday import Everyday
from steering.training.trainee import Parameters


EVERY = 10
"""Steps between two looks at what the vector costs."""
_CLOSE = 0.02
"""Off by this share of the budget, a size is taken."""
_MOST_LOOKS = 8
_STEP, _FLAT = 2.0, 0.2
"""The most by which the logarithm of a size changes at once, and a slope under which it says nothing."""
_LEAST = 1e-9
Applied = Callable[[], tuple[Intervention, Vectors]]
"""How what is trained would be applied as it stands."""


def check_budget(nats: float | None) -> None:
    """Refuse a budget that is none.

    Raises:
        SteeringError: It is not above 0.
    """
    if nats is not None and not 0 < nats < math.inf:
        raise SteeringError(f"A budget of {nats} nats was given.", "a number above 0.", "Type a number such as 1.")


class Budget:
    """Holds what is trained at a cost."""

    def __init__(self, host: Host, everyday: Everyday, nats: float, parameters: Parameters, applied: Applied) -> None:
        """
        Args:
            host: The model.
            everyday: On what costs are measured.
            nats: The budget, above 0.
            parameters: What is trained.
            applied: How it would be applied.
        """
        self._host, self._everyday = host, everyday
        self._nats, self._parameters, self._applied = nats, parameters, applied

    def search(self) -> float:
        """Give what is trained the size that has the budget; what it then costs, in nats. Call on the model thread.

        By the secant through the last two sizes in the logarithms of size and cost, from the size that it has: which is
        near, but for the first time.

        Raises:
            SteeringError: What no size costs; an ablation that costs less is left at all of the projection.
        """
        if not self._parameters.length:
            return 0.0
        tried, factor = list[tuple[float, float]](), 1.0
        for _ in range(_MOST_LOOKS):
            self._parameters.times(factor)
            cost = self.measured()
            tried.append((math.log(self._parameters.length), math.log(max(cost, _LEAST))))
            if abs(cost / self._nats - 1) <= _CLOSE:
                return cost
            if self._parameters.trainee.mode == "ablate" and self._parameters.amount == 1.0 and cost < self._nats:
                note(f"Taken out wholly, the direction costs {cost:.2g} nats, less than the {self._nats:g} asked for.")
                return cost
            factor = self._factor(tried)
        return self._searched_widely()

    def _factor(self, tried: Sequence[tuple[float, float]]) -> float:
        """By how much the size changes next."""
        size, cost = tried[-1]
        slope = 2.0  # near no change KL grows like the square
        if len(tried) > 1 and abs(size - tried[-2][0]) > 1e-9:
            slope = (cost - tried[-2][1]) / (size - tried[-2][0])
        step = (math.log(self._nats) - cost) / slope if slope > _FLAT else 1.0 if cost < math.log(self._nats) else -1.0
        return math.exp(min(_STEP, max(-_STEP, step)))

    def _searched_widely(self) -> float:
        """The same by the search that all strengths in nats have, which brackets the budget first."""
        intervention, vectors = self._applied()
        asked = intervention.model_copy(update={"strength": self._nats, "unit": "nats"})
        found = calibrated(self._host, asked, vectors)
        if self._parameters.trainee.mode == "ablate":
            self._parameters.amount = found.strength
        else:
            self._parameters.times(found.strength)
        return found.measured

    def adjust(self) -> float:
        """Bring what is trained nearer to the budget; what it cost before, in nats. Call on the model thread.

        Near no change KL grows like the square of what is added, so that the root of the ratio is the factor; it is
        bounded, since further out it grows less.
        """
        if not self._parameters.length:
            return 0.0
        cost = self.measured()
        self._parameters.times(float(np.clip((self._nats / max(cost, 1e-9)) ** 0.5, 0.5, 2.0)))
        return cost

    def measured(self) -> float:
        """What it costs as it stands, in nats."""
        intervention, vectors = self._applied()
        return self._everyday.cost(tuple(writes_of(intervention, self._host, vectors)))
