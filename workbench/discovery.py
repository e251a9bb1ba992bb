"""Finding panels: the built-in ones, installed packages' and a folder of single files, all through one door.

A panel that cannot be imported or breaks the contract becomes a `Problem`, which the page shows as a card; it never
stops the others. Set `STEERING_WORKBENCH_PLUGINS=off` to use the built-in panels alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from workbench.panel import Panel, check_panel


BUILT_IN = (
    "panels.vectors.panel",
    "panels.steer.panel",
    "panels.grid.panel",
    "panels.refusal.panel",
    "panels.tradeoff.panel",
    "panels.probe.panel",
    "panels.runs.panel",
)
"""Modules of the panels that come with the project."""
GROUP = "steering_workbench.panels"
"""Entry-point group of third parties' panels."""
SWITCH = "STEERING_WORKBENCH_PLUGINS"
"""Environment variable; "off" leaves third parties' panels out."""

Source = tuple[str, Callable[[], Any]]
"""Where a panel comes from, and what gets the module, class or object that offers it."""


@dataclass(frozen=True)
class Problem:
    """A panel that could not be used."""

    source: str
    """Module, entry point or file."""
    error: SteeringError
    """What is wrong with it and what to do."""


@dataclass(frozen=True)
class Catalogue:
    """What was found."""

    panels: tuple[Panel, ...]
    """In the order of their tabs."""
    sources: dict[str, str]
    """Panel id -> where it came from."""
    broken: tuple[Problem, ...]
    """What was found and cannot be used."""

    def get(self, panel_id: str) -> Panel:
        """The panel with this id.

        Raises:
            SteeringError: There is none.
        """
        for panel in self.panels:
            if panel.id == panel_id:
                return panel
        known = ", ".join(panel.id for panel in self.panels)
        raise SteeringError(f"There is no panel '{panel_id}'.", f"one of {known}.", "Choose one of these.")


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
            panel = check_panel(_fetched(source, fetch), source)
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
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no"):
        return
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        yield f"entry point {point.name} ({point.value})", point.load
    if folder is not None:
        yield from _files(Path(folder).expanduser())


def _files(folder: Path) -> Iterator[Source]:
    if not folder.is_dir():
        yield str(folder), partial(_no_folder, folder)
        return
    for path in sorted(folder.glob("[!_]*.py")):
        yield str(path), partial(_import_file, path)


def _no_folder(folder: Path) -> Any:
    raise SteeringError(
        f"The panels folder '{folder}' does not exist.",
        "a folder with one Python file per panel.",
        "Check the path given to --panels-dir.",
    )


def _import_file(path: Path) -> Any:
    name = f"steering_workbench_panel_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _offer(found: Any) -> Any:
    """What a module, class or object offers as its panel."""
    if isinstance(found, type):
        return found()
    if not isinstance(found, Panel) and hasattr(found, "panel"):
        return found.panel
    return found


def _fetched(source: str, fetch: Callable[[], Any]) -> Any:
    try:
        return _offer(fetch())
    except SteeringError:
        raise
    except (Exception, SystemExit) as error:  # a third party's module may raise anything while it is imported
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise SteeringError(
            f"The panel from {source} failed to load: {type(error).__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno}).",
            "a module that imports cleanly and offers a variable named 'panel'.",
            "Mend the panel, or remove it; the other panels work without it.",
        ) from error


def _refuse_duplicate(panel: Panel, source: str, sources: dict[str, str]) -> None:
    if panel.id in sources:
        raise SteeringError(
            f"Two panels have the id '{panel.id}': {sources[panel.id]} is used, {source} is not.",
            "an id of its own for every panel.",
            "Rename or remove one of them.",
        )
