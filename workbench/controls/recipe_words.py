"""What a recipe does on a model, in words."""

from __future__ import annotations

from collections.abc import Mapping

from steering.model.host import Host
from steering.recipes.nats import calibrated
from steering.recipes.recipe import MODES, Intervention, Recipe
from steering.vectors.strength import UNITS, in_all_units
from steering.vectors.vector import SteeringVector


_OWN_UNITS = {"ablate": "of the projection", "rotate": "degrees"}


def applied(host: Host, recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> list[str]:
    """Each intervention in words: mode, vectors, strength with its unit, blocks, condition.

    A strength in nats also comes as what was measured, and in the mode's own unit.

    Raises:
        SteeringError: As `Recipe.plan`.
    """
    return [_line(host, each, vectors) for each in recipe.interventions]


def _line(host: Host, each: Intervention, vectors: Mapping[str, SteeringVector]) -> str:
    names = " + ".join((each.vector, *each.others))
    what = f"{MODES[each.mode]} {names}{_strength(host, each, vectors)}"
    gate = each.gate
    condition = f", where {gate.vector} is {gate.side} {gate.threshold:g} {UNITS[gate.unit]}" if gate else ""
    return f"{what} at {_blocks(host, each, vectors[each.vector].default_block)}{condition}"


def _blocks(host: Host, each: Intervention, own: int) -> str:
    if each.blocks == "default":
        return f"block {own}"
    if each.blocks == "all":
        return "every block, each with its own direction"
    if each.blocks == "everywhere":
        return f"{host.sites.everywhere_words}, with the direction of block {own}"
    return f"block {', '.join(map(str, each.blocks))}"


def _strength(host: Host, each: Intervention, vectors: Mapping[str, SteeringVector]) -> str:
    if each.mode == "erase":
        return ""
    if each.unit != "nats":
        return f", {each.strength:g} {_OWN_UNITS.get(each.mode, UNITS[each.unit])}"
    found = calibrated(host, each, vectors)
    if each.mode in _OWN_UNITS:
        same = [f"{found.strength:.3g} {_OWN_UNITS[each.mode]}"]
    else:
        vector = vectors[each.vector]
        block = each.blocks[0] if isinstance(each.blocks, tuple) else vector.default_block
        lengths = in_all_units(found.strength, "mean_difference", vector, block)
        same = [f"{value:.3g} {UNITS[unit]}" for unit, value in lengths.items()]
    return f", {each.strength:g} nats (= {' = '.join(same)}; measured {found.measured:.3g} nats)"
