"""What curves are made of: recipes at the strengths that they can take, and the vectors that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steering.extraction.again import extract_again
from steering.extraction.sources import find_vector, origin_of
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.recipes.modes import MODES
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.store import digest
from steering.studies.tradeoff.curves import UNSTEERED, Curve, Random
from steering.studies.tradeoff.items import Treatment
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.studies.tradeoff.swept import at_strength, unit_of, with_vector
from steering.vectors.vector import SteeringVector


_FEWEST_SHARES = 3


class Maker:
    """Makes curves of a trade-off's settings. Call on the model thread."""

    def __init__(self, host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector]) -> None:
        """Find the vectors that the recipes name.

        Raises:
            SteeringError: One cannot be found.
        """
        self.host, self.settings, self.sweep = host, settings, settings.sweep
        names = dict.fromkeys(name for recipe in settings.recipes for name in recipe.vectors)
        self.vectors = {name: find_vector(host, name, settings.vectors, vectors) for name in names}
        """Of all curves, by name."""
        self.notes = [origin_of(name, vector) for name, vector in self.vectors.items()]
        self.first = settings.recipes[0].interventions[0]
        """What is compared to is of the first recipe's first intervention."""

    def of_recipe(self, key: str, title: str, recipe: Recipe, *, control: bool = False) -> Curve:
        """A recipe at those strengths of the sweep that it can take."""
        strengths = self.strengths(recipe)
        recipes = [at_strength(recipe, strength) for strength in strengths]
        return self.curve(key, title, unit_of(recipe, self.vectors), strengths, recipes, control=control)

    def strengths(self, recipe: Recipe) -> tuple[float, ...]:
        """Those of the sweep that a recipe can take."""
        if len(recipe.interventions) != 1:
            return self.sweep
        mode = MODES[recipe.interventions[0].mode]
        if not mode.graded:
            return (0.0, 1.0)
        if mode.scale is None:
            return self.sweep
        low, high = mode.scale.low, mode.scale.high
        return self._shares() if (low, high) == (0, 1) else tuple(s for s in self.sweep if low <= s <= high)

    def curve(
        self,
        key: str,
        title: str,
        unit: str,
        strengths: Sequence[float],
        recipes: Sequence[Recipe],
        *,
        floor: Random | None = None,
        control: bool = False,
    ) -> Curve:
        """A curve of recipes, one a strength."""
        treatments = tuple(self._treatment(recipe) for recipe in recipes)
        return Curve(key, title, unit, tuple(strengths), treatments, tuple(recipes), floor, control)

    def swept(self, key: str, title: str, vector: SteeringVector, *, control: bool = False) -> Curve:
        """The first intervention with another vector."""
        self.vectors[vector.name] = vector
        return self.of_recipe(key, title, alone(with_vector(self.first, vector.name)), control=control)

    def again(self, method: str) -> SteeringVector:
        """The first vector's contrast set by another method.

        Raises:
            SteeringError: As `extract_again`.
        """
        vector = self.vectors[self.first.vector]
        return extract_again(self.host, vector, method, name=f"{vector.name} ({method})")

    def behind(self, preface: Sequence[Message]) -> Treatment:
        """What stands before every question, tried on the model's template at once."""
        render(self.host, (*preface, Message("user", "Hello.")))
        return replace(UNSTEERED, preface=tuple(preface))

    def _treatment(self, recipe: Recipe) -> Treatment:
        if not recipe.interventions:
            return UNSTEERED
        named = recipe.renamed({name: self.vectors[name].content for name in recipe.vectors})
        interventions = [each.model_dump(mode="json") for each in named.interventions]
        return Treatment(plan_of(recipe, self.host, self.vectors), digest(interventions))

    def _shares(self) -> tuple[float, ...]:
        """The strengths of the sweep from 0 to 1, or as many steps as the sweep has above 0, at most ten."""
        own = tuple(s for s in self.sweep if 0 <= s <= 1)
        if len(own) >= _FEWEST_SHARES:
            return tuple(sorted({0.0, *own, 1.0}))
        steps = min(10, max(2, sum(s > 0 for s in self.sweep)))
        return tuple(step / steps for step in range(steps + 1))


def alone(intervention: Intervention) -> Recipe:
    """A recipe of one intervention."""
    return Recipe(interventions=(intervention,))
