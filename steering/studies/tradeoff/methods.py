"""The curves of a trade-off: recipes, what they are compared to, and random directions, each at its strengths."""

from __future__ import annotations

from collections.abc import Mapping

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.tradeoff.beside import BESIDE
from steering.studies.tradeoff.curves import Curves
from steering.studies.tradeoff.making import Maker
from steering.studies.tradeoff.random_floor import floor_curves
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.studies.tradeoff.swept import recipe_title
from steering.vectors.vector import SteeringVector


def make_curves(host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector]) -> Curves:
    """Make the curves that settings ask for. Call on the model thread.

    Args:
        host: The model.
        settings: What to compare.
        vectors: By name; those that are missing are read from the settings' folder, or extracted from presets.

    Raises:
        SteeringError: A vector that cannot be found, strengths that a mode cannot take.
    """
    maker = Maker(host, settings, vectors)
    plain = [recipe.model_copy(update={"model": ""}) for recipe in settings.recipes]
    curves = [maker.of_recipe(f"recipe {a}", recipe_title(r), r) for a, r in zip("ABC", plain, strict=False)]
    for key in dict.fromkeys(settings.compare):
        beside = BESIDE[key]
        try:
            curves.append(beside.make(maker, beside.title))
        except SteeringError as error:
            maker.notes.append(error.left_out(beside.title))
    curves += floor_curves(maker)
    return Curves(tuple(curves), maker.vectors, tuple(maker.notes))
