"""The list of runs: a SQLite file that several processes may use at once."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from workbench.runs.run import OPEN, Run


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
_COLUMNS = tuple(each.name for each in fields(Run))
_SHORT = tuple(name for name in _COLUMNS if name != "about")


class Index:
    """The rows of the list; whoever asks decides what they mean."""

    def __init__(self, path: Path) -> None:
        """Open the list, or make it.

        Raises:
            SteeringError: It was made by a newer workbench, is damaged, or cannot be read.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    def add(self, run: Run, process: str) -> None:
        """A new row.

        Args:
            run: What it says.
            process: Of the process in which it runs.
        """
        row = {**_row(run), "process": process}
        marks = ", ".join(f":{name}" for name in row)
        with self._using() as file:
            file.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({marks})", row)

    def change(self, id: str, **values: Any) -> None:
        """Write some columns of a row."""
        given = {name: _stored(value) for name, value in values.items()}
        changes = ", ".join(f"{name} = :{name}" for name in given)
        with self._using() as file:
            file.execute(f"UPDATE runs SET {changes} WHERE id = :id", {**given, "id": id})

    def get(self, id: str) -> Run | None:
        """A row whole, deleted ones included."""
        with self._using() as file:
            row = file.execute(f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE id = ?", (id,)).fetchone()
        return _run(_COLUMNS, row) if row else None

    def find(self, where: Mapping[str, Any], *, search: str = "", limit: int = -1, offset: int = 0) -> list[Run]:
        """Rows that are not deleted, the latest first, without `about`.

        Args:
            where: Column -> value, or a tuple of values of which one is to hold.
            search: Words that all stand somewhere in title, model, kind, note or tags.
            limit: Rows at most; all where below 0.
            offset: So many are left out at the beginning.
        """
        tests, given = _tests(where, search)
        with self._using() as file:
            rows = file.execute(
                f"SELECT {', '.join(_SHORT)} FROM runs WHERE {tests} ORDER BY begun DESC, rowid DESC LIMIT ? OFFSET ?",
                (*given, limit, offset),
            ).fetchall()
        return [_run(_SHORT, row) for row in rows]

    def count(self, where: Mapping[str, Any], *, search: str = "") -> tuple[int, int]:
        """How many rows `find` has in all, and the sum of their sizes in bytes."""
        tests, given = _tests(where, search)
        with self._using() as file:
            n, size = file.execute(f"SELECT count(*), coalesce(sum(size), 0) FROM runs WHERE {tests}", given).fetchone()
        return n, size

    def values(self, column: str, where: Mapping[str, Any]) -> list[str]:
        """What stands in a column, each once."""
        tests, given = _tests(where, "")
        with self._using() as file:
            rows = file.execute(f"SELECT DISTINCT {column} FROM runs WHERE {tests} ORDER BY 1", given).fetchall()
        return [row[0] for row in rows]

    def processes(self) -> set[str]:
        """Processes of which runs go on, or are deleted and not gone, as far as the list knows."""
        with self._using() as file:
            marks = ", ".join("?" for _ in OPEN)
            rows = file.execute(f"SELECT DISTINCT process FROM runs WHERE state IN ({marks})", OPEN).fetchall()
        return {row[0] for row in rows} | set(self.deleted().values())

    def interrupt(self, process: str, ended: str) -> None:
        """What ran in a process that is gone is interrupted."""
        with self._using() as file:
            marks = ", ".join("?" for _ in OPEN)
            file.execute(
                f"UPDATE runs SET state = 'interrupted', ended = ? WHERE process = ? AND state IN ({marks})",
                (ended, process, *OPEN),
            )

    def deleted(self) -> dict[str, str]:
        """Runs that are deleted and can still be had back: id -> the process in which they were."""
        with self._using() as file:
            return dict(file.execute("SELECT id, deleted FROM runs WHERE deleted != ''").fetchall())

    def forget(self, id: str) -> None:
        """Take a row out for good."""
        with self._using() as file:
            file.execute("DELETE FROM runs WHERE id = ?", (id,))

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._file
            except sqlite3.Error as error:
                raise _unusable(self.path, error) from error

    def _migrate(self) -> None:
        """Bring the list to this version, one script at a time, each whole or not at all."""
        self._file.execute("BEGIN IMMEDIATE")  # of two processes that open it at once, one makes it
        try:
            version = self._file.execute("PRAGMA user_version").fetchone()[0]
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
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise


def _tests(where: Mapping[str, Any], search: str) -> tuple[str, list[Any]]:
    tests, given = ["deleted = ''"], []
    for column, value in where.items():
        several = value if isinstance(value, tuple) else (value,)
        tests.append(f"{column} IN ({', '.join('?' for _ in several)})")
        given += [_stored(each) for each in several]
    for word in search.split():
        tests.append("title || ' ' || model || ' ' || kind || ' ' || note || ' ' || tags LIKE ? ESCAPE '\\'")
        given.append(f"%{_escaped(word)}%")
    return " AND ".join(tests), given


def _escaped(word: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in word)


def _row(run: Run) -> dict[str, Any]:
    return {name: _stored(getattr(run, name)) for name in _COLUMNS}


def _stored(value: Any) -> Any:
    if isinstance(value, tuple | Mapping):
        return json.dumps(value, ensure_ascii=False)
    text = int(value) if isinstance(value, bool) else value
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


def _run(columns: tuple[str, ...], row: tuple[Any, ...]) -> Run:
    found = dict(zip(columns, row, strict=True))
    run = Run(**{**found, "tags": tuple(json.loads(found["tags"])), "favourite": bool(found["favourite"])})
    return replace(run, about=json.loads(found["about"])) if "about" in found else run


def _unusable(path: Path, error: Exception) -> SteeringError:
    return SteeringError(
        f"The list of runs '{path}' cannot be used: {str(error)[:200]}.",
        "a file that can be read and written, and that is a list of runs.",
        "Free some space, give the folder's rights back, or choose another one with --workspace; what is shown stays.",
    )
