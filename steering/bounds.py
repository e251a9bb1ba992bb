"""Bounds of what people and programs give as settings, told at once and before anything is computed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from steering.errors import SteeringError
from steering.field_words import Path, place_words


LARGEST_SEED = 2**31 - 1
"""Of every generator that is used, with room for the offsets that are added to a seed."""
LARGEST_COUNT = 10_000_000
"""Of a whole number in settings: a position, a count, a token's number."""
LARGEST_NUMBER = 1e9
"""Of any number in settings."""
MOST_CHARACTERS = 1_000_000
"""Of a prompt; the longest contexts are of that order in tokens."""
MOST_TYPED = 100_000
"""Characters of a text in settings."""
MOST_VALUES = 100_000
"""Values in settings, those in lists and mappings included."""
_LEVELS = 40


def _no_range(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?[0-9]+\s*", value):
        raise ValueError("a whole number is expected")
    return value


Place = Annotated[int, BeforeValidator(_no_range)]
"""A whole number in a list of positions or blocks. Of the text "0-5", which means a range, pydantic alone makes -5."""


def check_given(what: str, given: Any) -> None:
    """Look at all that was given, without recursion.

    Args:
        what: What it is, such as "Settings of extract".
        given: Mappings, lists, texts, numbers.

    Raises:
        SteeringError: Naming the first field with a number, a text or a nesting that no study takes.
    """
    stack: list[tuple[Path, Any]] = [((), given)]
    seen = 0
    while stack:
        path, value = stack.pop()
        seen += 1
        if len(path) > _LEVELS or seen > MOST_VALUES:
            many = f"{_LEVELS} levels of lists and mappings" if len(path) > _LEVELS else f"{MOST_VALUES:,} values"
            raise _outside(what, path, "more than that", f"at most {many}")
        if isinstance(value, Mapping):
            stack += [((*path, str(key)), each) for key, each in value.items()]
        elif isinstance(value, list | tuple | set | frozenset):
            stack += [((*path, n), each) for n, each in enumerate(value)]
        else:
            _check(what, path, value)


def check_value(what: str, field: str, value: Any) -> None:
    """Look at one text or number.

    Raises:
        SteeringError: It is outside the bounds above, or no text that can be written.
    """
    _check(what, (field,) if field else (), value)


def _check(what: str, path: Path, value: Any) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        most = LARGEST_SEED if name == "seed" else LARGEST_COUNT
        if abs(value) > most:
            shown = str(value) if abs(value) < 10**30 else f"a number of over {len(hex(value)) - 2} hexadecimal digits"
            raise _outside(what, path, shown, f"a whole number up to {most:,}")
    elif isinstance(value, float) and not (math.isfinite(value) and abs(value) <= LARGEST_NUMBER):
        raise _outside(what, path, str(value), f"a finite number up to {LARGEST_NUMBER:g}")
    elif isinstance(value, str):
        if len(value) > MOST_TYPED:
            raise _outside(what, path, f"a text of {len(value):,} characters", f"at most {MOST_TYPED:,}")
        if "\0" in value or not _whole(value):
            raise _outside(what, path, repr(value[:60]), "whole characters, and no NUL among them")


def check_prompt(text: str) -> None:
    """Look at a message before it is rendered.

    Raises:
        SteeringError: It is longer than any context, or has half a character.
    """
    if len(text) > MOST_CHARACTERS:
        raise SteeringError(
            f"A message of {len(text):,} characters was given.",
            f"at most {MOST_CHARACTERS:,}, which is more than a context holds.",
            "Shorten it.",
        )
    if not _whole(text):
        raise SteeringError(
            f"The message {text[:60]!r} has half a character (a lone surrogate).",
            "whole Unicode characters.",
            "Correct it: it was probably cut in the middle of an emoji.",
        )


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _outside(what: str, path: Path, given: str, expected: str) -> SteeringError:
    return SteeringError(f"{place_words(what, path)}: {given}.", f"{expected}.", "Correct it.")
