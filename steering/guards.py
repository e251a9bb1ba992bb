"""What a file may hold at most, told before it is unpacked, and a walk that finds what no study could use.

The limits leave room for every public set of the field and keep a file under a second or two and a few hundred MB.
"""

from __future__ import annotations

from typing import Any

from steering.errors import SteeringError


MOST_BYTES = 64_000_000
"""Of a file."""
MOST_YAML_BYTES = 4_000_000
"""Of a YAML file, which takes some twenty times as long to read as JSON."""
MOST_ROWS = 300_000
MOST_COLUMNS = 10_000
MOST_LINES = 2_000_000
MOST_CHARACTERS = 131_072
"""Of one text or cell; the same number as Python's own CSV reader has."""
MOST_VALUES = 1_500_000
"""Texts, numbers, lists and mappings in a file."""
MOST_YAML_VALUES = 300_000
"""The same in YAML, those that aliases stand for included."""
MOST_LEVELS = 40
"""Lists and mappings inside each other."""
MOST_UNPACKED = 256_000_000
"""Bytes of a Parquet file's cells, unpacked."""
MOST_DIGITS = 18
"""Of a whole number; a longer one is kept as the text that it is."""


def too_large(name: str, what: str, limit: str, remedy: str = "Split the file, or take a part of it.") -> SteeringError:
    """The error for a file that is over a limit."""
    return SteeringError(f"{name} {what}.", f"at most {limit}.", remedy)


def check_size(name: str, size: int, most: int = MOST_BYTES) -> None:
    """Refuse a file by its size on disk.

    Raises:
        SteeringError: It is too large.
    """
    if size > most:
        raise too_large(name, f"has {size / 1e6:,.1f} MB", f"{most / 1e6:,.0f} MB")


def check_lines(name: str, text: str) -> None:
    """Refuse a text by its lines.

    Raises:
        SteeringError: There are too many.
    """
    lines = text.count("\n")
    if lines > MOST_LINES:
        raise too_large(name, f"has {lines:,} lines", f"{MOST_LINES:,}")


def check_pieces(name: str, text: str, marks: str = ",:[{") -> None:
    """Refuse what would become too many values, by the marks between them: in JSON each value needs one of these.

    Raises:
        SteeringError: There are too many.
    """
    pieces = sum(text.count(mark) for mark in marks)
    if pieces > MOST_VALUES:
        raise too_large(name, f"holds some {pieces:,} values", f"{MOST_VALUES:,}")


def check_count(name: str, rows: int) -> None:
    """Refuse a file while its rows are read.

    Raises:
        SteeringError: There are too many.
    """
    if rows > MOST_ROWS:
        raise too_large(name, f"has more than {MOST_ROWS:,} rows", f"{MOST_ROWS:,}")


def whole_number(text: str) -> int | str:
    """A whole number, or the text itself where it has more digits than anything that is counted."""
    return int(text) if len(text) <= MOST_DIGITS else text


def check_value(name: str, value: Any) -> None:
    """Look at all of what was read: rows in a list, or in lists under keys.

    Raises:
        SteeringError: Naming the row: nested too deep, a text too long, or one that is no Unicode.
    """
    parts = value.items() if isinstance(value, dict) else [("", value)]
    for key, part in parts:
        check_row(f"{name}, a key", key)
        place = f"{name}, {str(key)[:40]}" if key != "" else name
        for number, row in enumerate(part if isinstance(part, list) else [part], start=1):
            check_row(f"{place}, row {number}" if isinstance(part, list) else place, row)


def check_row(place: str, row: Any) -> None:
    """Look at all of one row, without recursion.

    Raises:
        SteeringError: As `check_value`.
    """
    stack = [(row, 2)]
    while stack:
        found, level = stack.pop()
        if isinstance(found, str):
            check_text(place, found)
        elif isinstance(found, dict | list):
            if level >= MOST_LEVELS:
                raise too_large(place, "is nested too deep", f"{MOST_LEVELS} lists or mappings inside each other")
            if isinstance(found, dict):
                stack += [(key, level + 1) for key in found]
                stack += [(each, level + 1) for each in found.values()]
            else:
                stack += [(each, level + 1) for each in found]


def check_text(place: str, text: str) -> None:
    """Refuse one text.

    Raises:
        SteeringError: It is too long, or has half a character (a lone surrogate), which no tokenizer takes.
    """
    if len(text) > MOST_CHARACTERS:
        raise too_large(place, f"has a text of {len(text):,} characters", f"{MOST_CHARACTERS:,}", "Shorten that text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SteeringError(
            f"{place} has half a character (U+{ord(text[error.start]):04X}, a lone surrogate).",
            "whole Unicode characters.",
            "Correct that text: it was probably cut in the middle of an emoji.",
        ) from error
