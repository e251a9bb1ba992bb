"""The list of runs: a SQLite file that several processes may use at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.runs.list_file import ListFile
from workbench.runs.run import OPEN, Run


_COLUMNS = tuple(each.name for each in fields(Run))
_SHORT = tuple(name for name in _COLUMNS if name != "about")

_SEVERAL = {"vector": ("json_each(about, '$.vectors')", "key"), "tag": ("json_each(tags)", "value")}
"""What a run has any number of: where in its row, and what of it."""
_TIMES = {"since": ">=", "until": "<"}


@dataclass(frozen=True)
class Row:
    """What the list says of a run beside the run itself."""

    run: Run
    process: str
    """In which it ran."""
    deleted: str
    """Process in which it was deleted; "" where it was not."""


class Index:
    """The rows of the list; whoever asks decides what they mean.

    What is beside it says the same: a list that is damaged or missing is made anew from there, and the damaged file is
    kept under another name.
    """

    def __init__(self, path: Path, kept: Callable[[], Iterable[tuple[Run, str]]] = tuple) -> None:
        """Open the list, or make it.

        Args:
            path: Where.
            kept: Gives what lies beside it, runs and the processes they are of: what a list that is made begins with.

        Raises:
            SteeringError: It was made by a newer workbench, or cannot be read.
        """
        self._kept = kept
        self._file = ListFile(path, self._fill)

    @property
    def mended(self) -> str:
        """As `ListFile.mended`."""
        return self._file.mended

    def add(self, run: Run, process: str) -> None:
        """A new row.

        Args:
            run: What it says.
            process: Of the process in which it runs.
        """
        self._file.ask(*_insertion(run, process))

    def change(self, id: str, **values: Any) -> None:
        """Write some columns of a row."""
        given = {name: _stored(value) for name, value in values.items()}
        changes = ", ".join(f"{name} = :{name}" for name in given)
        self._file.ask(f"UPDATE runs SET {changes} WHERE id = :id", {**given, "id": id})

    def get(self, id: str) -> Row | None:
        """A row whole, deleted ones included."""
        rows = self._file.ask(f"SELECT process, deleted, {', '.join(_COLUMNS)} FROM runs WHERE id = ?", (id,))
        return Row(_run(_COLUMNS, rows[0][2:]), *rows[0][:2]) if rows else None

    def find(self, where: Mapping[str, Any], *, search: str = "", limit: int = -1, offset: int = 0) -> list[Run]:
        """Rows that are not deleted, the latest first, without `about`.

        Args:
            where: Column -> value, or a tuple of values of which one is to hold; "vector" or "tag" -> one that a run
                has; "since" or "until" -> time from or before which it began.
            search: Words that all stand somewhere in title, model, kind, note or tags.
            limit: Rows at most; all where below 0.
            offset: So many are left out at the beginning.
        """
        tests, given = _tests(where, search)
        rows = self._file.ask(
            f"SELECT {', '.join(_SHORT)} FROM runs WHERE {tests} ORDER BY begun DESC, rowid DESC LIMIT ? OFFSET ?",
            (*given, limit, offset),
        )
        return [_run(_SHORT, row) for row in rows]

    def count(self, where: Mapping[str, Any], *, search: str = "") -> tuple[int, int]:
        """How many rows `find` has in all, and the sum of their sizes in bytes."""
        tests, given = _tests(where, search)
        n, size = self._file.ask(f"SELECT count(*), coalesce(sum(size), 0) FROM runs WHERE {tests}", given)[0]
        return n, size

    def values(self, column: str, where: Mapping[str, Any]) -> list[str]:
        """What stands in a column, each once; of "vector" and "tag", of which a run has any number, all of them."""
        tests, given = _tests(where, "")
        each, value = _SEVERAL.get(column, ("", column))
        rows = f"runs, {each} AS several" if each else "runs"
        asked = f"SELECT DISTINCT {'several.' if each else ''}{value} FROM {rows} WHERE {tests} ORDER BY 1"
        return [row[0] for row in self._file.ask(asked, given)]

    def imported(self, digest: str) -> list[str]:
        """Ids of rows that say that they were imported with this digest, deleted ones included."""
        asked = "SELECT id FROM runs WHERE json_extract(about, '$.imported.digest') = ?"
        return [row[0] for row in self._file.ask(asked, (digest,))]

    def processes(self) -> set[str]:
        """Processes of which runs go on, or are deleted and not gone, as far as the list knows."""
        marks = ", ".join("?" for _ in OPEN)
        rows = self._file.ask(
            f"SELECT process FROM runs WHERE state IN ({marks}) UNION SELECT deleted FROM runs WHERE deleted > ''", OPEN
        )
        return {row[0] for row in rows}

    def runs_in(self, process: str) -> list[Run]:
        """What was run in a process, without `about`."""
        rows = self._file.ask(f"SELECT {', '.join(_SHORT)} FROM runs WHERE process = ? AND deleted = ''", (process,))
        return [_run(_SHORT, row) for row in rows]

    def deleted_in(self, process: str) -> list[str]:
        """Ids of what was deleted in a process and can still be had back."""
        return [row[0] for row in self._file.ask("SELECT id FROM runs WHERE deleted = ? AND deleted > ''", (process,))]

    def forget(self, id: str) -> None:
        """Take a row out for good."""
        self._file.ask("DELETE FROM runs WHERE id = ?", (id,))

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _fill(self, file: sqlite3.Connection) -> int:
        rows = [_insertion(run, process) for run, process in self._kept()]
        for row in rows:
            file.execute(*row)
        return len(rows)


def _tests(where: Mapping[str, Any], search: str) -> tuple[str, list[Any]]:
    tests, given = ["deleted = ''"], []
    for column, value in where.items():
        several = value if isinstance(value, tuple) else (value,)
        given += [_stored(each) for each in several]
        if column in _SEVERAL:
            each, name = _SEVERAL[column]
            tests.append(f"EXISTS (SELECT 1 FROM {each} AS several WHERE several.{name} = ?)")
            continue
        if column in _TIMES:
            tests.append(f"begun {_TIMES[column]} ?")
            continue
        tests.append(f"{column} IN ({', '.join('?' for _ in several)})")
    for word in search.split():
        tests.append("title || ' ' || model || ' ' || kind || ' ' || note || ' ' || tags LIKE ? ESCAPE '\\'")
        given.append(f"%{_escaped(word)}%")
    return " AND ".join(tests), given


def _escaped(word: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in word)


def _insertion(run: Run, process: str) -> tuple[str, dict[str, Any]]:
    row = {**{name: _stored(getattr(run, name)) for name in _COLUMNS}, "process": process}
    marks = ", ".join(f":{name}" for name in row)
    return f"INSERT OR REPLACE INTO runs ({', '.join(row)}) VALUES ({marks})", row


def _stored(value: Any) -> Any:
    if isinstance(value, tuple | Mapping):
        return json.dumps(value, ensure_ascii=False)
    text = int(value) if isinstance(value, bool) else value
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


def _run(columns: tuple[str, ...], row: tuple[Any, ...]) -> Run:
    found = dict(zip(columns, row, strict=True))
    run = Run(**{**found, "tags": tuple(json.loads(found["tags"])), "favourite": bool(found["favourite"])})
    return replace(run, about=json.loads(found["about"])) if "about" in found else run
