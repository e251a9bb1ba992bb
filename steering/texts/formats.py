"""One file's bytes as Python values: text in UTF-8 or UTF-16, then JSON, JSONL, CSV, TSV, YAML, Parquet or lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from steering.errors import SteeringError
from steering.texts.columns import without_header
from steering.texts.guards import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_LEVELS,
    MOST_ROWS,
    MOST_YAML_BYTES,
    check_lines,
    check_pieces,
    check_row,
    check_size,
    check_text,
    check_value,
    too_large,
    whole_number,
)
from steering.texts.parquet_files import read_parquet
from steering.texts.yaml_files import load_yaml


ENDINGS = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
FORMATS = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Content:
    """What a file holds."""

    name: str
    value: Any
    """A list of rows, or what the file's outermost mapping is."""
    numbers: tuple[int, ...] = ()
    """The rows' numbers as an editor shows them, where they do not count 1, 2, 3: a table's header is row 1."""
    notes: tuple[str, ...] = ()


def read_file(path: Path) -> Content:
    """Read a file as its name's ending says.

    Raises:
        SteeringError: Another ending, over a limit, not Unicode, or malformed, with the row.
    """
    name, ending = path.name, path.suffix.lower()
    if ending not in ENDINGS:
        raise SteeringError(f"{name} has the ending '{path.suffix}'.", f"{FORMATS}.", "Convert or rename the file.")
    try:
        check_size(name, path.stat().st_size, MOST_YAML_BYTES if ending in (".yaml", ".yml") else MOST_BYTES)
        if ending == ".parquet":
            return Content(name, read_parquet(path, name))
        data = path.read_bytes()
    except OSError as error:
        raise SteeringError(
            f"{name} cannot be read: {error.strerror or error}.", "a file that may be read.", "Check the file."
        ) from error
    return read_text(decode(data, name), name, ending)


def read_text(text: str, name: str, ending: str) -> Content:
    """Read a text that is in one of the formats.

    Raises:
        SteeringError: As `read_file`.
    """
    check_lines(name, text)
    if ending in (".yaml", ".yml"):
        return Content(name, load_yaml(text, name))
    if ending in (".csv", ".tsv"):
        return _table(text, name, ending)
    if ending == ".txt":
        return _lines(text, name)
    return _json(text, name) if ending == ".json" else _json_lines(text, name)


def decode(data: bytes, name: str) -> str:
    """Bytes as text: UTF-8, or UTF-16 and 32 where a byte-order mark says so.

    Raises:
        SteeringError: Naming the line that is something else.
    """
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SteeringError(
            f"{name} is not {encoding.upper()} text: line {line} has the byte 0x{error.object[error.start]:02x}.",
            "a text file in UTF-8, or in UTF-16 with its mark.",
            "Save it as UTF-8.",
        ) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise SteeringError(
            f"{name}, line {line}, has a NUL character: it is no text file, or UTF-16 without a mark.",
            "a text file in UTF-8.",
            "Save it as UTF-8.",
        )
    return text


def _lines(text: str, name: str) -> Content:
    """A text a line; nothing but a line feed ends one."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    held = [(number, line) for number, line in lines if line]
    _check_count(name, len(held))
    for number, line in held:
        check_text(f"{name}, row {number},", line)
    return Content(name, [line for _, line in held], tuple(number for number, _ in held))


def _json(text: str, name: str) -> Content:
    check_pieces(name, text)
    try:
        value = _parsed(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            try:
                found = _json_lines(text, name)
            except SteeringError:
                _malformed(name, f", line {error.lineno},", "JSON", error)
            return Content(name, found.value, found.numbers, ("It has a JSON value a line, and was read as JSONL.",))
        place = f", line {error.lineno}," if isinstance(error, json.JSONDecodeError) else ""
        _malformed(name, place, "JSON", error)
    except RecursionError as error:
        raise too_large(name, "is nested too deep", "40 levels", "Write it out plainly.") from error
    check_value(name, value)
    return Content(name, value)


def _json_lines(text: str, name: str) -> Content:
    """A value a line, split at line feeds alone: texts may hold U+2028 and other separators as they are."""
    check_pieces(name, text)
    rows, numbers = [], []
    odd = _SURROGATE.search(text) is not None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{name}, row {number}"
        try:
            rows.append(_parsed(line))
        except ValueError as error:
            if not rows and text.lstrip()[:1] == "[":
                return _whole(text, name, error)
            _malformed(name, f", row {number}", "JSON", error)
        except RecursionError as error:
            raise too_large(place, "is nested too deep", "40 levels", "Write it out plainly.") from error
        if odd or len(line) > MOST_CHARACTERS or line.count("[") + line.count("{") > MOST_LEVELS:
            check_row(f"{name}, row {number}", rows[-1])
        numbers.append(number)
        _check_count(name, len(rows))
    return Content(name, rows, tuple(numbers))


def _whole(text: str, name: str, error: ValueError) -> Content:
    """A JSONL file that is one JSON list after all."""
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        _malformed(name, ", row 1", "JSON", error)
    check_value(name, value)
    return Content(name, value, (), ("It is one JSON list, and was read as that.",))


def _parsed(text: str) -> Any:
    return json.loads(
        text,
        object_pairs_hook=_unique,
        parse_int=whole_number,
        parse_constant=lambda _: None,  # NaN and Infinity, as pandas writes what is missing
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key '{twice[:60]}' stands twice in one object")
    return found


def _malformed(name: str, place: str, kind: str, error: Exception) -> NoReturn:
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error).splitlines()[0]
    raise SteeringError(
        f"{name}{place} is not valid {kind}: {said}.", f"well-formed {kind}.", "Mend that row."
    ) from error


def _table(text: str, name: str, ending: str) -> Content:
    """A table as RFC 4180 has it: cells in quotes may hold line breaks; every row has as many cells as the header."""
    hint = re.match(r"sep=(.)\r?\n", text)  # as Excel writes it
    body = text[hint.end() :] if hint else text
    for mark in ",;\t":
        check_pieces(name, body, mark)
    delimiter = hint[1] if hint else _delimiter(body, ending)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows, numbers, number = [], [], int(bool(hint))
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header, given = _header(cells, name)
                if not given:
                    continue
            if len(cells) != len(header):
                found = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
                raise SteeringError(
                    f"{name}, row {number} (line {reader.line_num}), has {found}, the header {len(header)}: "
                    f"{delimiter.join(cells)[:60]!r}.",
                    "as many cells as the header has.",
                    "Put texts with a comma or a quote into quotes, and double the quotes inside.",
                )
            rows.append(dict(zip(header, cells, strict=True)))
            numbers.append(number)
            _check_count(name, len(rows))
    except csv.Error as error:
        what = f"a cell of more than {MOST_CHARACTERS:,} characters" if "field limit" in str(error) else f"{error}"
        raise SteeringError(
            f"{name}, row {number + 1} (line {reader.line_num}), cannot be read: {what}.",
            f"a well-formed {ending} file.",
            "Mend that row.",
        ) from error
    return Content(name, rows, tuple(numbers))


def _header(cells: list[str], name: str) -> tuple[list[str], bool]:
    """Column names, and whether the first row is data, as in a layout that is known to have no header."""
    known = without_header(cells)
    if known:
        return list(known), True
    header = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    if len(header) > MOST_COLUMNS:
        raise too_large(name, f"has {len(header):,} columns", f"{MOST_COLUMNS:,}")
    twice, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise SteeringError(f"{name} has two columns '{twice[:60]}'.", "a name a column.", "Rename one of them.")
    return header, False


def _delimiter(text: str, ending: str) -> str:
    """Among comma, semicolon and tab the one that gives the first row the most cells; the ending's own where equal."""
    own = "\t" if ending == ".tsv" else ","
    counts = {}
    for each in (own, *(mark for mark in ",;\t" if mark != own)):
        try:
            counts[each] = len(next(csv.reader(io.StringIO(text, newline=""), delimiter=each, strict=True), []))
        except csv.Error:
            counts[each] = 0
    return max(counts, key=lambda each: counts[each])


def _check_count(name: str, rows: int) -> None:
    if rows > MOST_ROWS:
        raise too_large(name, f"has more than {MOST_ROWS:,} rows", f"{MOST_ROWS:,}")
