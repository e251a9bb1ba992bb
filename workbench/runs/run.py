"""A run: what was asked of which model, how it ended, and what somebody noted of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.recipes.recipe import Recipe
from steering.resources import resource
from steering.studies.study import origin
from steering.texts.formats import ENDINGS
from steering.texts.sources import HUB, local_file, split_source
from steering.vectors.vector import SteeringVector


State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
"""A run is interrupted where the program that it ran in is gone; its finished parts are kept."""
_LONGEST_NAME = 1000
"""Characters of a name of data."""
_LARGEST = 200_000_000
"""Bytes of a file of data whose digest is taken."""
OPEN: tuple[State, ...] = ("queued", "running")
LONGEST = {"title": 200, "note": 20_000}
"""Characters of what somebody writes about a run."""
_NOTED = ("title", "note", "tags", "favourite")


@dataclass(frozen=True)
class Run:
    """One run as the workspace knows it; its result and what the page showed lie beside it."""

    id: str
    """16 hexadecimal digits that nobody can guess."""
    kind: str
    """A study's name, "steer" or "grid", or a third party's panel."""
    title: str
    model: str
    """The model's name, for lists."""
    panel: str = ""
    """Id of the panel whose page shows it; "" where it ran without a page."""
    state: State = "running"
    begun: str = ""
    """When, as ISO 8601 in UTC."""
    ended: str = ""
    """When; "" while it goes on."""
    owner: str = ""
    """The visitor who asked; "" for whoever is at the machine."""
    error: str = ""
    """Why it failed."""
    note: str = ""
    tags: tuple[str, ...] = ()
    favourite: bool = False
    size: int = 0
    """Bytes on the disk."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """As `about` gives it."""

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state not in OPEN


def about(
    kind: str,
    host: Host,
    settings: BaseModel,
    *,
    recipes: tuple[Recipe, ...] = (),
    vectors: Mapping[str, SteeringVector] | None = None,
) -> dict[str, Any]:
    """All that a run depends on, as plain data: settings (all, and the names of those that were given), model with
    revision, precision, device and digests of template and weights, recipes, digests of vectors and of the data that
    the settings name, and versions.
    """
    said = origin(kind, host, settings)
    return {
        "settings": said["settings"],
        "given": list(said["given"]),
        "model": {**said["model"], "weights_digest": fingerprint(host)},
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "vectors": {name: vector.digest for name, vector in (vectors or {}).items()},
        "data": dict(_data(said["settings"])),
        "versions": versions(),
    }


def check_noted(values: Mapping[str, Any]) -> None:
    """Refuse what nobody may change of a run, and texts that are too long.

    Raises:
        SteeringError: A text is too long.
    """
    for name, value in values.items():
        if name not in _NOTED:
            raise ValueError(name)
        if isinstance(value, str) and len(value) > LONGEST[name]:
            raise SteeringError(
                f"The {name} has {len(value):,} characters.", f"at most {LONGEST[name]:,}.", "Shorten it."
            )


def titled(what: str, text: str, longest: int = 60) -> str:
    """A run's title: what it is, and how the text that it is about begins."""
    text = " ".join(text.split())
    return f"{what}: {text if len(text) <= longest else f'{text[: longest - 1]}…'}"


def now() -> str:
    """The time, as runs say it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _data(settings: Any) -> Iterator[tuple[str, str]]:
    """Of every text among settings that names data: the file, or each preset of that name, and its SHA-256."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            yield from _data(value)
    elif isinstance(settings, str):
        for name, path in _data_files(settings):
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def _data_files(text: str) -> list[tuple[str, Path]]:
    """What a setting names: presets, or a file of data that may be read here. Nothing is fetched for it."""
    place, _ = split_source(text)
    name = str(place)
    if not name or len(name) > _LONGEST_NAME or "\n" in name or name.startswith(HUB):
        return []
    if re.fullmatch(r"[\w-]+", name):
        found = sorted(path for path in resource("presets").glob(f"*/{name}.*") if path.is_file())
        return [(f"{path.parent.name}/{path.name}", path) for path in found]
    try:
        path = local_file(place)
        return [(text, path)] if path.suffix.lower() in ENDINGS and path.stat().st_size <= _LARGEST else []
    except (SteeringError, OSError):
        return []
