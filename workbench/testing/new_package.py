"""A package with a panel in it, to begin with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

from steering.errors import SteeringError
from steering.names import upper_first
from steering.resources import resource
from workbench.panel import ID


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]*")
"""What stands in code and in files' names as it is."""


def write_package(name: str, folder: Path | None = None) -> list[Path]:
    """Write a package with a panel that works, its test and its README; gives the files.

    Args:
        name: What the panel is called, such as "Token lengths".
        folder: Where; the panel's id below the present folder where None.

    Raises:
        SteeringError: No id can be made of the name, or the folder is not empty.
    """
    id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not _NAME.fullmatch(name.strip()) or not ID.fullmatch(id):
        raise SteeringError(
            f"The name '{name[:60]}' was given.",
            "letters, digits, spaces and hyphens, a letter first.",
            "Give it such a name; --folder says where it is written.",
        )
    folder = folder or Path(id)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SteeringError(f"'{folder}' is there already.", "a new folder, or an empty one.", "Choose another.")
    module = id.replace("-", "_")
    words = {
        "id": id,
        "module": module,
        "project": f"steering-workbench-{id}",
        "title": upper_first(" ".join(name.split())),
        "name": "".join(part.title() for part in id.split("-")),
        "version": _version(),
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "init.py": f"src/{module}/__init__.py",
        "panel.py": f"src/{module}/panel.py",
        "test_panel.py": "tests/test_panel.py",
    }
    return [_write(folder / place, source, words) for source, place in places.items()]


def _write(path: Path, source: str, words: dict[str, str]) -> Path:
    text = resource("assets", "package", source).read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    except OSError as error:
        raise SteeringError(
            f"'{path}' cannot be written: {error.strerror}.", "a folder that you may write to.", "Choose another."
        ) from error
    return path


def _version() -> str:
    try:
        return version("steering-workbench")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0.1"
