"""The SQLite file of the list of runs: open in several processes, brought to this version, made anew where damaged."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from steering.errors import SteeringError
from steering.job import note
from steering.own_files import set_database_aside


PATIENCE = 15.0
"""Seconds to wait for another process that writes."""
MIGRATIONS = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, model TEXT NOT NULL, panel TEXT NOT NULL,
        state TEXT NOT NULL, begun TEXT NOT NULL, ended TEXT NOT NULL, owner TEXT NOT NULL, error TEXT NOT NULL,
        note TEXT NOT NULL, tags TEXT NOT NULL, favourite INTEGER NOT NULL, size INTEGER NOT NULL, about TEXT NOT NULL,
        process TEXT NOT NULL, deleted TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX runs_by_time ON runs (deleted, begun DESC);
    CREATE INDEX runs_by_state ON runs (state);
    """,
)
"""One script a version of the list, in order; what stands here is never changed, only added to."""


class ListFile:
    """The file, and what is asked of it."""

    def __init__(self, path: Path, fill: Callable[[sqlite3.Connection], int]) -> None:
        """Open the file, or make it.

        Args:
            path: Where.
            fill: Puts into a new list what lies beside it, and gives how many runs that were.

        Raises:
            SteeringError: A newer workbench made it, or it cannot be read.
        """
        self.path = path
        self.mended = ""
        """What was wrong with the list, and what it was made anew from; "" where nothing was."""
        self._fill, self._was = fill, ""
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except (sqlite3.Error, OSError, Timeout) as error:
            raise _unusable(path, error) from error

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._file.close()

    def ask(self, sql: str, given: Any = ()) -> list[Any]:
        """The rows that a statement gives.

        Raises:
            SteeringError: The list is locked for long, full, or cannot be read or written.
        """
        with self._lock:
            try:
                self._look()
                try:
                    return self._file.execute(sql, given).fetchall()
                except sqlite3.Error as error:
                    if not _damaged(error):
                        raise
                    self._begin_anew(error)
                    return self._file.execute(sql, given).fetchall()
            except (sqlite3.Error, OSError, Timeout) as error:
                raise _unusable(self.path, error) from error

    def _look(self) -> None:
        """Open the file that is there now, where another process made the list anew, or somebody took it away."""
        if _place(self.path) == self._place:
            return
        if not self.path.parent.is_dir():  # not made anew: it may be on a disk that comes back
            raise FileNotFoundError(errno.ENOENT, "its folder is gone", str(self.path.parent))
        self._file.close()
        self._open()

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.Error as error:
            if not _damaged(error):
                raise
            self._begin_anew(error)

    def _connect(self) -> None:
        self._file = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False, isolation_level=None)
        try:
            self._file.execute("PRAGMA journal_mode = WAL")
            # The disk is not waited for at every change: a power cut may take the last ones, and a killed program none.
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
            self._place = _place(self.path)
        except BaseException:
            self._file.close()
            raise

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Set a damaged list aside and make another one, in one process at a time."""
        self._file.close()
        with FileLock(self.path.with_name(".mending"), timeout=PATIENCE):
            if self._is_well():
                return
            self._was = f"damaged ({error}) and is kept as '{set_database_aside(self.path).name}'"
            self._connect()

    def _is_well(self) -> bool:
        """Whether another process has made the list anew; then it is open."""
        try:
            self._connect()
            well: bool = self._file.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.Error as error:
            if not _damaged(error):
                raise
            return False
        if not well:
            self._file.close()
        return well

    def _migrate(self) -> None:
        """Bring the list to this version, one script at a time; all of it or nothing."""
        if self._version() == len(MIGRATIONS):  # without waiting for whoever writes
            self._file.execute("SELECT count(*) FROM runs").fetchone()
            return
        self._file.execute("BEGIN IMMEDIATE")  # of two processes that open it at once, one makes it
        try:
            version = self._version()
            if version > len(MIGRATIONS):
                raise SteeringError(
                    f"The list of runs '{self.path}' has version {version}: a newer workbench made it.",
                    f"version {len(MIGRATIONS)} or older.",
                    "Use that workbench, or choose another folder with --workspace.",
                )
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in filter(str.strip, script.split(";")):
                    self._file.execute(statement)
                self._file.execute(f"PRAGMA user_version = {number}")
            if version == 0:
                self._begin()
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        version: int = self._file.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _begin(self) -> None:
        """Put what lies beside a new list into it, and say so where there is any."""
        n = self._fill(self._file)
        if n or self._was:
            was, self._was = self._was or "missing", ""
            found = f"{n} run{'s' * (n != 1)}"
            self.mended = f"The list of runs was {was}. It was made anew from the runs' folders: {found}."
            note(self.mended)


def _damaged(error: sqlite3.Error) -> bool:
    """Whether SQLite says that a file is no list of runs; not that it is locked, full or not to be written."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or str(error).startswith("no such ")


def _place(path: Path) -> tuple[int, int] | None:
    """Which file a path names now."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _unusable(path: Path, error: Exception) -> SteeringError:
    reason = str(getattr(error, "strerror", None) or error)[:200]
    if "locked" in reason:
        remedy = "Another program holds it: try again when that has ended, or end it."
    elif isinstance(error, FileNotFoundError):
        remedy = "Put it back where it was, or start the workbench with another --workspace."
    else:
        remedy = "Free some space, give the folder's rights back, or choose another one with --workspace."
    return SteeringError(
        f"The list of runs '{path}' cannot be used: {reason}.",
        "a file that can be read and written.",
        f"{remedy} What is shown stays.",
    )
