"""What was removed and can be had back until the program that removed it ends; it goes from the disk then."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from steering.errors import SteeringError
from steering.own_files import claim


_ALIVE = ".alive-"
"""How the name of a process's lock begins."""


@dataclass(frozen=True)
class Removed:
    """Something that can be had back."""

    id: str
    """Which nobody can guess."""
    kind: str
    """"vector", "upload" or "recipe"."""
    name: str
    owner: str
    """The visitor who removed it; "" for whoever is at the machine."""
    path: Path | None
    """Where its file or folder lies meanwhile; None where none had to go."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What its list knew of it."""


class Bin:
    """A folder for what was removed; safe to use from several threads and processes.

    A thing is moved there in one step, so that it is either still in its place or gone from it. Each process has a part
    of its own and holds a lock while it lives; the next one empties what a process left that is gone.
    """

    def __init__(self, folder: Path) -> None:
        """Open it, and empty the parts of processes that are gone.

        Args:
            folder: On the file system of what is removed; made with the first thing.
        """
        self._folder = folder
        self._process = secrets.token_hex(8)
        self._alive = FileLock(folder / f"{_ALIVE}{self._process}", thread_local=False)  # the process's
        self._guard = threading.Lock()
        self._known: dict[str, Removed] = {}
        self._empty_dead()

    def put(
        self, path: Path | None, kind: str, name: str, *, owner: str = "", about: Mapping[str, Any] | None = None
    ) -> Removed:
        """Take a file or folder away from its place.

        Args:
            path: It; None where nothing of the disk goes.
            kind: Of what kind it is.
            name: What it is called.
            owner: Who removes it.
            about: What its list knew of it.

        Raises:
            SteeringError: It cannot be moved.
        """
        id = secrets.token_hex(8)
        gone = None
        if path is not None:
            gone = self._folder / self._process / id / path.name
            try:
                self._live()
                gone.parent.mkdir(parents=True)
                os.rename(path, gone)
            except OSError as error:
                shutil.rmtree(gone.parent, ignore_errors=True)
                raise SteeringError(
                    f"'{name}' cannot be removed: {error.strerror}.",
                    "a file in a workspace folder that can be written.",
                    "Remove it by hand.",
                ) from error
        removed = Removed(id, kind, name, owner, gone, dict(about or {}))
        with self._guard:
            self._known[id] = removed
        return removed

    def find(self, kind: str = "", owner: str | None = None) -> list[Removed]:
        """What can be had back, removed last first.

        Args:
            kind: Only of this kind.
            owner: Only what this visitor removed; everybody's where None.
        """
        with self._guard:
            known = list(self._known.values())[::-1]
        return [each for each in known if kind in ("", each.kind) and owner in (None, each.owner)]

    def get(self, id: str, owner: str | None = None) -> Removed:
        """One of them.

        Raises:
            SteeringError: It is gone, or another visitor's.
        """
        found = next((each for each in self.find(owner=owner) if each.id == id), None)
        if found is None:
            raise SteeringError(
                "This cannot be had back any more.", "something that was removed since the workbench was started."
            )
        return found

    def back(self, removed: Removed, path: Path | None) -> bool:
        """Move something back; gives False, and leaves it here, where something is in that place already.

        Args:
            removed: As `get` gives it.
            path: Where to; None where nothing of the disk had gone.

        Raises:
            SteeringError: It cannot be moved.
        """
        if removed.path is not None and path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if not _moved(removed.path, path):
                    return False
                removed.path.parent.rmdir()
            except OSError as error:
                raise SteeringError(
                    f"'{removed.name}' cannot be had back: {error.strerror}.",
                    "a workspace folder that can be written, with room on its disk.",
                    "Make room, and try again before the workbench ends.",
                ) from error
        with self._guard:
            self._known.pop(removed.id, None)
        return True

    def forget(self, removed: Removed) -> None:
        """Let something go for good before the end."""
        with self._guard:
            self._known.pop(removed.id, None)
        if removed.path is not None:
            shutil.rmtree(removed.path.parent, ignore_errors=True)

    def close(self) -> None:
        """Say that this process wants nothing back any more: all goes for good."""
        with self._guard:
            self._known.clear()
            shutil.rmtree(self._folder / self._process, ignore_errors=True)
            if self._alive.is_locked:
                self._alive.release()
                Path(self._alive.lock_file).unlink(missing_ok=True)

    def _live(self) -> None:
        """Let others see that this process lives, before anything lies in its part."""
        with self._guard:
            if not self._alive.is_locked:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._alive.acquire()

    def _empty_dead(self) -> None:
        try:
            names = {each.name.removeprefix(_ALIVE) for each in self._folder.iterdir()}
        except OSError:  # nothing was ever removed, or the folder may not be read
            return
        for name in names:
            lock = FileLock(self._folder / f"{_ALIVE}{name}")
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):
                continue
            shutil.rmtree(self._folder / name, ignore_errors=True)
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)


def _moved(source: Path, path: Path) -> bool:
    """Move a file or folder to a free name; says whether it was free."""
    if not source.is_dir():
        return claim(source, path)
    if os.path.lexists(path):
        return False
    os.rename(source, path)
    return True
