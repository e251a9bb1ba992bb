"""From a recipe and the vectors that it names to the writes of one row."""

from __future__ import annotations

from steering.model.host import Host
from steering.recipes.modes import MODES
from steering.recipes.nats import calibrated
from steering.recipes.recipe import Intervention, Recipe
from steering.recipes.writes import Vectors, writes_of
from steering.writes.interventions import Plan


def plan_of(recipe: Recipe, host: Host, vectors: Vectors) -> Plan:
    """The writes of one row, in the order of the recipe's interventions.

    Args:
        recipe: What to apply.
        host: The model.
        vectors: By name, at least those that the recipe names.

    Raises:
        SteeringError: As `steering.recipes.writes.writes_of`, and for one in nats `steering.recipes.nats.calibrated`.
    """
    measured = [_measured(intervention, host, vectors) for intervention in recipe.interventions]
    return tuple(write for intervention in measured for write in writes_of(intervention, host, vectors))


def _measured(intervention: Intervention, host: Host, vectors: Vectors) -> Intervention:
    """The intervention with a strength in nats put into its mode's own unit; each is measured by itself."""
    if intervention.unit != "nats" or not MODES[intervention.mode].graded:
        return intervention
    strength = calibrated(host, intervention, vectors).strength
    return intervention.model_copy(update={"strength": strength, "unit": "mean_difference"})
