"""What a recipe does, in words, as it says it itself: without a model or the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from steering.model.sites import site_words
from steering.numbers import with_unit
from steering.recipes.modes import CLAMPED, MODES
from steering.vectors.strength import Unit, unit_words
from steering.vectors.vector import SteeringVector
from steering.writes.scopes import SCOPES


if TYPE_CHECKING:
    from steering.recipes.recipe import Intervention, Recipe

EVERY = "every block, each with its own direction"
_OWN = "× its own length"
"""The distance between the two sides' means of most vectors, and the typical maximum of a feature."""
_FEATURE = "× typical maximum"
_CLAMPS = {"set": "", "floor": ", kept from falling below", "ceil": ", kept from rising above"}


def in_words(recipe: Recipe, vectors: Mapping[str, SteeringVector] | None = None) -> list[str]:
    """Each intervention in words; where its vector is at hand, with the vector's own word for its unit."""
    known = vectors or {}
    features = {
        name for each in recipe.interventions if MODES[each.mode].feature for name in (each.vector, *each.others)
    }
    unknown = {each.vector: _FEATURE if each.vector in features else _OWN for each in recipe.interventions}
    return [
        f"{what(each)}{asked(each, known.get(each.vector), unknown[each.vector])} {_place(each)}{tokens(each)}"
        f"{condition(each, known)}"
        for each in recipe.interventions
    ]


def what(each: Intervention) -> str:
    """Mode and vectors."""
    mode, names = MODES[each.mode], " + ".join((each.vector, *each.others))
    return mode.phrase.format(names) if mode.phrase else f"{mode.title} {names}"


def asked(each: Intervention, vector: SteeringVector | None = None, unknown: str = _OWN) -> str:
    """The strength as it was asked for; in the vector's own words where it is at hand.

    Args:
        each: What is done.
        vector: With which vector.
        unknown: What a mean difference of the vector is called where it is not at hand.
    """
    mode = MODES[each.mode]
    unit = mode.scale.unit if mode.scale and each.unit != "nats" else _unit(each.unit, vector, unknown)
    held = _CLAMPS[each.clamp] if each.mode in CLAMPED else ""
    return f", {with_unit(f'{each.strength:g}', unit)}{held}" if mode.graded else ""


def tokens(each: Intervention) -> str:
    """Which tokens are written, where it is not all of them."""
    if isinstance(each.scope, tuple):
        return f", on the prompt's tokens {', '.join(map(str, each.scope))}"
    return "" if each.scope == "all" else f", on {SCOPES[each.scope]}"


def condition(each: Intervention, vectors: Mapping[str, SteeringVector]) -> str:
    """The condition, where there is one; its unit as `asked` has it."""
    gate = each.gate
    if not gate:
        return ""
    unit = _unit(gate.unit, vectors.get(gate.vector), _OWN)
    return f", where {gate.vector} is {gate.side} {with_unit(f'{gate.threshold:g}', unit)}"


def _unit(unit: Unit, vector: SteeringVector | None, unknown: str) -> str:
    return unknown if vector is None and unit == "mean_difference" else unit_words(unit, vector)


def _place(each: Intervention) -> str:
    site = f" ({site_words(each.site)})" if each.site else ""
    if isinstance(each.blocks, tuple):
        return f"at block {', '.join(map(str, each.blocks))}{site}"
    named = {"default": f"at its own block{site}", "everywhere": "everywhere, with the direction of its own block"}
    return named.get(each.blocks, f"at {EVERY}{site}")
