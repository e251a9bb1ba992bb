"""The panels that a path names: a file, a package's folder, a folder of single files, or one that is installed."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from workbench.discovery import GROUP, discover, import_file, offered_by
from workbench.panel import Panel, check_contract


def panels_at(named: str) -> list[tuple[str, Panel]]:
    """Panels and the sources that they come from.

    Args:
        named: A path, or the id of a panel that is found without one.

    Raises:
        SteeringError: There is none, or one of them cannot be used.
    """
    path = Path(named).expanduser()
    if not path.exists():
        found = discover()
        if named in found.sources:
            return [(found.sources[named], found.get(named))]
        for problem in found.broken:
            if named in problem.source:
                raise problem.error
        raise SteeringError(
            f"There is neither a file or folder '{named}' nor a panel of that name.",
            "a Python file with a variable `panel`, the folder of a package, or the id of an installed panel.",
            "Check the path.",
        )
    sources = list(
        _file(path) if path.is_file() else _package(path) if (path / "pyproject.toml").exists() else _folder(path)
    )
    if not sources:
        raise SteeringError(f"'{path}' holds no panel.", f"an entry point in the group {GROUP}, or *.py files.")
    return [(source, check_contract(offered_by(source, fetch), source)) for source, fetch in sources]


def _file(path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield str(path), partial(import_file, path)


def _folder(path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    for each in sorted(path.glob("[!_]*.py")):
        yield from _file(each)


def _package(path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The panels that a package's pyproject.toml offers, from its folder, whether it is installed or not."""
    try:
        told = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))
        points = dict(told.get("project", {}).get("entry-points", {}).get(GROUP, {}))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SteeringError(f"'{path / 'pyproject.toml'}' cannot be read: {error}.", "a TOML file.") from error
    for place in (path / "src", path):
        if place.is_dir() and str(place.resolve()) not in sys.path:
            sys.path.insert(0, str(place.resolve()))
    for name, value in points.items():
        yield f"entry point {name} ({value})", partial(_point, str(value))


def _point(value: str) -> Any:
    module, _, name = value.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found
