"""What the grammar knows of a text: which manner each of its sentences has, by the words of the grammar itself.

A sentence is the grammar's where one of its templates makes it to the letter, whatever stood for the slots. So it is
known, and not judged, of what a model writes: whether it is about the sea, cheerful or formal, and whether it is well
made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from steering.demo.example import words


TextKind = Literal["story", "review", "note"]
FILES: dict[TextKind, str] = {"story": "stories", "review": "reviews", "note": "notes"}
"""The words of each kind of text whose sentences have manners."""
_SLOT = re.compile(r"\{(\w+)\}")
_END = re.compile(r"[.!?]+(?=\s|\Z)")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text, or as many as one template makes."""

    text: str
    manners: frozenset[str]
    """Those that could have made it, `plain` or `neutral` among them; none where the grammar does not make it."""


def sentences_of(kind: TextKind, text: str) -> list[Sentence]:
    """A text taken apart from its beginning: where a template fits, what it makes; else up to the next full stop."""
    found, start = [], 0
    text = text.strip()
    while start < len(text):
        end, manners = _longest(kind, text, start)
        if not manners:
            stop = _END.search(text, start)
            end = stop.end() if stop else len(text)
        found.append(Sentence(text[start:end], manners))
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return found


def _longest(kind: TextKind, text: str, start: int) -> tuple[int, frozenset[str]]:
    """Where the longest sentence ends that the grammar makes there, and by which manners."""
    ends: dict[int, set[str]] = {}
    for manner, form in _forms(kind):
        fits = form.match(text, start)
        if fits and (fits.end() == len(text) or text[fits.end()].isspace()):
            ends.setdefault(fits.end(), set()).add(manner)
    end = max(ends, default=start)
    return end, frozenset(ends.get(end, ()))


@cache
def _forms(kind: TextKind) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every template with its manner, as a pattern of all that it makes."""
    forms = words(FILES[kind])
    named = {slot: _one_of(values) for slot, values in _named(kind, forms)}
    return tuple(
        (manner, _pattern(template, {**named, **dict(_slots(forms["words"][manner]))}))
        for manner, places in forms["sentences"].items()
        for templates in places.values()
        for template in templates
    )


def _slots(choices: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    for slot, values in choices.items():
        yield slot, _one_of(values)
        yield f"a_{slot}", f"an? {_one_of(values)}"


def _named(kind: TextKind, forms: Mapping[str, Any]) -> Iterator[tuple[str, Iterable[str]]]:
    """The slots that are filled with what a text is about."""
    if kind == "story":
        yield "name", forms["heroes"]
        full = [f"{qualifier} {hero}".strip() for qualifier in forms["qualifiers"] for hero in forms["heroes"]]
        yield "hero", [f"{article} {each}" for each in full for article in ("a", "an")]
        return
    parts = forms["matters"] if kind == "note" else {**forms["places"], **forms["works"]}
    if kind == "note":
        yield "to", [person.partition(" ")[2] for person in forms["people"]]
        yield "matter", parts
    else:
        yield "name", parts
    every = dict.fromkeys(part for each in parts.values() for part in each)
    yield from (("p", every), ("q", every))


def _one_of(values: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(each) for each in sorted(values, key=len, reverse=True))})"


def _pattern(template: str, slots: Mapping[str, str]) -> re.Pattern[str]:
    parts = _SLOT.split(template)
    made = [slots[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(made), re.IGNORECASE)
