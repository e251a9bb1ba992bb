"""Finished work on disk, by the digest of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.lane import note
from steering.own_files import claim, foreign, set_database_aside, temporary_beside, typed_path
from steering.paths import is_file


MOST = 50_000
"""Entries that are kept; the oldest go first."""
Kept = MutableMapping[str, dict[str, Any]]
"""What studies keep finished parts in: any mapping from the digest of all that a part depends on to the part."""
PATIENCE = 15.0
"""Seconds to wait for another process that writes."""
_MAGIC = b"SQLite format 3\0"
_MARK = 0x53C257B5
"""SQLite's `application_id` of a store, bytes 68 to 71 of its file."""
_TABLE = "CREATE TABLE cells (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
_HEAD = 65536
"""Bytes of SQLite's longest page: the first one holds the mark and the names of the tables."""


def digest(*parts: Any) -> str:
    """SHA-256 of parts that JSON can hold, in order."""
    text = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def kept_in(path: str | Path) -> Kept:
    """The store in a file; one in memory where the path is empty.

    Raises:
        SteeringError: As `Store`.
    """
    return Store(typed_path(path)) if path and str(path).strip() else {}


class Store(MutableMapping[str, dict[str, Any]]):
    """A mapping in a SQLite file, safe to use from several threads and processes.

    It is a cache: a store that is damaged is set aside and begun anew, one that can no longer be written goes on in
    memory, and a note says so. A file that is no store is never touched.
    """

    def __init__(self, path: Path, *, own: bool = False) -> None:
        """Open the file, or make it.

        Args:
            path: Where.
            own: Whether whatever is there can only be a store, such as in the workspace; else the file must say so.

        Raises:
            SteeringError: Something else is there, another program holds it, or it cannot be written; with `own`,
                what is kept stays in memory then.
        """
        self.path = path
        self._lock = threading.RLock()
        self._memory: dict[str, dict[str, Any]] = {}
        self._file: sqlite3.Connection
        self._broken = False
        """Whether the file could not be written, so that what is new stays in memory."""
        try:
            if path.exists() and not own and not _is_store(path):
                raise foreign(path)
            self._open()
        except (OSError, ValueError, sqlite3.Error) as error:
            if own:  # nobody chose the place, and studies can do without
                self._file = sqlite3.connect(":memory:", check_same_thread=False)
                self._file.execute(_TABLE)
                note(f"Finished parts are kept in memory until the program ends: {_reason(error)}.")
                return
            raise SteeringError(
                f"Finished parts cannot be kept in '{path}': {_reason(error)}.",
                "a file that can be written and that no other program holds.",
                "Choose another, or try again later.",
            ) from error

    def __getitem__(self, key: str) -> dict[str, Any]:
        with self._lock:
            if key in self._memory:
                return self._memory[key]
            found = self._ask(("SELECT value FROM cells WHERE key = ?", key))
        if not found:
            raise KeyError(key)
        value = _read(found[0][0])
        if value is None:  # a page of the file that is damaged where SQLite does not look
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        with self._lock:
            self._ask(
                ("INSERT OR REPLACE INTO cells (key, value) VALUES (?, ?)", key, json.dumps(value)),
                ("DELETE FROM cells WHERE rowid <= (SELECT max(rowid) FROM cells) - ?", MOST),
            )
            if self._broken:
                self._memory[key] = value

    def __delitem__(self, key: str) -> None:
        with self._lock:
            known = key in self
            self._memory.pop(key, None)
            self._ask(("DELETE FROM cells WHERE key = ?", key))
        if not known:
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            keys = [key for (key,) in self._ask(("SELECT key FROM cells ORDER BY rowid",))]
            return iter([*dict.fromkeys([*keys, *self._memory])])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def newest(self, characters: int) -> dict[str, dict[str, Any]]:
        """What was added last, as much as is no longer than so many characters in all."""
        with self._lock:
            found = self._ask(("SELECT key, value FROM (SELECT key, value, rowid AS place, "
                "sum(length(value)) OVER (ORDER BY rowid DESC) AS so_far FROM cells) WHERE so_far <= ? "
                "ORDER BY place", characters))  # fmt: skip
            read = {key: value for key, text in found if (value := _read(text)) is not None}
            return {**read, **self._memory}

    def close(self) -> None:
        """Let the file go; the store is of no use then."""
        with self._lock:
            self._file.close()

    def _ask(self, *statements: tuple[Any, ...]) -> list[Any]:
        """What the last of some statements gives, each with its values; nothing where the file fails, which is said
        once.
        """
        try:
            with self._file:
                for sql, *values in statements:
                    found = self._file.execute(sql, values).fetchall()
                return found
        except sqlite3.OperationalError as error:
            self._go_on_in_memory(error)
        except sqlite3.DatabaseError as error:
            try:
                self._begin_anew(error)
                return self._ask(*statements)
            except (OSError, sqlite3.Error) as another:
                self._go_on_in_memory(another)
        return []

    def _go_on_in_memory(self, error: Exception) -> None:
        if not self._broken:
            note(
                f"Finished parts cannot be kept in '{self.path}' any more: {_reason(error)}. They are kept in memory, "
                "until the program ends."
            )
        self._broken = True

    def _begin_anew(self, error: Exception) -> None:
        with suppress(AttributeError, sqlite3.Error):
            self._file.close()
        aside = set_database_aside(self.path)
        note(
            f"The store of finished parts '{self.path.name}' was damaged ({_reason(error)}). It was set aside as "
            f"'{aside.name}'; its parts are computed anew."
        )
        _make(self.path)
        self._file = _connect(self.path)

    def _open(self) -> None:
        if not self.path.exists():
            _make(self.path)
        try:
            self._file = _connect(self.path)
        except sqlite3.OperationalError:  # locked, or not to be written: nothing is wrong with the file itself
            raise
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)


class Carried(MutableMapping[str, dict[str, Any]]):
    """A store away from its file: what was known there, and a word of everything that is added."""

    def __init__(self, known: dict[str, dict[str, Any]]) -> None:
        """What is known, by key."""
        self._known = known
        self.tell: Callable[[str, dict[str, Any]], None] = lambda key, value: None
        """Called with what is added."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._known[key]

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        self._known[key] = value
        self.tell(key, value)

    def __delitem__(self, key: str) -> None:
        del self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class HandedOn(MutableMapping[str, dict[str, Any]]):
    """A store that keeps nothing: what is put into it goes to who is named."""

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        """Who takes what is put in."""
        self._take = take

    def __getitem__(self, key: str) -> dict[str, Any]:
        raise KeyError(key)

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        self._take(value)

    def __delitem__(self, key: str) -> None:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _is_store(path: Path) -> bool:
    """Whether a file is a store, even a damaged one: by SQLite's mark, or the table that only stores have."""
    if not is_file(path):
        return False
    # Asked through SQLite: closing a file gives up every lock that this process has on it, another store's included.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as store,
    ):
        if store.execute("PRAGMA application_id").fetchone() == (_MARK,):
            return True
    with path.open("rb") as file:
        head = file.read(_HEAD)
    marked = head[68:72] == _MARK.to_bytes(4, "big")
    return marked or (head.startswith(_MAGIC) and _TABLE.encode() in head)


def _make(path: Path) -> None:
    """An empty store, which appears whole; where another process was quicker, its store stays."""
    with temporary_beside(path) as temporary:
        with closing(sqlite3.connect(temporary)) as file:
            file.execute(f"PRAGMA application_id = {_MARK}")
            file.execute(_TABLE)
        claim(temporary, path)


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, check_same_thread=False, timeout=PATIENCE)
    try:
        # Reads the first page, and is no write where the file is in this mode already.
        file.execute("PRAGMA journal_mode = WAL").fetchone()
        # What a power cut takes is computed again; waiting for the disk at every part is dear.
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        file.close()
        raise
    return file


def _read(text: Any) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
