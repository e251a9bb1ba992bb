"""Names that people type, as names of files and in headlines; and that of the file in which a result lies."""

from __future__ import annotations

import re


RESULT = "result.json"
"""The file that says what a result is and which other files belong to it."""
_LONGEST = 60
_MOST_BYTES = 200
"""File systems take 255, a number and an ending included."""


def safe_name(name: str) -> str:
    """`name` as a file name on any system: letters, digits, spaces and . + - _ ( ) only, neither empty nor hidden."""
    name = name[: 20 * _LONGEST]
    kept = re.sub(r"[^\w .+()-]+", "-", name, flags=re.UNICODE)
    kept = re.sub(r"\s+", " ", kept).strip(" .-")[:_LONGEST]
    kept = kept.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .-")
    return kept or "vector"


def short_name(model: str) -> str:
    """A model's name for a headline: a folder's own name; Hub ids stay whole."""
    return model.rstrip("/").rsplit("/", 1)[-1] if model.startswith(("/", ".", "~")) else model


def upper_first(text: str) -> str:
    """The text with a capital first letter and the rest as it was."""
    return text[:1].upper() + text[1:]
