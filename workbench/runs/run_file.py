"""What a run's folder says of the run, so that the list of runs can be made anew from the folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.names import RESULT, short_name
from steering.own_files import temporary_beside
from steering.paths import bytes_in
from workbench.runs.run import Run


NAME = "run.json"
VERSION = 1
"""Of a run's folder; a newer workbench writes a greater one."""


def write(folder: Path, run: Run, process: str) -> None:
    """Write it; it appears whole, in place of an earlier one. Without its size, which this file is part of.

    Raises:
        OSError: It cannot be written.
    """
    said = {"version": VERSION, "process": process, "run": {**vars(run), "size": 0}}
    with temporary_beside(folder / NAME) as temporary:
        temporary.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
        os.replace(temporary, folder / NAME)


def read(folder: Path) -> tuple[Run, str] | None:
    """The run of a folder and the process in which it was; None where the folder does not say.

    Raises:
        SteeringError: A newer workbench made it.
    """
    said = _json(folder / NAME)
    if said is None:
        return _from_result(folder)
    if isinstance(version := said.get("version"), int) and version > VERSION:
        raise SteeringError(
            f"The run in '{folder}' has version {version}: a newer workbench made it.",
            f"version {VERSION} or older.",
            "Use that workbench to open it; nothing of it was changed.",
        )
    try:
        run = Run(**{**said["run"], "id": folder.name, "tags": tuple(map(str, said["run"]["tags"]))})
        return replace(run, size=size_of(folder)), str(said["process"])
    except (KeyError, TypeError):
        return _from_result(folder)


def every(folder: Path) -> Iterator[tuple[Run, str]]:
    """All runs of a folder of runs, and their processes; what a newer workbench made stays out."""
    for each in folder.glob("[!.]*/"):
        with suppress(SteeringError, OSError):
            found = read(each)
            if found is not None:
                yield found


def check_version(folder: Path) -> None:
    """Refuse what a newer workbench made.

    Raises:
        SteeringError: Where it did.
    """
    if (folder / NAME).exists():
        read(folder)


def size_of(folder: Path) -> int:
    """Bytes of all files of a run."""
    return bytes_in(folder)


def reason(problem: BaseException) -> str:
    """What the system says, without what libraries say around it."""
    cause = problem if isinstance(problem, OSError) else problem.__cause__
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return problem.given.removesuffix(".") if isinstance(problem, SteeringError) else str(problem)


def not_kept(problem: Exception) -> SteeringError:
    """The word that a run cannot be kept, and why."""
    return SteeringError(
        f"The run could not be kept: {reason(problem)}.",
        "a workspace folder that can be written, with room on its disk.",
        "What is shown stays; download it, or free some space and run again: what was finished is kept.",
    )


def _from_result(folder: Path) -> tuple[Run, str] | None:
    """Of a folder that says no more than what was found."""
    said = _json(folder / RESULT)
    try:
        if said is None:
            return None
        when = datetime.fromtimestamp((folder / RESULT).stat().st_mtime, UTC).isoformat(timespec="milliseconds")
        kind, about = str(said["study"]), {name: said[name] for name in ("settings", "given", "model")}
        found = Run(folder.name, kind, kind.capitalize(), short_name(str(said["model"]["name"])), state="done")
        return replace(found, begun=when, ended=when, size=size_of(folder), about=about), ""
    except (OSError, KeyError, TypeError):
        return None


def _json(path: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
