"""A recipe at a strength of a sweep: what the strength means, and what its vector is replaced by."""

from __future__ import annotations

from steering.recipes.recipe import MODES, Intervention, Recipe
from steering.vectors.strength import UNITS


NEUTRAL = ("add", "ablate", "rotate")
"""Modes that do nothing at 0."""


def at_strength(recipe: Recipe, strength: float) -> Recipe:
    """A recipe at a strength of the sweep: that of its only intervention, or a factor of all.

    What does nothing there is left out.
    """
    parts = []
    for each in recipe.interventions:
        value = strength if len(recipe.interventions) == 1 else each.strength * strength
        if each.mode == "erase":
            if strength:
                parts.append(each)
        elif value or (each.mode not in NEUTRAL and each.unit != "nats"):
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
        parts.append(f"{names}, {MODES[each.mode].lower()}{where}")
    return "; ".join(parts)


def unit_of(recipe: Recipe) -> str:
    """The unit of a recipe's sweep, for people."""
    if len(recipe.interventions) != 1:
        return "× the recipe"
    (one,) = recipe.interventions
    return {"erase": "0 off, 1 erased", "ablate": "share ablated", "rotate": "degrees"}.get(one.mode, UNITS[one.unit])


def with_vector(given: Intervention, vector: str) -> Intervention:
    """The intervention with another vector and no condition; what cannot do without its own vector's means becomes an
    addition.
    """
    changed = given.model_copy(update={"vector": vector, "others": (), "gate": None})
    return changed if changed.mode in NEUTRAL else as_addition(changed)


def as_addition(given: Intervention) -> Intervention:
    """The intervention as an addition in a unit of length."""
    length = given.mode in ("add", "affine", "clamp")
    blocks = "default" if given.blocks == "everywhere" else given.blocks
    unit = given.unit if length else "mean_difference"
    return given.model_copy(update={"mode": "add", "unit": unit, "blocks": blocks, "others": ()})
