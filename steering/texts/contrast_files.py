"""Contrast sets by name: those that ship with the project, and files."""

from __future__ import annotations

from pathlib import Path

from steering.errors import SteeringError
from steering.resources import resource
from steering.texts.formats import FORMATS
from steering.texts.sources import HUB, SELECT, is_source_file, split_source


def presets() -> tuple[str, ...]:
    """Names of the contrast sets that ship with the project."""
    return tuple(sorted(path.stem for path in resource("presets", "contrast").glob("*.yaml")))


def find_contrast(source: str | Path) -> str | Path:
    """A preset's file, or the source itself where it is a file or on the Hub, perhaps with a selection.

    Raises:
        SteeringError: There is none.
    """
    place, _ = split_source(source)
    if is_source_file(place) or str(place).startswith(HUB):
        return source
    if isinstance(place, str) and place in presets():
        return str(source).replace(place, str(resource("presets", "contrast", f"{place}.yaml")), 1)
    raise SteeringError(
        f"There is no contrast set '{str(place)[:200]}'.",
        f"a preset ({', '.join(presets())}), a {FORMATS} file, or hub:owner/name, perhaps with {SELECT}GOOD,BAD.",
        "Check the name or the path.",
    )
