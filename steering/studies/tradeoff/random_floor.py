"""The floor: the first recipe with random vectors of equal norm, or random features of equal activity, as its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steering.errors import SteeringError
from steering.extraction.controls import random_control, random_direction_like
from steering.recipes.nats import calibrated
from steering.recipes.recipe import Recipe
from steering.studies.tradeoff.curves import DIRECTIONS, FEATURES, Curve, Random
from steering.studies.tradeoff.making import Maker, alone
from steering.studies.tradeoff.random_features import MODES_ALIKE, random_features
from steering.studies.tradeoff.swept import at_strength, unit_of, with_vector
from steering.texts.questions import load_pairs
from steering.vectors.vector import SteeringVector


SHORT = 11
"""Strengths up to which the floor is read at all of them."""
INNERMOST = 5
_FAR_APART = 1000
"""Between the seeds of a recipe's several random vectors."""


def floor_curves(maker: Maker) -> list[Curve]:
    """The first recipe with random vectors of equal norm in place of its own; with random features of equal activity in
    place of features that are switched off or scaled.
    """
    drawn: dict[int, list[tuple[SteeringVector, ...]]] = {}
    settings = maker.settings
    own, seed, n = settings.recipes[0].interventions, settings.seed, settings.random
    for place, each in enumerate(own) if n else ():
        if each.mode not in MODES_ALIKE:
            continue
        pairs = load_pairs(maker.host, settings.subject, settings.n)
        try:
            drawn[place], said = random_features(maker.host, each, maker.vectors, pairs, n, seed=seed + place)
        except SteeringError as error:
            maker.notes.append(error.left_out("the random floor"))
            return []
        maker.notes.append(said)
    of = FEATURES if len(drawn) == len(own) else DIRECTIONS
    return [_random(maker, number, {place: sets[number] for place, sets in drawn.items()}, of) for number in range(n)]


def floor_strengths(sweep: tuple[float, ...]) -> tuple[float, ...]:
    """Where random directions are read: all strengths of a short sweep; of a longer one the innermost, whose slope is
    compared, and every other from there to both ends.
    """
    if len(sweep) <= SHORT:
        return sweep
    kept = set(sorted(sweep, key=abs)[:INNERMOST])
    for side in (-1, 1):
        outwards = sorted((s for s in sweep if s * side > 0), key=abs)
        kept |= {*outwards[1::2], *outwards[-1:]}
    return tuple(sorted(kept))


def _random(maker: Maker, number: int, features: Mapping[int, Sequence[SteeringVector]], of: Random) -> Curve:
    """One curve of the floor, with the features that were drawn for some interventions, by their place."""
    own, parts = maker.settings.recipes[0].interventions, []
    for place, each in enumerate(own):
        if place in features:
            maker.vectors |= {vector.name: vector for vector in features[place]}
            first, *others = (vector.name for vector in features[place])
            parts.append(each.model_copy(update={"vector": first, "others": tuple(others), "gate": None}))
            continue
        alike = random_direction_like if each.blocks == "everywhere" else random_control
        control = alike(maker.vectors[each.vector], seed=maker.settings.seed + number + _FAR_APART * place)
        maker.vectors[control.name] = control
        parts.append(with_vector(each, control.name))
    recipe = Recipe(interventions=tuple(parts))
    strengths = maker.strengths(recipe)
    strengths = floor_strengths(maker.sweep) if strengths == maker.sweep else strengths
    recipes = [_at(maker, recipe, strength) for strength in strengths]
    unit = unit_of(recipe, maker.vectors)
    return maker.curve(f"random {number}", f"{of.one} {number}", unit, strengths, recipes, floor=of)


def _at(maker: Maker, recipe: Recipe, strength: float) -> Recipe:
    """Random vectors at a strength. In nats they are as long as the vector that has that budget, since it is equal norm
    that they are compared at.
    """
    own, first = maker.settings.recipes[0].interventions, recipe.interventions[0]
    if len(own) == 1 and own[0].unit == "nats" and strength and first.mode in ("add", "rotate"):
        found = calibrated(maker.host, own[0].model_copy(update={"strength": strength}), maker.vectors)
        return alone(first.model_copy(update={"strength": found.strength, "unit": "mean_difference"}))
    return at_strength(recipe, strength)
