"""What the strength slider shows for a mode and a unit, and the sentence below it."""

from __future__ import annotations

from typing import Any

from steering.errors import SteeringError
from steering.recipes.recipe import parse_blocks
from steering.vectors.strength import LENGTH_UNITS, UNITS, Unit, in_all_units, unit_length
from steering.vectors.vector import SteeringVector
from workbench.page.markup import note


_REACH = 4.0
"""The slider's ends, in mean differences; wider where a vector's suggested strength asks for it."""
_BUDGET = {"minimum": -8, "maximum": 8, "step": 0.05, "label": "Strength", "visible": True}
_OWN: dict[str, dict[str, Any]] = {
    "ablate": {"minimum": 0, "maximum": 1, "step": 0.05, "value": 1.0, "label": "Share removed", "visible": True},
    "rotate": {"minimum": -180, "maximum": 180, "step": 1, "value": 30, "label": "Degrees towards it", "visible": True},
    "erase": {"minimum": 0, "maximum": 1, "step": 1, "value": 1, "visible": False},
}
"""Sliders of the modes whose strength is no length."""
_OWN_UNITS = {"ablate": "share", "rotate": "degrees"}
_SAID = {
    "ablate": "1 removes the direction wholly, 0 leaves the model as it is.",
    "rotate": "Turns the state towards the vector, away from it below 0, and keeps its length.",
    "erase": "Takes away what a linear probe could read; needs a vector made by LEACE.",
}
_NATS = (
    "The 95th percentile over tokens of KL to the unsteered model, on everyday requests. It is measured before the "
    "run, which takes a few seconds the first time."
)


def slider(
    vector: SteeringVector, mode: str, unit: Unit, value: float | None, blocks: str = "default"
) -> dict[str, dict[str, Any]]:
    """Properties of the controls `strength`, `unit`, `unit_seen` and `equals` for a mode and a unit.

    Args:
        vector: Whose scale counts.
        mode: Of the intervention.
        unit: Of the strength.
        value: The strength; the vector's suggestion, or the mode's own first value, where None.
        blocks: As typed.
    """
    if mode in _OWN and (unit != "nats" or mode == "erase"):
        own, unit = _OWN[mode], "mean_difference"
        value, strength = own["value"], own
    elif unit == "nats":
        value = 1.0 if value is None else value
        strength = {**_BUDGET, "value": value}
    else:
        value = float(f"{vector.suggested_strength if value is None else value:.3g}")
        strength = _lengths(vector, unit, value, blocks)
    return {
        "strength": strength,
        "unit": {"visible": mode != "erase", "value": unit, "choices": _units(mode)},
        "unit_seen": {"value": unit},
        "equals": {"value": told(vector, mode, blocks, value, unit)},
    }


def _units(mode: str) -> list[tuple[str, str]]:
    if mode in _OWN_UNITS:  # of the lengths none means anything there
        return [(_OWN_UNITS[mode], "mean_difference"), (UNITS["nats"], "nats")]
    return [(label, name) for name, label in UNITS.items()]


def converted(
    vector: SteeringVector, mode: str, blocks: str, strength: float, unit: Unit, unit_seen: Unit
) -> dict[str, dict[str, Any]]:
    """As `slider`, after a change of unit: the same strength, except to and from nats, which are no length."""
    if unit == "nats" or unit_seen == "nats":
        return slider(vector, mode, unit, None, blocks)
    return slider(vector, mode, unit, in_all_units(strength, unit_seen, vector, block_of(vector, blocks))[unit], blocks)


def _lengths(vector: SteeringVector, unit: Unit, value: float, blocks: str) -> dict[str, Any]:
    block = block_of(vector, blocks)
    reach = max(_REACH, 2 * abs(vector.suggested_strength)) * abs(unit_length("mean_difference", vector, block))
    reach = _round_up(max(reach / (unit_length(unit, vector, block) or 1.0), abs(value)))
    step = reach / 200
    return {"minimum": -reach, "maximum": reach, "step": step, "value": value, "label": "Strength", "visible": True}


def told(vector: SteeringVector | None, mode: str, blocks: str, strength: float | None, unit: str) -> str:
    """The same strength in the other units, or what the mode does with it."""
    if vector is None or strength is None:
        return ""
    if unit == "nats" and mode != "erase":
        return note(_NATS)
    if mode in _SAID:
        return note(_SAID[mode])
    try:
        block = block_of(vector, blocks)
        others = in_all_units(strength, unit, vector, block)
    except SteeringError as error:
        return note(str(error))
    parts = [f"{value:.3g} {LENGTH_UNITS[other]}" for other, value in others.items() if other != unit]
    where = f"at block {block}"
    if parse_blocks(str(blocks or "")) in ("all", "everywhere"):
        where += "; at the others by their own scale"
    if mode in ("affine", "clamp"):
        where += "; counted from the negative side's mean"
    return note(f"= {' = '.join(parts)}, {where}")


def block_of(vector: SteeringVector, blocks: str | None) -> int:
    """The block that a strength is told for: the first of those written, the default where all are."""
    parsed = parse_blocks(str(blocks or ""))
    block = vector.default_block if isinstance(parsed, str) else parsed[0]
    if not 0 <= block < vector.n_blocks:
        raise SteeringError(f"Block {block}.", f"0 to {vector.n_blocks - 1}.")
    return block


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten, so that the slider's ends are round."""
    scale = 1.0
    while value > 10 * scale:
        scale *= 10
    while value <= scale and scale > 1e-6:
        scale /= 10
    return next(factor * scale for factor in (1, 2, 4, 5, 10) if value <= factor * scale * (1 + 1e-9))
