"""What a recipe editor's script asks of saved and shipped recipes: list, load, save, remove, have back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from workbench.controls.offers import fitting, vector_named
from workbench.controls.recipe_reading import read_recipe
from workbench.library.recipes import KIND, shipped, shipped_recipe
from workbench.page.context import PanelContext
from workbench.places import without_places


def answered(
    ui: PanelContext, sent: Any, owner: str | None, plain: Callable[[Recipe], dict[str, Any]]
) -> dict[str, Any]:
    """The answer to what a script asked; always with the list as it is then.

    Args:
        ui: Of the panel.
        sent: `do` ("list", "load", "ship", "save", "remove" or "restore") with `name`, `recipe`, `vector` or `id`;
            never trusted.
        owner: Whose recipes; None for whoever is at the machine.
        plain: A recipe as the editor holds it.
    """
    said = dict(sent) if isinstance(sent, Mapping) else {}
    texts = {name: value for name in ("do", "name", "vector", "id") if isinstance(value := said.get(name), str)}
    try:
        answer = _done(ui, texts, said.get("recipe"), owner, plain)
    except SteeringError as error:
        answer = {"said": without_places(str(error))}
    removed = ui.workspace.bin.find(KIND, owner)
    return {
        **answer,
        "saved": ui.workspace.recipes.names(owner),
        "shipped": list(shipped().items()),
        "removed": {"id": removed[0].id, "name": removed[0].name} if removed else None,
    }


def _done(
    ui: PanelContext, said: dict[str, str], recipe: Any, owner: str | None, plain: Callable[[Recipe], dict[str, Any]]
) -> dict[str, Any]:
    recipes, name = ui.workspace.recipes, said.get("name", "")
    match said.get("do"):
        case "load":
            return {"recipe": plain(recipes.get(name, owner))}
        case "ship":
            vector = vector_named(ui, said.get("vector")) or vector_named(ui, next(iter(fitting(ui)), None))
            if vector is None:
                raise SteeringError("The shelf has no vector for it.", "a vector that fits.", "Extract one first.")
            return {"recipe": plain(shipped_recipe(name, vector))}
        case "save":
            found, problems = read_recipe(recipe)
            if found is None or problems:
                raise problems[0].error
            return {"name": recipes.put(found, name, owner)}
        case "remove":
            recipes.remove(name, owner)
        case "restore":
            return {"name": recipes.restore(said.get("id", ""), owner)}
    return {}
