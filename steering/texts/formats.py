"""One file's bytes as Python values: text in UTF-8 or UTF-16, then JSON, JSONL, CSV, TSV, YAML, Parquet or lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from steering.errors import SteeringError
from steering.guards import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_LEVELS,
    MOST_YAML_BYTES,
    check_count,
    check_lines,
    check_pieces,
    check_row,
    check_size,
    check_text,
    check_value,
    too_large,
    whole_number,
)
from steering.texts.csv_files import read_csv
from steering.texts.packed_files import PACKED, check_head, unpack
from steering.texts.parquet_files import read_parquet
from steering.yaml_files import load_yaml


ENDINGS = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
FORMATS = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
_TEXTS = tuple(ending for ending in ENDINGS if ending != ".parquet")
"""Those that may be packed; Parquet is so by itself."""
TAKEN = (*ENDINGS, *PACKED)
"""What a name may end in."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_START = re.compile(r"[ \t\n\r]*")
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
    if ending not in TAKEN:
        what = f"has the ending '{path.suffix}'" if ending else "has no ending that says what it is"
        raise SteeringError(f"{name} {what}.", f"{FORMATS}.", "Convert or rename the file.")
    try:
        check_size(name, path.stat().st_size, MOST_YAML_BYTES if ending in (".yaml", ".yml") else MOST_BYTES)
        with path.open("rb") as file:
            head = file.read(64)
        if ending == ".parquet":
            check_head(head.removeprefix(b"PAR1"), name)
            return Content(name, read_parquet(path, name))
        data, ending = unpack(path, _TEXTS) if ending in PACKED else (path.read_bytes(), ending)
        check_head(data[:64], name)
    except OSError as error:
        raise SteeringError(
            f"{name} cannot be read: {error.strerror or error}.", "a file that may be read.", "Check the file."
        ) from error
    if ending in (".yaml", ".yml"):  # a packed one
        check_size(name, len(data), MOST_YAML_BYTES)
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
        rows, row_numbers, notes = read_csv(text, name, ending)
        return Content(name, rows, tuple(row_numbers), tuple(notes))
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
    return text if "\n" in text else text.replace("\r", "\n")  # lines of old Macs


def _lines(text: str, name: str) -> Content:
    """A text a line; nothing but a line feed ends one."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    held = [(number, line) for number, line in lines if line]
    check_count(name, len(held))
    for number, line in held:
        check_text(f"{name}, row {number},", line)
    return Content(name, [line for _, line in held], tuple(number for number, _ in held))


def _json(text: str, name: str) -> Content:
    if not text.strip():
        raise SteeringError(f"{name} is empty.", "texts.", "Choose another file.")
    check_pieces(name, text)
    try:
        value = _parsed(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            try:
                found = _json_lines(text, name)
            except SteeringError:
                _malformed(name, f", line {error.lineno},", "JSON", error)
            said = found.notes or ("It has a JSON value a line, and was read as JSONL.",)
            return Content(name, found.value, found.numbers, said)
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
            if not rows and text.lstrip()[:1] in ("[", "{"):
                return _whole(text, name, error)
            _malformed(name, f", row {number}", "JSON", error)
        except RecursionError as error:
            raise too_large(place, "is nested too deep", "40 levels", "Write it out plainly.") from error
        if odd or len(line) > MOST_CHARACTERS or line.count("[") + line.count("{") > MOST_LEVELS:
            check_row(f"{name}, row {number}", rows[-1])
        numbers.append(number)
        check_count(name, len(rows))
    return Content(name, rows, tuple(numbers))


def _whole(text: str, name: str, error: ValueError) -> Content:
    """A file of JSON values that is one list after all, or whose values lie over several lines, one behind another."""
    try:
        values = list(_values(text))
    except (ValueError, RecursionError):
        _malformed(name, ", row 1", "JSON", error)
    if len(values) == 1 and isinstance(values[0], list):
        check_value(name, values[0])
        return Content(name, values[0], (), ("It is one JSON list, and was read as that.",))
    check_value(name, values)
    check_count(name, len(values))
    return Content(name, values, (), ("Its JSON values do not stand a line each, and were read one after another.",))


def _values(text: str) -> Iterator[Any]:
    place = _START.match(text, 0).end()  # type: ignore[union-attr]
    while place < len(text):
        value, place = _DECODER.raw_decode(text, place)
        yield value
        place = _START.match(text, place).end()  # type: ignore[union-attr]


def _parsed(text: str) -> Any:
    return _DECODER.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key '{twice[:60]}' stands twice in one object")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=whole_number,
    parse_constant=lambda _: None,  # NaN and Infinity, as pandas writes what is missing
)


def _malformed(name: str, place: str, kind: str, error: Exception) -> NoReturn:
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error).splitlines()[0]
    raise SteeringError(
        f"{name}{place} is not valid {kind}: {said}.", f"well-formed {kind}.", "Mend that row."
    ) from error
