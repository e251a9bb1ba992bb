"""Files of data that runs used, kept by their content, so that a run repeats although a file has changed or is gone."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steering.confines import UPLOAD
from steering.errors import SteeringError
from steering.resources import resource
from steering.texts.sources import SELECT, local_file
from workbench.library.uploads import Uploads
from workbench.uploads import LARGEST_FILE


def keep_data(uploads: Uploads, data: Mapping[str, str]) -> None:
    """Keep the files that a run of the command line names; what cannot be kept, or is too large, is left.

    Args:
        uploads: Where to.
        data: What settings name -> SHA-256, as a run says it (`workbench.runs.run.about`).
    """
    for name in _files(data):
        with contextlib.suppress(SteeringError, OSError):
            path = local_file(_place(name))
            if path.stat().st_size <= LARGEST_FILE * 1024**2:
                uploads.add(path)


def with_data(uploads: Uploads, settings: Any, data: Mapping[str, str]) -> tuple[Any, list[str]]:
    """Settings of a run with its own copies in place of files that are gone or have changed since; and what to say.

    Args:
        uploads: Where the copies are.
        settings: Mappings, lists, texts, numbers.
        data: As `keep_data` takes it.
    """
    copies, said, named = {}, [], set(_texts(settings))
    for name in filter(named.__contains__, _files(data)):
        place = _place(name)
        now = _digest(place)
        if now == data[name]:
            continue
        gone = "is gone" if now is None else "has changed since"
        try:
            copies[name] = uploads.get(data[name]).source + name[len(place) :]
            said.append(f"The file '{place}' {gone}: the workspace's copy of it is used.")
        except SteeringError:
            if now is not None:
                said.append(f"The file '{place}' {gone}, and the workspace has no copy of it: results will differ.")
    return _replaced(settings, copies), said


def _files(data: Mapping[str, str]) -> Iterator[str]:
    """What is neither an upload already nor ships with the project."""
    for name in data:
        place = Path(_place(name))
        ships = not place.is_absolute() and (resource("presets") / place).is_file()
        if not ships and not name.startswith(UPLOAD):
            yield name


def _place(name: str) -> str:
    """A source without its selection."""
    return name.rpartition(SELECT)[0].strip() if SELECT in name else name


def _digest(place: str) -> str | None:
    try:
        return hashlib.sha256(local_file(place).read_bytes()).hexdigest()
    except (SteeringError, OSError):
        return None


def _texts(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping | list | tuple):
        for value in given.values() if isinstance(given, Mapping) else given:
            yield from _texts(value)


def _replaced(given: Any, copies: Mapping[str, str]) -> Any:
    if isinstance(given, Mapping):
        return {name: _replaced(value, copies) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [_replaced(value, copies) for value in given]
    return copies.get(given, given) if isinstance(given, str) else given
