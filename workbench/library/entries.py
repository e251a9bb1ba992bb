"""The files of a shelf: a vector each, or what could not be read as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steering.errors import SteeringError
from steering.vectors.files import load_vector
from steering.vectors.vector import SteeringVector


@dataclass(frozen=True)
class Entry:
    """A vector on the shelf."""

    name: str
    """Its name on the shelf, which is the file's name without the suffix."""
    path: Path
    vector: SteeringVector


@dataclass(frozen=True)
class Unreadable:
    """A file on the shelf that is no vector, or a damaged one."""

    path: Path
    error: SteeringError

    @property
    def name(self) -> str:
        """As `Entry.name`; bytes that are no text are written out."""
        return _shown(self.path)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """When a file was changed, in nanoseconds, and its size; None where there is none."""
    try:
        stat = path.stat()
    except OSError:  # removed since the folder was listed
        return None
    return stat.st_mtime_ns, stat.st_size


def _shown(path: Path) -> str:
    """A file's name without its ending, as a page can show it."""
    return path.stem.encode("utf-8", "backslashreplace").decode()


def load_entry(path: Path) -> Entry | Unreadable:
    """Read a file of a shelf."""
    try:
        if _shown(path) != path.stem:
            raise SteeringError("Its name is no text.", "a name of letters and digits.", "Remove or rename the file.")
        return Entry(path.stem, path, load_vector(path).renamed(path.stem))
    except SteeringError as error:
        return Unreadable(path, error)


def missing(name: str, names: Sequence[str], now: str | None) -> SteeringError:
    """What is said of a vector that is not there.

    Args:
        name: What was asked for.
        names: What there is.
        now: What it is called now; None where it was not renamed.
    """
    extract = "Extract it first: on the page Vectors, or with workbench extract."
    return SteeringError(
        f"There is no vector '{name}' on the shelf.",
        f"one of: {', '.join(names)}." if names else "a vector of the shelf, which is empty.",
        f"It is called '{now}' now: name that one." if now else extract,
    )
