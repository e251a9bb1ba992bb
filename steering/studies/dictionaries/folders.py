"""Where a finished dictionary lies: a folder that appears whole or not at all, beside others of its kind."""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from steering.dictionaries.files import CFG, WEIGHTS
from steering.errors import SteeringError
from steering.names import safe_name
from steering.own_files import foreign, typed_path


CARD = "card.json"
PARTS = (CFG, WEIGHTS, CARD)
"""The files of a dictionary's folder."""
MOST_COPIED = 100_000_000
"""Bytes of a dictionary of which a run keeps a copy, which travels with it."""
_MARGIN = 20_000_000
"""Bytes that a disk should have beside what is written."""


def card_of(folder: Path) -> dict[str, Any]:
    """What a dictionary's folder says of it; nothing where there is none."""
    try:
        said = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def bytes_of(folder: Path) -> int:
    """Bytes of a dictionary's files."""
    return sum((folder / name).stat().st_size for name in PARTS if (folder / name).is_file())


def copy(folder: Path, to: Path) -> None:
    """Put a dictionary's files into another folder, which is made where it is not there.

    Raises:
        OSError: They cannot be read or written.
    """
    to.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, to / name)


def adopt(folder: Path, home: Path) -> str:
    """Put a copy of a dictionary among others, unless one with the same weights is there; gives its name there.

    Args:
        folder: Of the dictionary, which may be of anybody: the copy is not taken for a training that its card names.
        home: The folder of dictionaries.

    Raises:
        SteeringError: It cannot be written.
    """
    weights = folder / WEIGHTS
    with written(home):
        for each in sorted(home.glob(f"[!.]*/{WEIGHTS}")):
            if filecmp.cmp(each, weights, shallow=False):
                return each.parent.name
        key = f"imported {hashlib.sha256(weights.read_bytes()).hexdigest()}"
    place = Folder.of(str(home), "", folder.name, key)
    with place.taken(2 * bytes_of(folder)) as fresh, written(place.folder):
        copy(folder, fresh)
        write_card(fresh, {**card_of(folder), "training": key})
    return place.folder.name


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write what is known of a dictionary beside its weights.

    Raises:
        SteeringError: It cannot be written.
    """
    with written(folder):
        (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


class Folder:
    """The folder that a training's dictionary gets, and what lies beside it meanwhile."""

    def __init__(self, home: Path, name: str, key: str) -> None:
        self.home, self.folder, self.key = home, home / name, key
        self.checkpoint = home / f".{name}.{key[:12]}.training"
        """The training on its way."""
        self._lock = home / f".{name}.lock"

    @classmethod
    def of(cls, home: str, name: str, wanted: str, key: str) -> Folder:
        """Choose a folder.

        Args:
            home: The folder of dictionaries.
            name: What the user calls it; "" where nothing was said.
            wanted: What it is called then; with a number behind it where another dictionary has that name.
            key: Digest of all that the training depends on, by which one that is there is known.

        Raises:
            SteeringError: The user's name is taken by another dictionary, or by something else.
        """
        folder = typed_path(home).resolve()
        place = cls(folder, safe_name(name or wanted), key)
        number = 1
        while place.folder.exists() and not place.finished:
            if name:
                if not card_of(place.folder):
                    raise foreign(place.folder)
                raise SteeringError(
                    f"There is another dictionary '{place.folder.name}' already.",
                    "a name that is free, or the settings that it was trained with.",
                    "Choose another name, or remove that folder yourself.",
                )
            number += 1
            place = cls(folder, safe_name(f"{wanted}-{number}"), key)
        return place

    @property
    def finished(self) -> bool:
        """Whether the very dictionary that is to be trained lies there."""
        return card_of(self.folder).get("training") == self.key

    @contextmanager
    def taken(self, bytes_needed: int) -> Iterator[Path]:
        """A hidden folder to write into, which takes its place if all goes well and is removed if not.

        Args:
            bytes_needed: Of the dictionary; its checkpoint takes three times as many.

        Raises:
            SteeringError: The place cannot be written, its disk is full, or another program trains there.
        """
        fresh = self.home / f".{self.folder.name}.partial"
        lock = FileLock(self._lock, timeout=0, thread_local=False)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise SteeringError(
                f"Another program is training '{self.folder.name}' now.",
                "a name of its own for each.",
                "Wait for it, or choose another name.",
            ) from error
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            self._check_room(4 * bytes_needed + _MARGIN)
            shutil.rmtree(fresh, ignore_errors=True)
            with written(self.folder):
                fresh.mkdir()
            yield fresh
            with written(self.folder):
                fresh.rename(self.folder)
                self.checkpoint.unlink(missing_ok=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            lock.release()
            self._lock.unlink(missing_ok=True)

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.home).free
        if free < needed:
            raise SteeringError(
                f"The disk of '{self.home}' has {free / 1e6:,.0f} MB free.",
                f"at least {needed / 1e6:,.0f} MB, for the dictionary and its checkpoints.",
                "Free some space, choose another folder, or ask for fewer features.",
            )


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Say of what the system refuses meanwhile that a dictionary cannot be written.

    Raises:
        SteeringError: The system refused.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own, also for a full disk
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: Exception) -> SteeringError:
    return SteeringError(
        f"The dictionary cannot be written to '{folder}': {getattr(error, 'strerror', None) or error}.",
        "a folder that may be written, on a disk with room.",
        "Choose another folder; nothing half-written is left.",
    )
