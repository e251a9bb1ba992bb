"""What a file holds, as rows: each with where it stands, and the list of the file that it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.texts.columns import SIDES, is_column, label_text, lowered, split_of
from steering.texts.formats import Content, read_file
from steering.texts.guards import MOST_ROWS, too_large
from steering.texts.sources import Selection, local_file, split_source


PAIRS = "pairs"
"""The list of the project's own layout that holds the pairs."""
_LEVELS = 4
"""Mappings around a list that are followed."""


@dataclass(frozen=True)
class Row:
    """One row of a file."""

    value: Any
    """A mapping from columns to cells, a text, or a list."""
    where: str
    """File and row, as messages name it."""
    part: tuple[str, ...] = ()
    """The names of the lists that it stands in, from the outside; none where a file has one list."""


@dataclass(frozen=True)
class Table:
    """The rows of a file, and what it says beside them."""

    name: str
    rows: tuple[Row, ...]
    fields: Mapping[str, Any]
    """Single values of the file's outermost mapping, such as a title."""
    lists: tuple[str, ...] = ()
    """The lists by name, in the file's order."""
    notes: tuple[str, ...] = ()
    selection: Selection = field(default_factory=Selection)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the rows that have any, in order."""
        found: dict[str, None] = {}
        for row in self.rows:
            if isinstance(row.value, Mapping):
                found.update(dict.fromkeys(map(str, row.value)))
        return tuple(found)

    def part(self, name: str) -> tuple[Row, ...]:
        """The rows of the list with this name, at whatever level."""
        return tuple(row for row in self.rows if name.lower() in map(str.lower, row.part))

    def wrong(self, expected: str, remedy: str) -> SteeringError:
        """The error for a file that is read well and holds something else."""
        if self.lists:
            held = f"the lists {', '.join(self.lists[:12])}"
        elif self.columns:
            held = f"the columns {', '.join(self.columns[:20])}"
        else:
            held = "one list of texts" if self.rows else "no rows"
        verb = "holds" if not (self.lists or self.columns) else "has"
        return SteeringError(f"{self.name} {verb} {held}.", expected, remedy)


def read_table(source: str | Path) -> Table:
    """The rows of a file, or of a data set on the Hub, perhaps with a selection behind `::`.

    Raises:
        SteeringError: There is none, it cannot be read, or the selection names what it has not.
    """
    place, selection = split_source(source)
    return select(table_of(read_file(local_file(place))), selection)


def table_of(content: Content) -> Table:
    """Rows from whatever shape a file has: a list, an object of lists, splits or categories, rows by id."""
    name, value = content.name, content.value
    if not isinstance(value, Mapping):
        numbers = content.numbers or range(1, len(value) + 1) if isinstance(value, list) else (1,)
        held = value if isinstance(value, list) else [value] if value is not None else []
        rows = tuple(Row(each, f"{name}, row {number}") for number, each in zip(numbers, held, strict=False))
        return _counted(Table(name, rows, {}, (), content.notes))
    for columns in (_columns(value), _by_id(value)):
        if columns is not None:
            rows = tuple(Row(each, f"{name}, row {number}") for number, each in enumerate(columns, start=1))
            return _counted(Table(name, rows, {}, (), content.notes))
    parts = list(_parts(value, ()))
    if not parts:
        single = (Row(value, f"{name}, row 1"),) if value else ()
        return Table(name, single, {}, (), content.notes)
    lists = tuple(", ".join(part) for part, _ in parts)
    if len(parts) == 1 and not split_of(parts[0][0][-1]):
        kept = parts[0][0] if parts[0][0][-1] == PAIRS or _is_side(lists[0]) else ()
        parts, lists = [(kept, parts[0][1])], lists if _is_side(lists[0]) else ()
    rows = tuple(
        Row(each, ", ".join((name, *(each for each in part if each != PAIRS), f"row {number}")), part)
        for part, held in parts
        for number, each in enumerate(held, start=1)
    )
    fields = {str(key): each for key, each in value.items() if not isinstance(each, list | Mapping)}
    return _counted(Table(name, rows, fields, lists, content.notes))


def select(table: Table, selection: Selection) -> Table:
    """Only the rows that a selection means; its columns are left to who reads them.

    Raises:
        SteeringError: A column that no row has, or no row left.
    """
    rows = table.rows
    for column, value in selection.rows:
        kept = [row for row in rows if label_text(_cell(row, column)) == label_text(value)]
        if not kept:
            known = dict.fromkeys(str(_cell(row, column))[:30] for row in rows)
            raise SteeringError(
                f"No row of {table.name} has '{value}' in the column '{column}'.",
                f"one of {', '.join(list(known)[:8]) or 'nothing'}; its columns are {', '.join(table.columns[:20])}.",
                "Correct what stands behind '::'.",
            )
        rows = tuple(kept)
    left = len(table.rows) - len(rows)
    notes = (f"{left:,} rows were left out, as asked for.",) if left else ()
    return replace(table, rows=rows, notes=(*table.notes, *notes), selection=selection)


def chosen_list(table: Table) -> Table:
    """The table, or the one list of it that its selection names, where columns are found by the layout.

    Raises:
        SteeringError: The selection names something else.
    """
    chosen = table.selection.columns
    if not chosen:
        return table
    rows = table.part(chosen[0]) if len(chosen) == 1 else ()
    if not rows:
        raise table.wrong(
            f"nothing behind '::', or one of its lists; '{', '.join(chosen)}' is none.",
            "Leave it out: the columns are known by their names.",
        )
    return replace(table, rows=rows)


def _cell(row: Row, column: str) -> Any:
    if not isinstance(row.value, Mapping):
        return ""
    return row.value.get(lowered(row.value).get(column.lower(), column), "")


def _columns(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of an object of columns: lists of one length under known column names, or cells by row number."""
    keys = [str(key) for key in value]
    if len(keys) < 2 or not any(is_column(key) for key in keys) or any(split_of(key) for key in keys):
        return None
    held = list(value.values())
    if all(isinstance(each, Mapping) and each and all(str(key).isdecimal() for key in each) for each in held):
        held = [[each[key] for key in each] for each in held]
    if not all(isinstance(each, list) for each in held) or len({len(each) for each in held}) != 1:
        return None
    if any(isinstance(cell, Mapping) for each in held for cell in each):
        return None
    return [dict(zip(keys, cells, strict=True)) for cells in zip(*held, strict=True)]


def _by_id(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of an object that has a row under each key, all with the same columns."""
    held = list(value.values())
    if len(held) < 2 or not all(isinstance(each, Mapping) and each for each in held):
        return None
    first = set(held[0])
    if any(set(each) != first for each in held) or all(isinstance(each, list | Mapping) for each in held[0].values()):
        return None
    return [{"id": str(key), **each} for key, each in value.items()]


def _parts(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    for key, each in value.items():
        here = (*path, str(key))
        if isinstance(each, list):
            yield here, each
        elif isinstance(each, Mapping) and len(path) < _LEVELS:
            yield from _parts(each, here)


def _is_side(name: str) -> bool:
    return any(name.lower() in pair for pair in SIDES)


def _counted(table: Table) -> Table:
    if len(table.rows) > MOST_ROWS:
        raise too_large(table.name, f"has {len(table.rows):,} rows", f"{MOST_ROWS:,}")
    return table
