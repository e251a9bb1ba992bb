"""The workspace: a folder that keeps what was made: vectors on the shelf, finished cells, exports."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from functools import cached_property
from pathlib import Path

from platformdirs import user_data_path

from steering.confines import know_library
from steering.errors import SteeringError
from steering.extraction.sources import read_vector
from steering.names import safe_name
from steering.store import Store
from steering.vectors.files import save_vector
from steering.vectors.foreign import Convention
from steering.vectors.vector import SteeringVector
from workbench.library.entries import Entry, Unreadable, load_entry, missing, stamp_of
from workbench.library.exports import Exports
from workbench.library.recipes import KIND as RECIPE
from workbench.library.recipes import Recipes
from workbench.library.removed import Bin, Removed
from workbench.library.uploads import KIND as UPLOAD
from workbench.library.uploads import Uploads
from workbench.library.vector_notes import VectorNotes
from workbench.places import name_place
from workbench.runs.runs import Runs


HOME = "STEERING_WORKBENCH_HOME"
"""Environment variable that names the workspace folder."""
_SUFFIX = ".safetensors"


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
        self._exports = Exports(self.exports)
        self.notes = VectorNotes(self.folder / "shelf.json")
        """What somebody notes of vectors, by name."""
        self.version = 0
        """Changes whenever the shelf or the library does, in this process."""
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
        self.bin = Bin(self.folder / "removed")
        """What was removed in this process and can be had back."""
        self.uploads = Uploads(self.folder / "uploads", self.bin, self._changed)
        """What was uploaded, by its content."""
        know_library(self.uploads.files)
        self.recipes = Recipes(self.folder / "recipes", self.bin, self._changed)
        """What was saved under a name."""

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
        """Write a file for download and return its path; see `Exports.write`.

        Raises:
            SteeringError: It cannot be written.
        """
        return self._exports.write(name, content)

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
            with contextlib.suppress(SteeringError):  # the vector is there, which counts
                self.notes.taken(chosen)
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
            raise self._missing(name)
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
            found = [(path, stamp) for path in paths if (stamp := stamp_of(path))]
            found.sort(key=lambda item: (-item[1][0], item[0].name))
            return [self._read(path, stamp) for path, stamp in found]

    def remove(self, name: str, owner: str = "") -> Removed:
        """Take a vector off the shelf; it can be had back (`restore`) until this process ends.

        Args:
            name: Of a vector, or of a file that is none.
            owner: The visitor who removes it.

        Raises:
            SteeringError: There is none with this name, or its file cannot be removed.
        """
        with self._lock:
            found = self._find(name)
            if found is None:
                raise self._missing(name)
            if found.path.is_dir():
                raise SteeringError(
                    f"'{name}' cannot be removed: it is a folder.", "a file on the shelf.", "Remove it by hand."
                )
            removed = self.bin.put(found.path, "vector", name, owner=owner, about={"noted": self.notes.of(name)})
            self._forget(name)
            self.version += 1
            return removed

    def restore(self, id: str, owner: str | None = None) -> str:
        """Have something back that was removed, a vector with its notes; gives the name it got.

        A name that is taken meanwhile is numbered.

        Args:
            id: Of what removing it gave.
            owner: Only what this visitor removed; anybody's where None.

        Raises:
            SteeringError: It is gone for good, or cannot be moved back.
        """
        with self._lock:
            removed = self.bin.get(id, owner)
            others: dict[str, Uploads | Recipes] = {UPLOAD: self.uploads, RECIPE: self.recipes}
            if removed.kind in others:
                return others[removed.kind].restore(id, owner)
            chosen = self._free(removed.name)
            while not self.bin.back(removed, self._path(chosen)):  # another process was quicker
                chosen = self._free(removed.name)
            self.notes.put(chosen, removed.about["noted"])
            self.version += 1
            return chosen

    def rename(self, name: str, new: str) -> str:
        """Give a vector another name, with its place on the shelf and its notes; gives the name as a file has it.

        Raises:
            SteeringError: There is no such vector, the name is another one's, or it cannot be written.
        """
        with self._lock:
            entry, wanted = self.get(name), safe_name(new) if new.strip() else name
            if wanted == name:
                return name
            if wanted.casefold() != name.casefold() and wanted != self._free(wanted):
                raise SteeringError(
                    f"There is a vector '{wanted}' on the shelf already.", "a name that is free.", "Choose another one."
                )
            stamp = entry.path.stat()
            # Whenever this ends half-way, the vector is there under one name or both, and its notes with it.
            self.notes.copy(name, wanted)
            if wanted.casefold() == name.casefold():
                os.rename(entry.path, self._path(wanted))
            else:
                wanted = self._write(entry.vector, wanted)
                with contextlib.suppress(OSError):
                    os.utime(self._path(wanted), ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
                entry.path.unlink(missing_ok=True)
            self._forget(name)
            self.recipes.rename_vector(name, wanted)
            self.version += 1
            return wanted

    def note(self, name: str, *, group: str | None = None, note: str | None = None) -> None:
        """Note something of a vector, or put it under a heading; what is None stays.

        Raises:
            SteeringError: There is no such vector, a text is too long, or it cannot be written.
        """
        with self._lock:
            self.get(name)
            self.notes.change(name, group=group, note=note)
            self.version += 1

    def renamed(self) -> dict[str, str]:
        """What vectors of the shelf were called before -> what they are called now; without names in use again."""
        there = set(self.names())
        return {old: new for old, new in self.notes.renamed().items() if new in there and old not in there}

    def _forget(self, name: str) -> None:
        """What was noted of a name that is gone; left where it cannot be written, since nobody sees it."""
        with contextlib.suppress(SteeringError):
            self.notes.drop(name)

    def _changed(self) -> None:
        with self._lock:
            self.version += 1

    def _missing(self, name: str) -> SteeringError:
        return missing(name, self.names(), self.renamed().get(name))

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
            self._cache[path] = cached = (stamp, load_entry(path))
        return cached[1]
