"""Plain data read as a pydantic model, within the bounds of what is taken, and what is wrong with it field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from steering.bounds import check_given
from steering.errors import SteeringError
from steering.field_words import Path, field_words, place_words


Model = TypeVar("Model", bound=BaseModel)
_TYPES = frozenset({"bool", "int", "float", "str", "list", "tuple", "dict", "set", "none"})
"""What pydantic adds to a path where a field may be of several types: no name that anyone wrote."""


class InvalidField(SteeringError):
    """What is wrong with one field of what was given."""

    def __init__(
        self, given: str, expected: str = "", remedy: str = "", *, path: tuple[str | int, ...] = (), said: str = ""
    ) -> None:
        """One field's mistake.

        Args:
            given: As a `SteeringError` has it.
            expected: As a `SteeringError` has it.
            remedy: As a `SteeringError` has it.
            path: To the field; empty for the whole.
            said: What `given` says of it, without where it is.
        """
        super().__init__(given, expected, remedy)
        self.path, self._said = path, said

    @property
    def dotted(self) -> str:
        """The path as programs write it, such as `interventions.0.mode`."""
        return ".".join(map(str, self.path))

    def below(self, steps: int) -> str:
        """`given` for somebody who sees it where the first so many steps of the path have led."""
        rest = field_words(self.path[steps:])
        return f"{rest}: {self._said}" if rest else self._said


def validated(model: type[Model], given: Any, what: str) -> Model:
    """What plain data stands for; its values are looked at before pydantic reads them and after.

    Args:
        model: What it is to be.
        given: The data.
        what: What is being read, such as "Settings of extract".

    Raises:
        SteeringError: Naming the first field that is wrong, unknown or out of bounds.
    """
    check_given(what, given)
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        raise validation_error(what, error, model) from error
    check_given(what, found.model_dump())  # a number may have been given as a text
    return found


def validation_error(what: str, error: ValidationError, model: type[BaseModel] | None = None) -> SteeringError:
    """Turn pydantic's report into one message that names the first wrong field and what it should be.

    Args:
        what: What was being read, such as "Settings of extract".
        error: The report.
        model: What it was read as: says which fields there are, for one that is not among them.
    """
    first: Any = error.errors(include_url=False)[0]
    path, more = _path(first), f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        there = ", ".join(_names_beside(model, path)) if model else ""
        expected = f"one of {there}{more}." if there else f"one that is known there{more}."
        return _invalid(what, path, "there is none.", expected, "Correct its name.")
    return _wrong(what, first, more)


def field_errors(what: str, error: ValidationError) -> list[InvalidField]:
    """Every wrong field of pydantic's report once, as `validation_error` tells the first."""
    found: dict[Path, InvalidField] = {}
    for each in error.errors(include_url=False):
        found.setdefault(_path(each), _wrong(what, each))
    return list(found.values())


def _path(report: Any) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for part in report["loc"]:
        if isinstance(part, int) or (part.isidentifier() and not (found and part in _TYPES)):
            found.append(part)
    return tuple(found)


def _names_beside(model: type[BaseModel], path: Path) -> Iterable[str]:
    """Names of the fields where a path ends; none where several kinds of things may stand on its way."""
    for step in path[:-1]:
        if isinstance(step, str):
            inner = _models_in(model.model_fields[step].annotation) if step in model.model_fields else set()
            if len(inner) != 1:
                return ()
            (model,) = inner
    return model.model_fields


def _models_in(kind: Any) -> set[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {kind}
    return {found for each in get_args(kind) for found in _models_in(each)}


def _wrong(what: str, report: Any, more: str = "") -> InvalidField:
    expected = f"{report['msg'].removeprefix('Input should be ').removeprefix('Value error, ')}{more}."
    path, given = _path(report), report.get("input")
    if not path and isinstance(given, Mapping):  # of several fields: all of them would hide which
        return _invalid(what, path, "values that do not go together.", expected, "Correct them.")
    said = "nothing" if isinstance(given, list | tuple) and not given else repr(_short(given))
    return _invalid(what, path, f"{said}.", expected, "Correct that field.")


def _invalid(what: str, path: tuple[str | int, ...], said: str, expected: str, remedy: str) -> InvalidField:
    return InvalidField(f"{place_words(what, path)}: {said}", expected, remedy, path=path, said=said)


def _short(value: Any) -> str:
    try:
        return str(value)[:80]
    except ValueError:  # a whole number of thousands of digits
        return "a very large number"
