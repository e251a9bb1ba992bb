"""What a run depends on, as its list and its files say it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.plugin_uses import used_by
from steering.recipes.recipe import Recipe
from steering.resources import resource
from steering.studies.study import origin
from steering.texts.formats import ENDINGS
from steering.texts.sources import HUB, local_file, split_source
from steering.vectors.vector import SteeringVector


_LONGEST_NAME = 1000
"""Characters of a name of data."""
_LARGEST = 200_000_000
"""Bytes of a file of data whose digest is taken."""


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
    the settings name, versions, and what comes from packages.
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
        "plugins": used_by(said["settings"], kind),
    }


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
