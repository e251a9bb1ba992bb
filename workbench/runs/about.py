"""What a run depends on, as its list and its files say it."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath
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
Presets = Mapping[str, Sequence[Path]]
"""The files of all folders of presets, by their names up to the first dot."""
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
        "data": dict(_data(said["settings"], _presets())),
        "versions": versions(),
        "plugins": used_by(said["settings"], kind),
    }


def _data(settings: Any, presets: Presets) -> Iterator[tuple[str, str]]:
    """Of every text among settings that names data: the file, or each preset of that name, and its SHA-256."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            yield from _data(value, presets)
    elif isinstance(settings, str):
        for name, path in _data_files(settings, presets):
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def _presets() -> Presets:
    folders = sorted(path for path in resource("presets").iterdir() if path.is_dir())
    return _listed(tuple((folder, folder.stat().st_mtime_ns) for folder in folders))


@lru_cache(maxsize=4)
def _listed(folders: tuple[tuple[Path, int], ...]) -> dict[str, list[Path]]:
    """Of folders as they were changed last."""
    found = defaultdict(list)
    for path in sorted(path for folder, _ in folders for path in folder.iterdir() if path.is_file()):
        found[path.name.partition(".")[0]].append(path)
    return dict(found)


def _data_files(text: str, presets: Presets) -> list[tuple[str, Path]]:
    """What a setting names: presets, or a file of data that may be read here. Nothing is fetched for it."""
    place, _ = split_source(text)
    name = str(place)
    if not name or len(name) > _LONGEST_NAME or "\n" in name or name.startswith(HUB):
        return []
    if re.fullmatch(r"[\w-]+", name):
        return [(f"{path.parent.name}/{path.name}", path) for path in presets.get(name, ())]
    try:
        if PurePath(name).suffix.lower() not in ENDINGS:  # most settings are no path: the disk is not asked for them
            return []
        path = local_file(place)
        return [(text, path)] if path.stat().st_size <= _LARGEST else []
    except (SteeringError, OSError):
        return []
