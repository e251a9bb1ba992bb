"""A budget in nats that a training keeps to, and what it costs as it stands.

The measure is that of `steering.recipes.nats`: the 95th percentile over tokens of KL(unsteered || steered), on the
unsteered model's own replies to everyday requests. So vectors of different losses are compared at equal cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steering.errors import SteeringError
from steering.job import note
from steering.model.host import Host
from steering.recipes.nats import PERCENTILE, calibrated, calibration_prompts, divergences, own_replies
from steering.recipes.recipe import Intervention
from steering.recipes.writes import Vectors, writes_of
from steering.training.trainee import Parameters


EVERY = 10
"""Steps between two looks at what the vector costs."""
Applied = Callable[[], tuple[Intervention, Vectors]]
"""How what is trained would be applied as it stands."""


class Budget:
    """Holds what is trained at a cost."""

    def __init__(self, host: Host, nats: float, parameters: Parameters, applied: Applied) -> None:
        """
        Args:
            host: The model.
            nats: The budget, above 0.
            parameters: What is trained.
            applied: How it would be applied.

        Raises:
            SteeringError: A budget that is none.
        """
        if not 0 < nats < float("inf"):
            raise SteeringError(f"A budget of {nats} nats was given.", "a number above 0.", "Type a number such as 1.")
        self._host, self._nats, self._parameters, self._applied = host, nats, parameters, applied

    def search(self) -> float:
        """Give what is trained the size that has the budget; what it then costs, in nats. Call on the model thread."""
        if not self._parameters.length:
            return 0.0
        intervention, vectors = self._applied()
        asked = intervention.model_copy(update={"strength": self._nats, "unit": "nats"})
        try:
            found = calibrated(self._host, asked, vectors)
        except SteeringError as error:
            if self._parameters.trainee.mode != "ablate":
                raise
            self._parameters.amount = 1.0
            note(f"The budget is not reached, so the direction is taken out wholly: {error}")
            return self.measured()
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
        return cost_of(self._host, *self._applied())


def cost_of(host: Host, intervention: Intervention, vectors: Vectors) -> float:
    """What an intervention costs at its strength: the 95th percentile of KL(unsteered || steered), nats."""
    plan = tuple(writes_of(intervention, host, vectors))
    found = divergences(host, [plan], own_replies(host, calibration_prompts()))
    return float(np.percentile(found.numpy(), PERCENTILE))
