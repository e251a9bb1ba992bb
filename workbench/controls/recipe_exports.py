"""A recipe that stands in an editor as a file for another engine; asked for by the editor's script."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from steering.engines.export import export_recipe
from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from workbench.controls.offers import vectors_at_hand
from workbench.controls.recipe_reading import read_recipe
from workbench.doors.at_hand import limits_at_hand
from workbench.page.context import PanelContext
from workbench.places import without_places


_NAMES = {"vllm": "recipe-for-vllm", "gguf": "recipe.gguf"}
"""Checkpoints are as large as the model, and are saved by the command line."""


def exported(ui: PanelContext, sent: Any) -> dict[str, str]:
    """{"name", "data"} as base64, or {"said"}: what keeps the recipe from being told elsewhere.

    Args:
        ui: Of the panel.
        sent: `to` (vllm or gguf) and `recipe`; never trusted.
    """
    said = dict(sent) if isinstance(sent, Mapping) else {}
    try:
        name, content = _file(ui, str(said.get("to"))[:40], _recipe(said.get("recipe")))
    except SteeringError as error:
        return {"said": without_places(str(error))}
    return {"name": name, "data": base64.b64encode(content).decode()}


def _recipe(given: Any) -> Recipe:
    found, problems = read_recipe(given)
    if problems:
        raise problems[0].error
    if found is None:
        raise SteeringError("There is no recipe.", "one with an intervention.", "Add one.")
    return found


def _file(ui: PanelContext, to: str, recipe: Recipe) -> tuple[str, bytes]:
    if to not in _NAMES:
        raise SteeringError(f"A recipe for '{to}' was asked for.", f"one of {', '.join(_NAMES)}.")
    host = ui.bench.model.require()
    if limits_at_hand() is not None or not host.lane.near:
        raise SteeringError(
            "A file for another engine is compared with the model, which visitors of a public page ask by runs alone.",
            "the recipe as JSON.",
            "Copy it, and take it to `workbench export` on a machine of yours.",
        )
    with TemporaryDirectory() as folder:
        out = Path(folder) / _NAMES[to]
        export_recipe(to, recipe, host, vectors_at_hand(ui), out)
        return (out.name, out.read_bytes()) if out.is_file() else (f"{out.name}.zip", _packed(out))


def _packed(folder: Path) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
    return whole.getvalue()
