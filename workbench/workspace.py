"""The workspace: a folder that keeps what was made: vectors on the shelf, finished cells, exports."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Container
from functools import cached_property
from pathlib import Path

from steering.confines import know_dictionaries, know_library
from steering.errors import SteeringError
from steering.extraction.sources import read_vector
from steering.forms.shown import Shown
from steering.names import safe_name
from steering.store import Store
from steering.vectors.foreign import Convention
from steering.vectors.vector import SteeringVector
from workbench.home import HOME, RUNS, home
from workbench.library.entries import Entry, Unreadable, missing
from workbench.library.exports import Exports
from workbench.library.recipes import KIND as RECIPE
from workbench.library.recipes import Recipes
from workbench.library.removed import Bin, Removed
from workbench.library.shown import shelf_html, shelf_text
from workbench.library.uploads import KIND as UPLOAD
from workbench.library.uploads import Uploads
from workbench.library.vector_files import VectorFiles
from workbench.library.vector_notes import VectorNotes
from workbench.places import forget_place, name_place
from workbench.runs.runs import Runs


class Workspace(Shown):
    """One folder on disk; safe to use from several threads.

    A vector's file appears whole or not at all, so that a crash leaves the old file or the new one, never half of one.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        apart: bool = False,
        may_keep: Callable[[int], None] | None = None,
    ) -> None:
        """Open a workspace, making its folders where they are missing.

        Args:
            folder: Where; by default `STEERING_WORKBENCH_HOME`, else the user's data folder.
            apart: Whether it is one of several whose owners must not find each other's uploads.
            may_keep: Called with how many vectors there are before one more is kept; raises where that is too many.

        Raises:
            SteeringError: The folder cannot be made or written.
        """
        self.folder = home(folder)
        self.shelf = self.folder / "shelf"
        self.dictionaries = self.folder / "dictionaries"
        """Sparse dictionaries that were trained, a folder each."""
        self.exports = self.folder / "exports"
        self._exports = Exports(self.exports)
        self.notes = VectorNotes(self.folder / "shelf.json")
        """What somebody notes of vectors, by name."""
        self.version = 0
        """Changes whenever the shelf or the library does, in this process."""
        name_place(self.folder, "the workspace")
        self._may_keep = may_keep
        # Guards the choice of a free name until its file stands, the counter and the cache.
        self._lock = threading.RLock()
        self._files = VectorFiles(self.shelf)
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
        if not apart:
            know_library(self.uploads.files)
            know_dictionaries(self.dictionaries)
        self.recipes = Recipes(self.folder / "recipes", self.bin, self._changed)
        """What was saved under a name."""

    __str__, _repr_html_ = shelf_text, shelf_html

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
        return Runs(self.folder / RUNS)

    def close(self) -> None:
        """Let its files go, and what was removed for good."""
        self.bin.close()
        for name in {"runs", "cells"} & set(self.__dict__):  # those that were asked for
            getattr(self, name).close()
        forget_place(self.folder)

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
            kept = self._files.find(wanted)
            if isinstance(kept, Entry) and kept.vector.digest == vector.digest:
                return kept.name
            if self._may_keep is not None:
                self._may_keep(len(self.names()))
            chosen = self._files.write(vector, wanted)
            with contextlib.suppress(SteeringError):  # the vector is there, which counts
                self.notes.taken(chosen)
            self.version += 1
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
        found = self._files.find(name)
        if isinstance(found, Unreadable):
            raise found.error
        if found is None:
            raise self._missing(name)
        return found

    def names(self) -> list[str]:
        """Names of the readable vectors, newest first."""
        return [entry.name for entry in self.entries() if isinstance(entry, Entry)]

    def digests(self, names: Container[str] | None = None) -> dict[str, str]:
        """Name -> digest of the readable vectors, or of those among some names; each is worked out anew."""
        known = [entry for entry in self.entries() if isinstance(entry, Entry)]
        return {each.name: each.vector.digest for each in known if names is None or each.name in names}

    def entries(self) -> list[Entry | Unreadable]:
        """Everything on the shelf, newest first."""
        with self._lock:
            return self._files.entries()

    def remove(self, name: str, owner: str = "") -> Removed:
        """Take a vector off the shelf; it can be had back (`restore`) until this process ends.

        Args:
            name: Of a vector, or of a file that is none.
            owner: The visitor who removes it.

        Raises:
            SteeringError: There is none with this name, or its file cannot be removed.
        """
        with self._lock:
            found = self._files.find(name)
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
            chosen = self._files.free(removed.name)
            while not self.bin.back(removed, self._files.path(chosen)):  # another process was quicker
                chosen = self._files.free(removed.name)
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
            if wanted.casefold() != name.casefold() and wanted != self._files.free(wanted):
                raise SteeringError(
                    f"There is a vector '{wanted}' on the shelf already.", "a name that is free.", "Choose another one."
                )
            stamp = entry.path.stat()
            # Whenever this ends half-way, the vector is there under one name or both, and its notes with it.
            self.notes.copy(name, wanted)
            if wanted.casefold() == name.casefold():
                os.rename(entry.path, self._files.path(wanted))
            else:
                wanted = self._files.write(entry.vector, wanted)
                with contextlib.suppress(OSError):
                    os.utime(self._files.path(wanted), ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
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
