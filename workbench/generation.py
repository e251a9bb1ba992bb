"""Recipes and the shelf: the vectors that they name, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from steering.recipes.recipe import Recipe
from steering.vectors.vector import SteeringVector
from workbench.workspace import Workspace


def vectors_of(recipes: Iterable[Recipe], workspace: Workspace) -> dict[str, SteeringVector]:
    """The vectors that recipes name, from the shelf.

    Raises:
        SteeringError: One of them is not there.
    """
    return {name: workspace.get(name).vector for recipe in recipes for name in recipe.vectors}


def on_the_shelf(workspace: Workspace, recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> Recipe:
    """The recipe with these vectors on the shelf: those that are not there are put there, under another name where one
    of the same name is another vector.
    """
    return recipe.renamed({name: workspace.put(vectors[name], name) for name in recipe.vectors if name in vectors})
