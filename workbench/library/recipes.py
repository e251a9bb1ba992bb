"""Recipes that were saved under a name, a JSON file each, as `workbench steer --recipe` takes it; and shipped ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from steering.bounds import check_value
from steering.errors import SteeringError
from steering.names import safe_name
from steering.own_files import claim, temporary_beside
from steering.recipes.recipe import Recipe
from steering.resources import resource
from steering.validation import validated
from steering.vectors.vector import SteeringVector
from steering.yaml_files import load_yaml
from workbench.library.removed import Bin, Removed


KIND = "recipe"
"""What saved recipes are called among what was removed."""
ANY_VECTOR = "*"
"""What a shipped recipe names in place of a vector; no vector of a shelf can be called so."""
_SUFFIX = ".json"


class Recipes:
    """The saved recipes of a workspace; those of visitors of a page that others reach lie apart."""

    def __init__(self, folder: Path, bin: Bin, changed: Callable[[], None] = lambda: None) -> None:
        """Open them; the folder appears with the first one.

        Args:
            folder: Where they lie.
            bin: Where what is removed goes meanwhile.
            changed: Called whenever there is something else to list.
        """
        self._folder = folder
        self._bin = bin
        self._changed = changed
        self._lock = threading.RLock()

    def names(self, owner: str | None = None) -> list[str]:
        """What is saved, in alphabetical order; whose, as everywhere here: a visitor's, or where None or "" that of
        whoever is at the machine.
        """
        files = self._place(owner).glob(f"*{_SUFFIX}")
        return sorted((path.stem for path in files if not path.name.startswith(".")), key=str.casefold)

    def get(self, name: str, owner: str | None = None) -> Recipe:
        """One of them.

        Raises:
            SteeringError: There is none, or its file is damaged.
        """
        return Recipe.load(self._known(name, owner))

    def put(self, recipe: Recipe, name: str, owner: str | None = None) -> str:
        """Save a recipe; gives the name it got, which is safe as a file's.

        Raises:
            SteeringError: No name was given, another recipe has it, or it cannot be written.
        """
        check_value("The recipe", "name", name)
        if not name.strip():
            raise SteeringError("The recipe has no name.", "a name to find it by.", "Type one.")
        wanted = safe_name(name)
        path = self._place(owner) / f"{wanted}{_SUFFIX}"
        try:
            with self._lock, temporary_beside(path) as temporary:
                temporary.write_text(recipe.to_json(), encoding="utf-8")
                if not claim(temporary, path) and path.read_text(encoding="utf-8") != recipe.to_json():
                    raise SteeringError(
                        f"There is a recipe '{wanted}' already, and it is another one.",
                        "a name that is free.",
                        "Choose another name, or remove that one first: it can be had back.",
                    )
        except (OSError, UnicodeDecodeError) as error:
            raise SteeringError(
                f"The recipe '{wanted}' cannot be saved: {getattr(error, 'strerror', None) or error}.",
                "a workspace folder that can be written, with room on its disk.",
                "Free some space, or start the workbench with another --workspace.",
            ) from error
        self._changed()
        return wanted

    def remove(self, name: str, owner: str | None = None) -> Removed:
        """Take a recipe off the list; see `restore`.

        Raises:
            SteeringError: There is none, or it cannot be removed.
        """
        removed = self._bin.put(self._known(name, owner), KIND, name, owner=owner or "")
        self._changed()
        return removed

    def restore(self, id: str, owner: str | None = None) -> str:
        """Have a recipe back; gives its name, numbered where it is taken meanwhile.

        Args:
            id: Of what `remove` gave.
            owner: Only what this visitor removed; anybody's where None.

        Raises:
            SteeringError: It is gone for good, or cannot be moved back.
        """
        removed = self._bin.get(id, owner)
        place, name, number = self._place(removed.owner), removed.name, 2
        while not self._bin.back(removed, place / f"{name}{_SUFFIX}"):
            name, number = f"{removed.name} {number}", number + 1
        self._changed()
        return name

    def rename_vector(self, name: str, new: str) -> None:
        """Have all of them name a vector by its next name; what cannot be read or written stays as it is."""
        for path in self._folder.rglob(f"*{_SUFFIX}"):
            with contextlib.suppress(SteeringError, OSError), self._lock:
                recipe = Recipe.load(path)
                if name in recipe.vectors:
                    with temporary_beside(path) as temporary:
                        temporary.write_text(recipe.renamed({name: new}).to_json(), encoding="utf-8")
                        os.replace(temporary, path)

    def _known(self, name: str, owner: str | None) -> Path:
        """The file of a name that is listed, so that no name leads elsewhere."""
        if name not in self.names(owner):
            raise SteeringError(f"There is no saved recipe '{name[:80]}'.", "a name of the list.", "Choose another.")
        return self._place(owner) / f"{name}{_SUFFIX}"

    def _place(self, owner: str | None) -> Path:
        """Visitors are no names of folders."""
        return self._folder / "visitors" / hashlib.sha256(owner.encode()).hexdigest() if owner else self._folder


def shipped() -> dict[str, str]:
    """Recipes that ship with the project: name -> title."""
    files = sorted(resource("presets", "recipes").glob("*.yaml"))
    return {path.stem: load_yaml(path.read_text(encoding="utf-8"), path.name)["title"] for path in files}


def shipped_recipe(name: str, vector: SteeringVector) -> Recipe:
    """A shipped recipe for a vector: an added strength of 1 becomes the vector's own suggestion.

    Raises:
        SteeringError: There is none of this name.
    """
    if name not in shipped():
        raise SteeringError(f"There is no shipped recipe '{name[:80]}'.", f"one of {', '.join(shipped())}.")
    path = resource("presets", "recipes", f"{name}.yaml")
    content = load_yaml(path.read_text(encoding="utf-8"), path.name)
    recipe = validated(Recipe, {"interventions": content["interventions"]}, path.name).renamed(
        {ANY_VECTOR: vector.name}
    )
    scaled = [
        each.model_copy(update={"strength": each.strength * vector.suggested_strength}) if each.mode == "add" else each
        for each in recipe.interventions
    ]
    return recipe.model_copy(update={"interventions": tuple(scaled)})
