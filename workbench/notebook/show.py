"""`wb.show`: a panel of the workbench below a cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.recipes.words import in_words
from steering.studies.steer import SteerSettings
from steering.studies.study import recipes_of
from steering.validation import validated
from workbench.generation import vectors_of
from workbench.notebook.shelf import ShelfMapping


if TYPE_CHECKING:
    from steering.model.host import Host
    from steering.recipes.recipe import Recipe
    from steering.vectors.vector import SteeringVector
    from workbench.bench import Workbench
    from workbench.notebook.shown import ShownPanel
    from workbench.panel import Panel

LOWEST, HIGHEST = 100, 5000
"""Pixels of a frame's height."""
_LONGEST = 200
"""Characters of a prompt that is told below a frame."""


def show(
    panel: str = "steer",
    host: Host | None = None,
    *,
    settings: BaseModel | Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    vectors: Mapping[str, SteeringVector] | None = None,
    height: int = 700,
    workspace: Path | str | None = None,
    port: int | None = None,
    address: str | None = None,
    share: bool = False,
) -> ShownPanel:
    """Show a panel in the notebook, on the model that the cells use, and print a link to it.

    There is one copy of the model: cells and page take turns on its thread. A second call for the same model shows
    another panel of the same server, which ends with the kernel or by the handle's `close()`. In a plain script the
    link alone is printed.

    Args:
        panel: Its title, such as "Trade-off", or its id: "vectors", "train", "steer", "grid", "refusal", "tradeoff",
            "probe", "features", "runs".
        host: The model, by `Host.load` or `Host.wrap`; where None that of the page which was shown last.
        settings: What stands in the panel's form when it opens: the panel's settings, or some of their fields by name.
        recipe: What stands in the recipe of a panel that has one (Steer, Grid, Trade-off).
        vectors: Put on the shelf first, under these names.
        height: Of the frame, in pixels.
        workspace: Folder in which vectors, runs and recipes are kept. Where None, that of the model's page that is
            served already, or else the user's own, as on the command line: what is made is there tomorrow, too.
        port: To listen on; any free one where None.
        address: Where the browser reaches that port, with {port} for its number, such as "/proxy/{port}". Found from
            the environment where None: Colab, JupyterHub with jupyter-server-proxy, or this machine.
        share: Have a link that browsers anywhere can open as long as the kernel runs, through Gradio's servers.
            Whoever has it can use the model and see the workspace.

    Raises:
        SteeringError: There is no model or no such panel, settings that the panel does not take, a recipe that names a
            vector which the shelf does not have, or a page that cannot be served.
    """
    from workbench.notebook.served import served
    from workbench.notebook.shown import ShownPanel

    if isinstance(height, bool) or not isinstance(height, int) or not LOWEST <= height <= HIGHEST:
        raise SteeringError(f"The height {height!r}.", f"a whole number of pixels from {LOWEST} to {HIGHEST}.")
    found = served(panel, host, workspace=workspace, port=port, address=address, share=share)
    bench = found.bench
    shelf = ShelfMapping(bench.workspace)
    for name, vector in (vectors or {}).items():
        shelf[name] = vector
    opening = _opening(bench, bench.catalogue.get(panel), settings, recipe)
    query = {} if opening is None else {"take": bench.sent.put(opening)}
    said = "" if opening is None else _said(opening)
    shown = ShownPanel(found, bench.catalogue.get(panel), height=height, query=query, said=said)
    shown.show()
    return shown


def _opening(
    bench: Workbench, panel: Panel, settings: BaseModel | Mapping[str, Any] | None, recipe: Recipe | None
) -> BaseModel | None:
    """What the panel opens with; None where nothing is said.

    Raises:
        SteeringError: It does not take that.
    """
    if settings is None and recipe is None:
        return None
    found = _settings(panel, settings, recipe)
    taken = bench.sent.kinds(panel.id)
    if not isinstance(found, taken):
        names = " or ".join(kind.__name__ for kind in taken)
        raise SteeringError(
            f"The panel {panel.title} was to open with {'a recipe' if settings is None else type(found).__name__}.",
            f"{names} or their fields." if names else "nothing: its form takes none from elsewhere.",
            "Leave settings= and recipe= out, or show another panel.",
        )
    vectors_of(recipes_of(found), bench.workspace)
    return found


def _said(opening: BaseModel) -> str:
    """What a panel opens with, for whoever reads the notebook without the page."""
    prompt = next((each for name in ("user", "prompt") if (each := getattr(opening, name, None))), "")
    recipes = ["; ".join(in_words(recipe)) for recipe in recipes_of(opening) if recipe.interventions]
    said = [f"prompt “{str(prompt)[:_LONGEST]}”"] if prompt else []
    return ", ".join((*said, *(f"recipe: {words}" for words in recipes)))


def _settings(panel: Panel, settings: BaseModel | Mapping[str, Any] | None, recipe: Recipe | None) -> BaseModel:
    """Settings and recipe together; the panel's own, or a prompt with a recipe where nothing else is said."""
    kind = panel.settings if settings is not None else SteerSettings
    if isinstance(settings, BaseModel):
        kind = type(settings)
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
    else:
        given = dict(settings or {})
    if kind is None:
        raise SteeringError(f"The panel {panel.title} has no settings.", remedy="Leave settings= out.")
    if recipe is not None:
        given |= {
            name: each for name, each in (("recipe", recipe), ("recipes", (recipe,))) if name in kind.model_fields
        }
    return validated(kind, given, f"Settings of {panel.title}")
