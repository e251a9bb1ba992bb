"""Finding panels: the built-in ones, installed packages' and a folder of single files, all through one door.

A panel that cannot be imported or breaks the contract becomes a `Problem`, which the page shows as a card; it never
stops the others. Set `STEERING_WORKBENCH_PLUGINS=off` to use the built-in panels alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.plugins import KINDS, Problem, allowed, fetched, found, offered
from workbench.panel import Panel, check_contract


BUILT_IN = (
    "panels.vectors.panel",
    "panels.train.panel",
    "panels.steer.panel",
    "panels.grid.panel",
    "panels.refusal.panel",
    "panels.tradeoff.panel",
    "panels.probe.panel",
    "panels.features.panel",
    "panels.runs.panel",
)
"""Modules of the panels that come with the project."""
GROUP = KINDS["panel"].group
"""Entry-point group of third parties' panels."""

Source = tuple[str, Callable[[], Any]]
"""Where a panel comes from, and what gets the module, class or object that offers it."""


@dataclass(frozen=True)
class Catalogue:
    """What was found."""

    panels: tuple[Panel, ...]
    """In the order of their tabs."""
    sources: dict[str, str]
    """Panel id -> where it came from."""
    broken: tuple[Problem, ...]
    """What was found and cannot be used."""

    def get(self, name: str) -> Panel:
        """The panel of a name: its id, such as "tradeoff", or its title as people write it.

        Raises:
            SteeringError: There is none.
        """
        wanted = str(name).strip().casefold()
        for called in (lambda panel: panel.id, lambda panel: panel.title.casefold()):
            if found := next((panel for panel in self.panels if called(panel) == wanted), None):
                return found
        known = ", ".join(map(_called, self.panels))
        raise SteeringError(f"There is no panel '{str(name)[:80]}'.", f"one of {known}.", "Choose one of these.")


def _called(panel: Panel) -> str:
    return panel.id if panel.title.casefold() == panel.id else f"{panel.id} ({panel.title})"


def discover(folder: Path | str | None = None) -> Catalogue:
    """Every usable panel, in the order of the tabs, and a problem for every other one.

    Args:
        folder: A folder of single-file panels, each with a variable named `panel`. Files that start with an underscore
            are left out.
    """
    panels: dict[str, Panel] = {}
    sources: dict[str, str] = {}
    broken: list[Problem] = []
    for source, fetch in (*_built_in(), *_third_party(folder)):
        try:
            panel = check_contract(offered_by(source, fetch), source)
            _refuse_duplicate(panel, source, sources)
        except SteeringError as error:
            broken.append(Problem(source, error))
            continue
        panels[panel.id], sources[panel.id] = panel, source
    ordered = sorted(panels.values(), key=lambda panel: (panel.order, panel.id))
    return Catalogue(tuple(ordered), sources, tuple(broken))


def _built_in() -> Iterator[Source]:
    for module in BUILT_IN:
        yield module, partial(importlib.import_module, module)


def _third_party(folder: Path | str | None) -> Iterator[Source]:
    for plugin in found("panel"):
        yield plugin.source, plugin.point.load
    if folder is not None and allowed():
        yield from _files(Path(folder).expanduser())


def _files(folder: Path) -> Iterator[Source]:
    if not folder.is_dir():
        yield str(folder), partial(_no_folder, folder)
        return
    for path in sorted(folder.glob("[!_]*.py")):
        yield str(path), partial(import_file, path)


def _no_folder(folder: Path) -> Any:
    raise SteeringError(
        f"The panels folder '{folder}' does not exist.",
        "a folder with one Python file per panel.",
        "Check the path given to --panels-dir.",
    )


def import_file(path: Path) -> Any:
    """A single file as a module of its own."""
    name = f"steering_workbench_panel_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def offered_by(source: str, fetch: Callable[[], Any]) -> Any:
    """What a source offers as its panel.

    Raises:
        SteeringError: It cannot be imported.
    """
    return fetched(source, lambda: offered(fetch(), "panel"), "panel")


def _refuse_duplicate(panel: Panel, source: str, sources: dict[str, str]) -> None:
    if panel.id in sources:
        raise SteeringError(
            f"Two panels have the id '{panel.id}': {sources[panel.id]} is used, {source} is not.",
            "an id of its own for every panel.",
            "Rename or remove one of them.",
        )
