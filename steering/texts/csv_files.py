"""Tables as RFC 4180 has them: cells in quotes may hold line breaks, every row has as many cells as the header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import islice
from typing import Any

from steering.errors import SteeringError
from steering.guards import MOST_CHARACTERS, MOST_COLUMNS, check_count, check_pieces, too_large
from steering.texts.columns import is_column, without_header


ORIGIN = "steering-workbench-origin"
"""In the second of the two lines above a table of the workbench's own; see `steering.origins.carriers`."""
_ORIGIN = re.compile(rf"#[^\n]*\n# {ORIGIN} [^\n]*\n")
_MARKS = ",;\t|"
_NO_HEADER = "Its first row is no header and was read as a row: the columns have no names."
_WORDS, _LONG = 5, 60
"""A cell with as many words, or characters, is no name of a column."""


def read_csv(text: str, name: str, ending: str) -> tuple[list[dict[str, Any]], list[int], list[str]]:
    """The rows of a table, their numbers as an editor shows them, and notes.

    Raises:
        SteeringError: Over a limit, or malformed, with the row.
    """
    own = _ORIGIN.match(text)
    text = text[own.end() :] if own else text
    hint = re.match(r"sep=(.)\r?\n", text)  # as Excel writes it
    body = text[hint.end() :] if hint else text
    for mark in _MARKS:
        check_pieces(name, body, mark)
    delimiter = hint[1] if hint else _delimiter(body, ending)
    spaced = _spaced(body, delimiter)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    header: list[str] = []
    rows, numbers, number, notes = [], [], int(bool(hint)) + 2 * bool(own), list[str]()
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header, given, notes = _header(cells, name)
                if not given:
                    continue
            if len(cells) != len(header):
                raise _uneven(f"{name}, row {number} (line {reader.line_num}),", cells, len(header), delimiter)
            rows.append(dict(zip(header, cells, strict=True)))
            numbers.append(number)
            check_count(name, len(rows))
    except csv.Error as error:
        place = f"{name}, row {number + 1} (line {reader.line_num}), cannot be read"
        if "field limit" in str(error):
            what = f"a cell of more than {MOST_CHARACTERS:,} characters"
            raise SteeringError(f"{place}: {what}.", f"a well-formed {ending} file.", "Mend that row.") from error
        raise SteeringError(
            f"{place}: {error}.",
            f"a well-formed {ending} file: a cell that begins with a quote ends with one.",
            'Close the quote, and double the quotes inside it ("").',
        ) from error
    if spaced:
        notes = [*notes, "Blanks between a delimiter and a quote were left out."]
    return rows, numbers, notes


def _uneven(place: str, cells: list[str], wanted: int, delimiter: str) -> SteeringError:
    more = len(cells) > wanted
    return SteeringError(
        f"{place} has {len(cells)} cell{'s' * (len(cells) != 1)}, the header {wanted}: {delimiter.join(cells)[:60]!r}.",
        "as many cells as the header has.",
        "Put texts with a comma or a quote into quotes, and double the quotes inside."
        if more
        else "Add the cells that are missing, empty ones too; what stands above the header goes.",
    )


def _header(cells: list[str], name: str) -> tuple[list[str], bool, list[str]]:
    """Column names, whether the first row is data, and a note where that was seen by what it holds."""
    known = without_header(cells)
    if known:
        return list(known), True, []
    if _bare(cells):
        names = [f"text {place}" for place in range(1, len(cells) + 1)] if len(cells) > 1 else ["text"]
        return names, True, [_NO_HEADER]
    header = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    if len(header) > MOST_COLUMNS:
        raise too_large(name, f"has {len(header):,} columns", f"{MOST_COLUMNS:,}")
    twice, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise SteeringError(f"{name} has two columns '{twice[:60]}'.", "a name a column.", "Rename one of them.")
    return header, False, []


def _bare(cells: list[str]) -> bool:
    """Whether a first row is data: sentences, perhaps beside numbers, and not one name of a column."""
    held = [cell.strip() for cell in cells if cell.strip()]
    said = [cell for cell in held if len(cell.split()) >= _WORDS or len(cell) > _LONG or cell[-1] in ".?!。？！"]
    rest = [cell for cell in held if cell not in said]
    return bool(said) and all(re.fullmatch(r"[-+]?[\d.]+", cell) for cell in rest) and not any(map(is_column, held))


def _spaced(text: str, delimiter: str) -> bool:
    """Whether quotes stand behind blanks, which RFC 4180 would take for a part of the text."""
    first = islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 2)
    try:
        return any(re.match(' +"', cell) for cells in first for cell in cells)
    except csv.Error:
        return False


def _delimiter(text: str, ending: str) -> str:
    """Among comma, semicolon, tab and bar the one that gives the first row the most cells; the ending's where equal."""
    own = "\t" if ending == ".tsv" else ","
    counts = {}
    for each in (own, *(mark for mark in _MARKS if mark != own)):
        try:
            counts[each] = len(next(csv.reader(io.StringIO(text, newline=""), delimiter=each, strict=True), []))
        except csv.Error:
            counts[each] = 0
    return max(counts, key=lambda each: counts[each])
