"""What a file holds, as rows: each with where it stands, and the list of the file that it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.guards import MOST_ROWS, too_large
from steering.texts.columns import SIDES, is_column, label_text, lowered, split_of
from steering.texts.formats import Content, read_file
from steering.texts.sources import Selection, local_file, split_source


PAIRS = "pairs"
"""The list of the project's own layout that holds the pairs."""
_LISTS = (PAIRS, "suffixes", "examples", "borderline")
"""Names of lists in layouts that are known, beside sides, splits and columns."""
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
    for columns in (_columns(value), _by_id(value), _split_frame(value)):
        if columns is not None:
            rows = tuple(Row(each, f"{name}, row {number}") for number, each in enumerate(columns, start=1))
            return _counted(Table(name, rows, {}, (), content.notes))
    parts, left = _told_apart(list(_parts(value, ())))
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
    return _counted(Table(name, rows, fields, lists, (*content.notes, *left)))


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
    if all(map(_is_side, keys)):  # two lists, which need be no pairs where they are of one length
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
    if not held or not all(isinstance(each, Mapping) and each for each in held):
        return None
    shared = set(held[0]).intersection(*held[1:])
    same = len(held) > 1 and all(set(each) == shared for each in held)
    if not same and not (any(is_column(str(key)) for key in shared) and not any(map(_named, value))):
        return None
    if all(isinstance(each, list | Mapping) for each in held[0].values()):
        return None
    return [{"id": str(key), **each} for key, each in value.items()]


def _split_frame(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of a data frame as pandas writes it with orient="split": names of columns, and cells by row."""
    names, rows = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(name, str) for name in names):
        return None
    if not names or any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _parts(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    for key, each in value.items():
        here = (*path, str(key))
        if isinstance(each, list):
            yield here, [_bare(row) for row in each]
        elif isinstance(each, Mapping) and len(path) < _LEVELS:
            rows = None if _named(key) and not split_of(key) else _columns(each) or _by_id(each)
            yield from _parts(each, here) if rows is None else [(here, rows)]


def _bare(row: Any) -> Any:
    """A row without what the Hub's server of rows puts around it."""
    inner = row.get("row") if isinstance(row, Mapping) and "row_idx" in row else None
    return inner if isinstance(inner, Mapping) else row


def _told_apart(parts: list[tuple[tuple[str, ...], list[Any]]]) -> tuple[list[Any], list[str]]:
    """Lists without those that tell about the file, such as keywords beside examples; and what was left out."""
    rows = [any(isinstance(row, Mapping) and any(map(is_column, lowered(row))) for row in held) for _, held in parts]
    if not any(rows):
        return parts, []
    kept = [part for part, known in zip(parts, rows, strict=True) if known or _named(part[0][-1])]
    left = [", ".join(part[0]) for part in parts if part not in kept]
    return kept, [f"Lists without texts were left out: {', '.join(left[:12])}."] if left else []


def _named(name: Any) -> bool:
    """Whether a list's name says what it holds: a side, a split, or texts."""
    low = str(name).lower()
    known = (low, low.removesuffix("s"))
    return _is_side(low) or low in _LISTS or bool(split_of(low)) or any(map(is_column, known))


def _is_side(name: str) -> bool:
    return any(name.lower() in pair for pair in SIDES)


def _counted(table: Table) -> Table:
    if len(table.rows) > MOST_ROWS:
        raise too_large(table.name, f"has {len(table.rows):,} rows", f"{MOST_ROWS:,}")
    first = next((row.value for row in table.rows if isinstance(row.value, Mapping)), {})
    twice = [str(name) for name in first if lowered(first)[str(name).strip().lower()] != name]
    if twice:
        other = lowered(first)[twice[0].strip().lower()]
        raise SteeringError(
            f"{table.name} has the columns '{twice[0][:60]}' and '{str(other)[:60]}'.",
            "names that differ in more than capitals and blanks.",
            "Rename one of them.",
        )
    return table
