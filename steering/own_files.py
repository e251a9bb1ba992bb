"""Files that the workbench writes: they appear whole or not at all, and never in place of somebody else's."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steering.errors import SteeringError


LONGEST_PATH = 4096
"""Characters of a path that a system takes at most."""


def typed_path(text: str | Path) -> Path:
    """A path as a person types it, with `~` for the home folder.

    Raises:
        SteeringError: What can be no path on any system.
    """
    shown = str(text)
    try:
        if "\0" in shown or len(shown) > LONGEST_PATH:
            raise ValueError("it holds a NUL character" if "\0" in shown else f"it has {len(shown)} characters")
        os.fsencode(shown)
        return Path(shown).expanduser()
    except (ValueError, RuntimeError) as error:  # also half a character, and the home of a user whom nobody knows
        raise SteeringError(
            f"{shown[:80]!r} is no path: {error}.", f"a path of at most {LONGEST_PATH} characters.", "Correct it."
        ) from error


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A hidden file in the folder of `path`, made where it is missing; gone at the end if it is still there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # which means something else where a name is claimed
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from error
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def claim(temporary: Path, path: Path) -> bool:
    """Give a finished file its name unless something is there already; says whether it got it.

    Of several processes that want the same name, one gets it.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: an empty file holds the name for the moment
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        try:
            os.replace(temporary, path)
        except OSError:
            path.unlink()
            raise
        return True
    temporary.unlink()
    return True


def publish(temporary: Path, path: Path, *, over: Callable[[Path], bool] | None) -> None:
    """Give a finished file its name.

    Args:
        temporary: The finished file.
        path: Its name.
        over: Says of a file that is there already whether it is the workbench's own and may go; None leaves any.

    Raises:
        FileExistsError: Something is there, without `over`.
        SteeringError: Something of somebody else's is there.
    """
    if claim(temporary, path):
        return
    if over is None:
        raise FileExistsError(path)
    if not over(path):
        raise foreign(path)
    os.replace(temporary, path)


def check_replaceable(folder: Path, mark: str | None = None) -> None:
    """Say beforehand whether a folder may be replaced: it is missing, empty, or the workbench made it.

    Args:
        folder: Which.
        mark: Pattern of a file that only folders of the workbench have; None where nothing may be replaced.

    Raises:
        SteeringError: It is somebody else's.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (mark and any(folder.glob(mark)))):
        raise foreign(folder)


def set_aside(path: Path, ending: str = ".damaged") -> Path:
    """Rename a file of the workbench's own to a name that is free, and return that."""
    aside = _free_beside(path, ending)
    path.rename(aside)
    return aside


def set_database_aside(path: Path) -> Path:
    """Rename a damaged SQLite file of the workbench's own to a name that is free; gives the new name.

    What SQLite keeps beside it goes first: it would take that for a new file's, and whoever is killed in between leaves
    the damaged one.
    """
    aside = _free_beside(path, ".damaged")
    for ending in ("-wal", "-shm", "-journal"):
        beside = path.with_name(f"{path.name}{ending}")
        if beside.exists():
            os.replace(beside, aside.with_name(f"{aside.name}{ending}"))
    path.rename(aside)
    return aside


def _free_beside(path: Path, ending: str) -> Path:
    number = 1
    while True:
        aside = path.with_suffix(ending if number == 1 else f".{number}{ending}")
        if not os.path.lexists(aside):
            return aside
        number += 1


def foreign(path: Path) -> SteeringError:
    """The refusal to write over a file that is somebody else's."""
    return SteeringError(
        f"'{path}' is there already and was not made by the workbench, so nothing is written over it.",
        "a new name, or a file that the workbench wrote there before.",
        "Choose another name, or move that file away yourself.",
    )
