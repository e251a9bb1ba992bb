"""What a recipe does on a model, in words: at which block, and what a strength in nats came to."""

from __future__ import annotations

from collections.abc import Mapping

from steering.model.host import Host
from steering.numbers import with_unit
from steering.recipes.modes import MODES
from steering.recipes.nats import calibrated
from steering.recipes.recipe import Intervention, Recipe
from steering.recipes.words import EVERY, asked, condition, tokens, what
from steering.vectors.strength import in_all_units, unit_words
from steering.vectors.vector import SteeringVector


def applied(host: Host, recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> list[str]:
    """Each intervention in words: mode, vectors, strength with its unit, blocks, condition.

    A strength in nats also comes as what was measured, and in the mode's own unit.

    Raises:
        SteeringError: As `Recipe.plan`.
    """
    return [_line(host, each, vectors) for each in recipe.interventions]


def _line(host: Host, each: Intervention, vectors: Mapping[str, SteeringVector]) -> str:
    at = _blocks(host, each, vectors[each.vector].default_block)
    return f"{what(each)}{_strength(host, each, vectors)} at {at}{tokens(each)}{condition(each, vectors)}"


def _blocks(host: Host, each: Intervention, own: int) -> str:
    if each.blocks == "default":
        return f"block {own}"
    if each.blocks == "all":
        return EVERY
    if each.blocks == "everywhere":
        return f"{host.sites.everywhere_words}, with the direction of block {own}"
    return f"block {', '.join(map(str, each.blocks))}"


def _strength(host: Host, each: Intervention, vectors: Mapping[str, SteeringVector]) -> str:
    mode = MODES[each.mode]
    if not mode.graded:
        return ""
    if each.unit != "nats":
        return asked(each, vectors[each.vector])
    found = calibrated(host, each, vectors)
    if mode.scale:
        same = [with_unit(f"{found.strength:.3g}", mode.scale.unit)]
    else:
        vector = vectors[each.vector]
        block = each.blocks[0] if isinstance(each.blocks, tuple) else vector.default_block
        lengths = in_all_units(found.strength, "mean_difference", vector, block)
        same = [f"{value:.3g} {unit_words(unit, vector)}" for unit, value in lengths.items()]
    wanted, measured = (with_unit(number, "nats") for number in (f"{each.strength:g}", f"{found.measured:.3g}"))
    return f", {wanted} (= {' = '.join(same)}; measured {measured})"
