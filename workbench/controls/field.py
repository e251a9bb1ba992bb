"""One field of a form as data: what it is called, what it takes, and how what a browser sends is read."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from steering.bounds import check_value
from steering.errors import SteeringError


Kind = Literal["text", "lines", "number", "switch", "choice", "several"]
Choice = tuple[str, str]
"""(shown, value)."""
Grouped = tuple[str, str, str]
"""And the group that it stands in, below all that have none."""
UNSET: Any = None
"""A default that the settings give."""
MOST_CHOSEN = 10_000
_YES = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Made by `text`, `lines`, `number`, `switch`, `choice` and `several`."""

    name: str
    """Of the setting."""
    label: str
    kind: Kind
    default: Any = UNSET
    unit: str = ""
    """Behind the label, such as "tokens"."""
    hint: str = ""
    """A sentence below the control."""
    placeholder: str = ""
    id: str = ""
    """Of the element around the control; by default the form's key and the name."""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    whole: bool = False
    choices: tuple[Choice, ...] = ()
    own: bool = False
    """Whether values of one's own are taken beside the choices."""
    changing: bool = False
    """Whether choices come later (`Fields.offering`), so that a value may be none of those that are known here."""
    upload: str = ""
    """Words of a button that uploads a file and names it here; "" for none."""
    upload_kind: str = ""
    """What such a file must hold, a key of `steering.texts.understanding.KINDS`."""
    another: str = ""
    """What a list says instead of "another …", where values of one's own are taken."""
    half: bool = False
    """Whether it shares a row with its neighbours, as numbers do."""

    def plain(self) -> dict[str, Any]:
        """As the browser gets it: what says nothing is left out."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        silent = [name for name, value in given.items() if value is None or (not value and name != "default")]
        return {name: value for name, value in given.items() if name not in silent or (name == "low" and value == 0)}

    def completed(self, key: str, settings: type[BaseModel] | None) -> Field:
        """With an id, and with default, limits and choices of the setting of the same name where it has none."""
        known = settings.model_fields.get(self.name) if settings else None
        found = _told(known) if known else {}
        own = {name: value for name, value in found.items() if getattr(self, name) in (None, (), False)}
        each = replace(self, **own, id=self.id or f"{key}-{self.name.replace('_', '-')}")
        return replace(each, default=_plain_value(each))

    def read(self, value: Any) -> Any:
        """The value that a browser sent; an empty number is None.

        Raises:
            SteeringError: It is none for this field.
        """
        if self.kind == "number":
            return self._number(value)
        if self.kind == "switch":
            return value if isinstance(value, bool) else self._refuse(value, "true or false.")
        if self.kind == "several":
            return self._several(value)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._refuse(value, "a text.")
        check_value(self.label, self.name, value)
        if self.kind == "choice" and not self._offered(value):
            self._refuse(value, f"one of {', '.join(shown for shown, _ in self.choices)}.")
        return value

    def shown(self, value: Any) -> Any:
        """A setting's value as the browser holds it."""
        return _plain_value(replace(self, default=value))

    def typed(self, text: str) -> Any:
        """A value as an address has it; what is none comes back as the text."""
        if self.kind == "number":
            try:
                return float(text) if not text.lstrip("-").isdigit() else int(text)
            except ValueError:
                return text
        if self.kind == "switch":
            return _YES.get(text.lower(), text)
        return [each for each in text.split(",") if each] if self.kind == "several" else text

    def _offered(self, value: str) -> bool:
        return self.own or self.changing or any(value == each for _, each in self.choices)

    def _number(self, value: Any) -> float | None:
        if value is None or value == "":
            return None
        ends = {"from": self.low, "up to": self.high}
        said = [f"{word} {end:g}" for word, end in ends.items() if end is not None]
        expected = " ".join(["a whole number" if self.whole else "a number", *said]) + "."
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(value, expected)
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        if not low <= value <= high:
            self._refuse(value, expected)
        check_value(self.label, self.name, value)
        if self.whole and value != int(value):
            self._refuse(value, expected)
        return int(value) if self.whole else value

    def _several(self, value: Any) -> list[str]:
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            self._refuse(value, "a list of texts.")
        if len(value) > MOST_CHOSEN:
            self._refuse(f"a list of {len(value):,}", f"at most {MOST_CHOSEN:,}.")
        for each in value:
            check_value(self.label, self.name, each)
            if not self._offered(each):
                self._refuse(each, f"some of {', '.join(shown for shown, _ in self.choices)}.")
        return list(dict.fromkeys(value))

    def _refuse(self, value: Any, expected: str) -> Any:
        raise SteeringError(f"{self.label}: {_short(value)}.", expected, "Correct that field.")


@dataclass(frozen=True)
class Section:
    """Fields below a heading. At the top of a form an open one is a card; a closed one is folded until it is opened."""

    title: str
    parts: tuple[Field | Section, ...]
    closed: bool = False
    note: str = ""
    act: Choice | None = None
    """A button below its fields, as (words, name of the event that it fires)."""

    def __iter__(self) -> Iterator[Field]:
        """All fields in it, those of sections within it too."""
        for part in self.parts:
            yield from part if isinstance(part, Section) else (part,)

    def plain(self) -> dict[str, Any]:
        """As the browser gets it."""
        said = {"title": self.title, "closed": self.closed, "note": self.note, "act": self.act}
        return {"parts": [each.plain() for each in self.parts], **{name: each for name, each in said.items() if each}}

    def acts(self) -> Iterator[str]:
        """The events of its buttons, those of sections within it too."""
        if self.act:
            yield self.act[1]
        for part in self.parts:
            if isinstance(part, Section):
                yield from part.acts()

    def completed(self, key: str, settings: type[BaseModel] | None) -> Section:
        """See `Field.completed`."""
        return replace(self, parts=tuple(each.completed(key, settings) for each in self.parts))


def section(title: str, *parts: Field | Section, note: str = "", act: Choice | None = None) -> Section:
    """A card with a heading, or fields without one where the title is empty."""
    return Section(title, parts, note=note, act=act)


def more(*parts: Field | Section, title: str = "More", note: str = "", act: Choice | None = None) -> Section:
    """What few people change: folded until it is opened."""
    return Section(title, parts, closed=True, note=note, act=act)


def text(name: str, label: str, default: str | None = UNSET, **options: Any) -> Field:
    """One line; empty is "". See `Field` for the options."""
    return Field(name=name, label=label, kind="text", default=default, **options)


def lines(name: str, label: str, default: str | None = UNSET, **options: Any) -> Field:
    """Several lines; empty is ""."""
    return Field(name=name, label=label, kind="lines", default=default, **options)


def number(name: str, label: str, default: float | None = UNSET, **options: Any) -> Field:
    """A number; empty is None. Whole where `whole` or the setting says so."""
    return Field(name=name, label=label, kind="number", default=default, **options)


def switch(name: str, label: str, default: bool | None = UNSET, **options: Any) -> Field:
    """Yes or no."""
    return Field(name=name, label=label, kind="switch", default=default, **options)


def choice(name: str, label: str, choices: Iterable[Choice] = (), default: str | None = UNSET, **options: Any) -> Field:
    """One of several values: buttons side by side where they are few and short, else a list; with `own=True` also a
    text of one's own."""
    return Field(name=name, label=label, kind="choice", choices=tuple(choices), default=default, **options)


def several(
    name: str, label: str, choices: Iterable[Choice] = (), default: Iterable[str] | None = UNSET, **options: Any
) -> Field:
    """Any number of values, to be ticked; with `own=True` also texts of one's own."""
    return Field(name=name, label=label, kind="several", choices=tuple(choices), default=default, **options)


def _told(info: FieldInfo) -> dict[str, Any]:
    """What a setting says of itself: default, limits, choices."""
    default, kind = info.get_default(call_default_factory=True), _inner(info.annotation)
    found = {"default": None if default is PydanticUndefined else default, "whole": kind is int}
    for limit in info.metadata:
        found |= {
            ours: end for ours, theirs in (("low", "ge"), ("high", "le")) if (end := getattr(limit, theirs, None))
        }
        if getattr(limit, "ge", None) == 0:
            found["low"] = 0
    return {**found, "choices": _choices(kind)}


def _choices(kind: Any) -> tuple[Choice, ...]:
    """Of a literal, or of a list of literals."""
    if get_origin(kind) in (list, tuple):
        kind = next(iter(get_args(kind)), None)
    return tuple((str(each), str(each)) for each in get_args(kind)) if get_origin(kind) is Literal else ()


def _inner(annotation: Any) -> Any:
    """The type inside an optional one."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _plain_value(field: Field) -> Any:
    """The default, or a value in its place, as the browser holds it."""
    default = field.default
    if field.kind == "several":
        return [str(each) for each in default or ()]
    if field.kind == "switch":
        return bool(default)
    if field.kind == "number":
        return default
    if isinstance(default, list | tuple):
        return ("\n" if field.kind == "lines" else ", ").join(map(str, default))
    return "" if default is None else str(default)


def _short(value: Any) -> str:
    return repr(value[:80]) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        return str(value)
    return {list: "a list", dict: "a mapping", bool: "yes or no", type(None): "nothing"}.get(
        type(value), "something else"
    )


def names(sections: Iterable[Section]) -> Mapping[str, Field]:
    """Every field of a form by its name.

    Raises:
        ValueError: Two fields have one name.
    """
    found: dict[str, Field] = {}
    for each in sections:
        for field in each:
            if field.name in found:
                raise ValueError(f"two fields are named {field.name}")
            found[field.name] = field
    return found
