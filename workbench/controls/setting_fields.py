"""The fields of a form made from a settings model, and the settings made of what stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from steering.errors import SteeringError
from steering.names import upper_first
from steering.origins.origin import PLACES
from steering.ranges import sweep, whole_numbers
from steering.studies.setting_kinds import Holding, recipes_in, setting_type, type_of
from steering.texts.contrast_files import presets
from steering.texts.preferences import preference_sets
from steering.texts.questions import PAIR_SETS, QUESTION_SETS
from steering.texts.statements import STATEMENT_SETS
from steering.validation import validated
from steering.yaml_files import load_yaml
from workbench.controls.field import Choice, Field, Section, choice, lines, more, number, section, several, switch, text
from workbench.controls.fields import WrongField


MISSING = object()
"""What a field gives that says nothing, so that the settings' own default or complaint holds."""
_LONG = 100
"""Characters of a default from which on a text gets several lines."""
_NONE: Choice = ("none", "")
_YES: tuple[Choice, ...] = (("yes", "yes"), ("no", "no"))
_DATA: Mapping[Holding, tuple[str, Callable[[], Sequence[str]]]] = {
    "contrast": ("Upload a contrast set", lambda: tuple(presets())),
    "statements": ("Upload statement pairs", lambda: tuple(STATEMENT_SETS)),
    "questions": ("Upload questions", lambda: tuple(QUESTION_SETS)),
    "pairs": ("Upload answer pairs", lambda: tuple(PAIR_SETS)),
    "preferences": ("Upload preferences", preference_sets),
    "texts": ("Upload a list", tuple),
}


@dataclass(frozen=True)
class Setting:
    """One setting as a form has it."""

    field: Field
    read: Callable[[Any], Any]
    """From what stands in the field, of the field's kind, to the setting's value, or `MISSING`. Raises a
    `SteeringError` or a `ValueError` for what is none.
    """
    show: Callable[[Any], Any]
    """From the setting's value, as JSON has it, to what stands in the field."""
    section: str
    folded: bool
    vector: bool = False
    """Whether its choices are vectors of the shelf."""


def settings_of(model: type[BaseModel]) -> dict[str, Setting]:
    """Every setting that a form asks for, by name: no recipe, which has an editor, and no place of one machine."""
    others = {*PLACES, *recipes_in(model)}
    return {name: _setting(name, info) for name, info in model.model_fields.items() if name not in others}


def sections_of(settings: Mapping[str, Setting]) -> list[Section]:
    """The form's cards in the order of the settings; what few people change stands folded at the end of each."""
    titles = dict.fromkeys(each.section for each in settings.values())
    found = []
    for title in titles:
        mine = [each for each in settings.values() if each.section == title]
        open_, folded = ([each.field for each in mine if each.folded is one] for one in (False, True))
        found.append(section(title, *open_, *([more(*folded)] if folded else [])))
    return found


def parsed(
    model: type[BaseModel],
    settings: Mapping[str, Setting],
    values: Mapping[str, Any],
    beside: Mapping[str, Any],
    what: str,
) -> BaseModel:
    """The settings that stand in a form; what is at its default is left out, so that a run's code says what was set.

    Args:
        model: Of the settings.
        settings: As `settings_of` gives them.
        values: By name, as `Filled.values` gives them.
        beside: Settings that do not stand in the form, such as recipes.
        what: What they are, for messages.

    Raises:
        WrongField: A field says nothing that its setting takes.
        SteeringError: The model complains; pydantic's report is its cause.
    """
    given: dict[str, Any] = {}
    for name, each in settings.items():
        asks = each.vector and each.field.kind == "choice"  # which one is asked of everybody
        unset = values[name] == each.field.default and not asks
        if unset and not model.model_fields[name].is_required():
            continue
        try:
            value = each.read(values[name])
        except SteeringError as error:
            label = each.field.label
            wrong = error.given if error.given.startswith(label) else f"{label}: {error.given}"
            said = SteeringError(wrong, error.expected, error.remedy)
            raise WrongField(name, said) from error
        if value is not MISSING:
            given[name] = value
    return validated(model, {**given, **beside}, what)


def shown(settings: Mapping[str, Setting], given: BaseModel) -> dict[str, Any]:
    """What stands in a form that shows some settings."""
    told = given.model_dump(mode="json")
    return {name: each.show(told[name]) for name, each in settings.items()}


def _setting(name: str, info: FieldInfo) -> Setting:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, optional, holding = setting_type(info)
    known = {
        "label": info.title or upper_first(name.replace("_", " ")),
        "hint": info.description or "",
        "unit": str(extra.get("unit", "")),
        "placeholder": str((info.examples or [""])[0]),
    }
    made = _made(name, info, kind, optional, holding, {key: value for key, value in known.items() if value})
    given = info.get_default(call_default_factory=True) if not info.is_required() else PydanticUndefined
    empty: Any = {"several": [], "switch": False, "number": None}.get(made.field.kind, "")
    default = empty if given is PydanticUndefined else made.show(to_jsonable_python(given))
    return replace(
        made,
        field=replace(made.field, default=default),
        section=str(extra.get("section", "Settings")),
        folded=extra.get("more") is True,
    )


def _made(
    name: str, info: FieldInfo, kind: Any, optional: bool, holding: Holding | None, known: dict[str, Any]
) -> Setting:
    """The control that suits a setting, by what it holds and else by its type."""
    item = type_of(get_args(kind)[0]) if get_origin(kind) in (list, tuple) and get_args(kind) else None
    if holding == "vector":
        none = (_NONE,) if optional else ()
        return _of(choice(name, choices=none, changing=True, **known), _vector(optional), _text, vector=True)
    if item and item[2] == "vector":
        return _of(several(name, changing=True, **known), list, list, vector=True)
    if holding in _DATA:
        return _data(name, holding, optional, known)
    if kind is bool:
        return _switch(name, optional, known)
    if _values(kind):
        return _choice(name, _values(kind), optional, known)
    if item and _values(item[0]):
        return _several(name, _values(item[0]), known)
    if kind in (int, float):
        return _number(name, info, kind, optional, known)
    if item and item[0] in (int, float):
        return _of(text(name, **known), _numbers(item[0]), _numbers_shown)
    if item and item[0] is str:
        return _of(several(name, own=True, **known), list, list)
    if isinstance(kind, type) and issubclass(kind, str):
        return _text_setting(name, info, optional, holding, known)
    return _plain(name, optional, known)


def _of(field: Field, read: Callable[[Any], Any], show: Callable[[Any], Any], *, vector: bool = False) -> Setting:
    return Setting(field, read, show, "", False, vector)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _vector(optional: bool) -> Callable[[Any], Any]:
    def read(value: str) -> Any:
        if value or optional:
            return value or None
        raise SteeringError(
            "no vector is chosen.",
            "a vector of the shelf that fits the model.",
            "Choose one; where there is none, extract it on the page Vectors.",
        )

    return read


def _data(name: str, holding: Holding | None, optional: bool, known: dict[str, Any]) -> Setting:
    assert holding is not None
    words, sets = _DATA[holding]
    choices = [*([_NONE] if optional else []), *((each, each) for each in sets())]
    field = choice(name, choices=choices, own=True, upload=words, upload_kind=holding, **known)
    return _of(field, lambda value: value or (None if optional else MISSING), _text)


def _switch(name: str, optional: bool, known: dict[str, Any]) -> Setting:
    if not optional:
        return _of(switch(name, **known), bool, bool)
    values = {"yes": True, "no": False, "": None}
    words = {value: word for word, value in values.items()}
    return _of(choice(name, choices=(_NONE, *_YES), **known), values.__getitem__, words.__getitem__)


def _choice(name: str, values: Mapping[str, Any], optional: bool, known: dict[str, Any]) -> Setting:
    choices = [(each or "any", each) for each in values]
    choices = [_NONE, *choices] if optional and "" not in values else choices
    field = choice(name, choices=choices, **known)
    return _of(field, lambda each: values.get(each, None if optional else MISSING), _text)


def _several(name: str, values: Mapping[str, Any], known: dict[str, Any]) -> Setting:
    field = several(name, choices=[(each, each) for each in values], **known)
    return _of(field, lambda each: [values[one] for one in each], lambda each: [str(one) for one in each])


def _values(kind: Any) -> dict[str, Any]:
    """The values of a literal or an enumeration, by how they are shown."""
    if get_origin(kind) is Literal:
        return {str(each): each for each in get_args(kind)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {str(each.value): each.value for each in kind}
    return {}


def _number(name: str, info: FieldInfo, kind: Any, optional: bool, known: dict[str, Any]) -> Setting:
    ends = {
        key: value
        for mark in info.metadata
        for key in ("ge", "le", "gt", "multiple_of")
        if (value := getattr(mark, key, None)) is not None
    }
    low = ends.get("ge", ends["gt"] + 1 if kind is int and "gt" in ends else None)
    field = number(name, whole=kind is int, low=low, high=ends.get("le"), step=ends.get("multiple_of"), **known)

    def read(value: Any) -> Any:
        if value is not None or optional:
            return value
        if info.is_required():
            return MISSING
        raise SteeringError("it is empty.", "a whole number." if kind is int else "a number.", "Type one.")

    return _of(field, read, lambda value: value)


def _numbers(kind: Any) -> Callable[[Any], Any]:
    """Reads numbers as people type them: `0, 0.5, 1`, `-2..2 step 0.5`, of whole ones also `3-6`."""

    def read(value: str) -> list[Any]:
        if not value.strip():
            return []
        if kind is float:
            return list(sweep(value, repeats=True))
        try:
            return list(whole_numbers(value))
        except ValueError:
            found = sweep(value, repeats=True)
        if any(each != int(each) for each in found):
            raise SteeringError(f"'{value[:60]}'.", "whole numbers such as 3, 5 or 3-6.", "Correct it.")
        return [int(each) for each in found]

    return read


def _numbers_shown(value: Any) -> str:
    return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value or ())


def _text_setting(
    name: str, info: FieldInfo, optional: bool, holding: Holding | None, known: dict[str, Any]
) -> Setting:
    default = str(info.default or "") if not info.is_required() else ""
    long = holding == "text" or len(default) > _LONG or "\n" in default
    unset: Any = None if optional else MISSING if info.is_required() else ""
    return _of((lines if long else text)(name, **known), lambda value: value or unset, _text)


def _plain(name: str, optional: bool, known: dict[str, Any]) -> Setting:
    """Anything else, such as a mapping, a model of its own, a date: typed as YAML, which has JSON in it."""

    def read(value: str) -> Any:
        if not value.strip():
            return None if optional else MISSING
        return load_yaml(value, known["label"])

    def show(value: Any) -> str:
        return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _of(lines(name, **{"placeholder": "YAML or JSON", **known}), read, show)
