"""Recipes that apply what was trained, as files of a result."""

from __future__ import annotations

from steering.errors import SteeringError
from steering.model.host import Host
from steering.names import safe_name
from steering.recipes.recipe import Recipe
from steering.studies.study import Result
from steering.training.trained import Trained


def recipe_file(key: str) -> str:
    """Name of the file with the recipe of a row."""
    return f"{safe_name(key)} recipe.json"


def recipe_text(trained: Trained, host: Host) -> str:
    """The recipe that writes a vector as it was written in training, at the strength that it was trained to."""
    return Recipe(interventions=(trained.intervention,)).stamped(host).model_dump_json(indent=2)


def recipe_of(result: Result, key: str) -> Recipe:
    """The recipe of a row of a result.

    Raises:
        SteeringError: It has none.
    """
    text = result.files.get(recipe_file(key))
    if text is None:
        raise SteeringError(
            f"The run has no recipe of '{key[:60]}'.", "a vector that it trained.", "Choose another row."
        )
    return Recipe.model_validate_json(text)
