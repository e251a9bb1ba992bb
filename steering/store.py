"""Finished work on disk, by the digest of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from steering.errors import SteeringError


MOST = 50_000
"""Entries that are kept; the oldest go first."""
Kept = MutableMapping[str, dict[str, Any]]
"""What studies keep finished parts in: any mapping from the digest of all that a part depends on to the part."""


def digest(*parts: Any) -> str:
    """SHA-256 of parts that JSON can hold, in order."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def kept_in(path: str | Path) -> Kept:
    """The store in a file; one in memory where the path is empty.

    Raises:
        SteeringError: The file's folder cannot be written.
    """
    if not path:
        return {}
    path = Path(path).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Store(path)
    except (OSError, sqlite3.Error) as error:
        raise SteeringError(
            f"Finished parts cannot be kept in '{path}': {error}.", "a file that can be written.", "Choose another."
        ) from error


class Store(MutableMapping[str, dict[str, Any]]):
    """A mapping in a SQLite file, safe to use from several threads and processes.

    It is a cache: a file that cannot be read is set aside and begun anew.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it."""
        self._path = path
        self._lock = threading.Lock()
        try:
            self._open()
        except sqlite3.DatabaseError:
            path.replace(path.with_suffix(".damaged"))
            self._open()

    def __getitem__(self, key: str) -> dict[str, Any]:
        with self._lock:
            found = self._file.execute("SELECT value FROM cells WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise KeyError(key)
        value: dict[str, Any] = json.loads(found[0])
        return value

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        with self._lock, self._file:
            self._file.execute("INSERT OR REPLACE INTO cells (key, value) VALUES (?, ?)", (key, json.dumps(value)))
            self._file.execute("DELETE FROM cells WHERE rowid <= (SELECT max(rowid) FROM cells) - ?", (MOST,))

    def __delitem__(self, key: str) -> None:
        with self._lock, self._file:
            if not self._file.execute("DELETE FROM cells WHERE key = ?", (key,)).rowcount:
                raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            keys = self._file.execute("SELECT key FROM cells ORDER BY rowid").fetchall()
        return iter([key for (key,) in keys])

    def __len__(self) -> int:
        with self._lock:
            count: int = self._file.execute("SELECT count(*) FROM cells").fetchone()[0]
        return count

    def _open(self) -> None:
        self._file = sqlite3.connect(self._path, check_same_thread=False, timeout=30)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
