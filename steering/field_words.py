"""Where in settings something stands, in words that need no knowledge of how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


Path = Sequence[str | int]
"""Names of fields and, below those that hold lists, numbers from 0."""
_FIRST = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_LONGEST = 60
"""Characters of a name, which may be anybody's."""


def field_words(path: Path) -> str:
    """What a path names, the innermost part first: `("others", 0, "gate", "side")` is "side in gate in the first of
    others"; "" where it names the whole.
    """
    return " in ".join(reversed(list(_parts(path))))


def place_words(what: str, path: Path) -> str:
    """The same as a message about it begins, such as "Settings of steer, field side in gate".

    Args:
        what: What the path belongs to.
        path: To the field that is meant.
    """
    if not path:
        return what
    return f"{what}, {'field ' if isinstance(path[-1], str) else ''}{field_words(path)}"


def _parts(path: Path) -> Iterator[str]:
    name = ""
    for at, step in enumerate(path):
        if isinstance(step, str):
            name = step[:_LONGEST]
            if at + 1 == len(path) or isinstance(path[at + 1], str):
                yield name
        else:
            yield f"the {_nth(step)} of {name}" if name else f"the {_nth(step)}"
            name = ""


def _nth(number: int) -> str:
    """Of a number from 0."""
    if number < len(_FIRST):
        return _FIRST[number]
    n = number + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"
