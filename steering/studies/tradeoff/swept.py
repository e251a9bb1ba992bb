"""A recipe at a strength of a sweep: what the strength means, and what its vector is replaced by."""

from __future__ import annotations

from collections.abc import Mapping

from steering.recipes.modes import MODES
from steering.recipes.recipe import Intervention, Recipe
from steering.vectors.strength import unit_words
from steering.vectors.vector import SteeringVector


def at_strength(recipe: Recipe, strength: float) -> Recipe:
    """A recipe at a strength of the sweep: that of its only intervention, or a factor of all.

    What does nothing there is left out.
    """
    parts = []
    for each in recipe.interventions:
        value = strength if len(recipe.interventions) == 1 else each.strength * strength
        if not MODES[each.mode].graded:
            if strength:
                parts.append(each)
        elif value or (not MODES[each.mode].neutral and each.unit != "nats"):
            parts.append(each.model_copy(update={"strength": value}))
    return recipe.model_copy(update={"interventions": tuple(parts)})


def recipe_title(recipe: Recipe) -> str:
    """What a recipe does, in a few words."""
    parts = []
    for each in recipe.interventions:
        names = " + ".join((each.vector, *each.others))
        blocks = each.blocks if isinstance(each.blocks, str) else ", ".join(map(str, each.blocks))
        where = {"default": "", "all": ", all blocks", "everywhere": ", everywhere"}.get(
            str(blocks), f", block {blocks}"
        )
        parts.append(f"{names}, {MODES[each.mode].title.lower()}{where}")
    return "; ".join(parts)


def unit_of(recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> str:
    """The unit of a recipe's sweep, for people."""
    if len(recipe.interventions) != 1:
        return "× the recipe"
    (one,) = recipe.interventions
    mode = MODES[one.mode]
    said = {"erase": "0 off, 1 erased", "ablate": "share ablated", "feature_off": "0 as it is, 1 switched off"}
    length = unit_words(one.unit, vectors[one.vector])
    own = "0 off, 1 on" if not mode.graded else mode.scale.unit if mode.scale and one.unit != "nats" else length
    return said.get(one.mode, own)


def with_vector(given: Intervention, vector: str) -> Intervention:
    """The intervention with another vector and no condition; what cannot do without its own vector's means becomes an
    addition.
    """
    changed = given.model_copy(update={"vector": vector, "others": (), "gate": None})
    return changed if MODES[changed.mode].graded and MODES[changed.mode].neutral else as_addition(changed)


def as_addition(given: Intervention) -> Intervention:
    """The intervention as an addition in a unit of length."""
    blocks = "default" if given.blocks == "everywhere" else given.blocks
    unit = given.unit if MODES[given.mode].length or given.unit == "nats" else "mean_difference"
    return given.model_copy(update={"mode": "add", "unit": unit, "blocks": blocks, "others": ()})
