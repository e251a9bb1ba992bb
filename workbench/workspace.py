"""The workspace: a folder that keeps what was made: vectors on the shelf, finished cells, exports."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from platformdirs import user_data_path

from steering.errors import SteeringError
from steering.extraction.sources import read_vector
from steering.names import safe_name
from steering.store import Store
from steering.vectors.files import load_vector, save_vector
from steering.vectors.foreign import Convention
from steering.vectors.vector import SteeringVector
from workbench.places import name_place
from workbench.runs.runs import Runs


HOME = "STEERING_WORKBENCH_HOME"
"""Environment variable that names the workspace folder."""
MOST_EXPORTS = 500
"""Files for download that are kept."""
_OWN_EXPORT = re.compile("[0-9a-f]{32}")
_SUFFIX = ".safetensors"


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


class Workspace:
    """One folder on disk; safe to use from several threads.

    A vector's file appears whole or not at all, so that a crash leaves the old file or the new one, never half of one.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        """Open a workspace, making its folders where they are missing.

        Args:
            folder: Where; by default `STEERING_WORKBENCH_HOME`, else the user's data folder.

        Raises:
            SteeringError: The folder cannot be made or written.
        """
        chosen = folder or os.environ.get(HOME) or user_data_path("steering-workbench", appauthor=False)
        self.folder = Path(chosen).expanduser().resolve()
        self.shelf = self.folder / "shelf"
        self.exports = self.folder / "exports"
        self.version = 0
        name_place(self.folder, "the workspace")
        # Guards the choice of a free name until its file stands, the counter and the cache.
        self._lock = threading.RLock()
        self._cache: dict[Path, tuple[tuple[int, int], Entry | Unreadable]] = {}
        try:
            self.shelf.mkdir(parents=True, exist_ok=True)
            self.exports.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=self.shelf).close()
        except OSError as error:
            raise SteeringError(
                f"The workspace folder '{self.folder}' cannot be written: {error.strerror}.",
                "a folder that you may write to.",
                f"Choose another one with --workspace or {HOME}.",
            ) from error

    @cached_property
    def cells(self) -> Store:
        """Finished parts of studies: cells of grids, replies, scores."""
        return Store(self.folder / "cells.sqlite", own=True)

    @cached_property
    def runs(self) -> Runs:
        """Runs and what they found.

        Raises:
            SteeringError: Their list cannot be used.
        """
        return Runs(self.folder / "runs")

    def export(self, name: str, content: str | bytes) -> Path:
        """Write a file for download and return its path: in a folder of its own, whose name nobody can guess.

        Raises:
            SteeringError: It cannot be written.
        """
        path = self.exports / secrets.token_hex(16) / name
        try:
            self._forget_exports()
            path.parent.mkdir(parents=True)
            data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
            path.write_bytes(data)  # line ends stay as they are
        except OSError as error:
            raise SteeringError(
                f"The file '{name}' for download cannot be written: {error.strerror}.",
                "a workspace folder that can be written, with room on its disk.",
                "What was computed is shown and kept; free some space and run it again for the file.",
            ) from error
        return path

    def _forget_exports(self) -> None:
        """Make room for a new file: the oldest go where there are too many."""
        folders = self.exports.iterdir() if self.exports.is_dir() else ()
        known = [(stamp, path) for path in folders if _OWN_EXPORT.fullmatch(path.name) and (stamp := _stamp(path))]
        for _, path in sorted(known, reverse=True)[MOST_EXPORTS:]:
            shutil.rmtree(path, ignore_errors=True)

    def put(self, vector: SteeringVector, name: str | None = None) -> str:
        """Keep a vector and return the name it got: safe as a file name, and numbered where the name was taken.

        A vector that is already there under the wanted name is not kept twice.
        """
        with self._lock:
            wanted = safe_name(name or vector.name)
            kept = self._find(wanted)
            if isinstance(kept, Entry) and kept.vector.digest == vector.digest:
                return kept.name
            chosen = self._write(vector, wanted)
            self.version += 1
            return chosen

    def _write(self, vector: SteeringVector, wanted: str) -> str:
        while True:
            chosen = self._free(wanted)
            try:
                save_vector(vector.renamed(chosen), self._path(chosen), new=True)
            except FileExistsError:  # another process was quicker
                continue
            except SteeringError as error:
                why = getattr(error.__cause__, "strerror", None) or error.__cause__
                raise SteeringError(
                    f"'{chosen}' cannot be kept on the shelf: {why}.",
                    "a workspace folder that can be written, with room on its disk.",
                    "Free some space, or start the workbench with another --workspace.",
                ) from error
            return chosen

    def add_file(self, path: Path | str, given: Convention | None = None) -> str:
        """Copy a vector file onto the shelf and return its name there.

        Args:
            path: A file of a vector, as `steering.extraction.sources.read_vector` takes it.
            given: What files of other tools do not say.

        Raises:
            SteeringError: The file is no steering vector, or something has to be said first.
        """
        return self.put(read_vector(Path(path), given)[0])

    def get(self, name: str) -> Entry:
        """The vector with this name, and its file.

        Raises:
            SteeringError: There is none, or its file is damaged.
        """
        found = self._find(name)
        if isinstance(found, Unreadable):
            raise found.error
        if found is None:
            known = f"one of: {', '.join(self.names())}." if self.names() else "a vector of the shelf, which is empty."
            remedy = "Extract it first: on the tab Vectors, or with workbench extract."
            raise SteeringError(f"There is no vector '{name}' on the shelf.", known, remedy)
        return found

    def names(self) -> list[str]:
        """Names of the readable vectors, newest first."""
        return [entry.name for entry in self.entries() if isinstance(entry, Entry)]

    def entries(self) -> list[Entry | Unreadable]:
        """Everything on the shelf, newest first."""
        with self._lock:
            try:
                files = list(self.shelf.glob(f"*{_SUFFIX}"))
            except OSError:  # the folder is gone, or may no longer be read
                files = []
            paths = [path for path in files if not path.name.startswith(".")]
            found = [(path, stamp) for path in paths if (stamp := _stamp(path))]
            found.sort(key=lambda item: (-item[1][0], item[0].name))
            return [self._read(path, stamp) for path, stamp in found]

    def remove(self, name: str) -> None:
        """Delete a vector.

        Raises:
            SteeringError: There is none with this name, or its file cannot be removed.
        """
        with self._lock:
            found = self._find(name)
            if found is None:
                self.get(name)
                return
            try:
                found.path.unlink(missing_ok=True)
            except OSError as error:
                raise SteeringError(
                    f"'{name}' cannot be removed from the shelf: {error.strerror}.",
                    "a file in a workspace folder that can be written.",
                    "Remove it by hand.",
                ) from error
            self.version += 1

    def rename(self, name: str, new: str) -> str:
        """Give a vector another name and return the one it got.

        Raises:
            SteeringError: There is no such vector.
        """
        with self._lock:
            vector = self.get(name).vector
            if safe_name(new) == name:
                return name
            chosen = self.put(vector, new)
            self.remove(name)
            return chosen

    def _find(self, name: str) -> Entry | Unreadable | None:
        return next((entry for entry in self.entries() if entry.name == name), None)

    def _path(self, name: str) -> Path:
        return self.shelf / f"{name}{_SUFFIX}"

    def _free(self, wanted: str) -> str:
        # Some file systems do not tell capitals apart.
        taken = {path.stem.casefold() for path in self.shelf.glob(f"*{_SUFFIX}")}
        candidate, number = wanted, 2
        while candidate.casefold() in taken:
            candidate, number = f"{wanted} {number}", number + 1
        return candidate

    def _read(self, path: Path, stamp: tuple[int, int]) -> Entry | Unreadable:
        cached = self._cache.get(path)
        if cached is None or cached[0] != stamp:
            self._cache[path] = cached = (stamp, _load(path))
        return cached[1]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # removed since the folder was listed
        return None
    return stat.st_mtime_ns, stat.st_size


def _shown(path: Path) -> str:
    """A file's name without its ending, as a page can show it."""
    return path.stem.encode("utf-8", "backslashreplace").decode()


def _load(path: Path) -> Entry | Unreadable:
    try:
        if _shown(path) != path.stem:
            raise SteeringError("Its name is no text.", "a name of letters and digits.", "Remove or rename the file.")
        return Entry(path.stem, path, load_vector(path).renamed(path.stem))
    except SteeringError as error:
        return Unreadable(path, error)
