"""Units of strength. Inside, everything is raw: the length of what is added to the residual stream.

A vector is a unit direction, so `raw` is a length; it means something else in every model and block. One `x mean
difference` is the distance between the two sides' means along the direction, and one `x residual norm` is the mean
length of the states that were read, both at the block that is written. Of a vector that is the direction of a
dictionary's feature, what is called `x mean difference` elsewhere is `x typical maximum`, and `x trained length` of one
that was trained. `nats` is no length:
`steering.recipes.nats` finds the length that comes to it.
"""

from __future__ import annotations

from typing import Literal

from steering.errors import SteeringError
from steering.vectors.vector import SteeringVector
from steering.writes.operations import check_finite


LengthUnit = Literal["mean_difference", "residual_norm", "raw"]
Unit = Literal["mean_difference", "residual_norm", "raw", "nats"]
LENGTH_UNITS: dict[LengthUnit, str] = {
    "mean_difference": "× mean difference",
    "residual_norm": "× residual norm",
    "raw": "raw",
}

UNITS: dict[Unit, str] = {
    "mean_difference": "× mean difference",
    "residual_norm": "× residual norm",
    "raw": "raw",
    "nats": "nats",
}


def unit_words(unit: Unit, vector: SteeringVector | None = None) -> str:
    """A unit as people say it; where its vector is at hand, a length of 1 in the vector's own word (`measure`)."""
    return f"× {vector.measure}" if unit == "mean_difference" and vector is not None else UNITS[unit]


def unit_length(unit: str, vector: SteeringVector, block: int) -> float:
    """Raw length of one `unit` at a block.

    Raises:
        SteeringError: Unknown unit.
    """
    if unit not in LENGTH_UNITS:
        raise SteeringError(
            f"The unit '{unit}' was given.", f"one of {', '.join(LENGTH_UNITS)}.", "Choose one of these."
        )
    if unit == "raw":
        return 1.0
    lengths = vector.mean_differences if unit == "mean_difference" else vector.residual_norms
    return float(lengths[block])


def to_raw(strength: float, unit: str, vector: SteeringVector, block: int) -> float:
    """A strength in raw units at a block.

    Raises:
        SteeringError: Not a finite number, or an unknown unit.
    """
    return check_finite(strength) * unit_length(unit, vector, block)


def in_all_units(strength: float, unit: str, vector: SteeringVector, block: int) -> dict[LengthUnit, float]:
    """The same strength in every unit, at one block; a unit whose length is zero there is left out."""
    raw = to_raw(strength, unit, vector, block)
    lengths = {other: unit_length(other, vector, block) for other in LENGTH_UNITS}
    return {other: raw / length for other, length in lengths.items() if length}
