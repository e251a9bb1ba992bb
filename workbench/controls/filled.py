"""What stands in a form, and what is wrong with it, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from steering.bounds import check_given
from steering.errors import SteeringError
from steering.validation import field_errors, validation_error
from workbench.controls.field import Field
from workbench.controls.recipe_reading import Problem


_WHAT = "The form"


class WrongField(SteeringError):
    """A mistake in one field of a form, whose name `field` is; its check raises it."""

    def __init__(self, field: str, error: SteeringError) -> None:
        super().__init__(error.given, error.expected, error.remedy)
        self.field = field


@dataclass(frozen=True)
class Filled:
    """What stands in a form."""

    ready: dict[str, Any]
    """Every field's value, its default where what stands there is wrong: for what is only drawn, never for a size."""
    problems: tuple[Problem, ...] = ()

    def values(self) -> dict[str, Any]:
        """Every field's value by its name; an empty number is None.

        Raises:
            SteeringError: Naming the first field that is wrong.
        """
        if self.problems:
            raise self.problems[0].error
        return dict(self.ready)

    def given(self) -> dict[str, Any]:
        """As `values`, without empty numbers and texts, so that a study's own defaults hold there."""
        return {name: value for name, value in self.values().items() if value not in (None, "")}


def refusal(fields: Mapping[str, Field], payload: Any) -> Problem | None:
    """What is wrong with what a browser sent before any field is read, at the field that it is in; None where nothing
    is.
    """
    if not isinstance(payload, Mapping):
        said = SteeringError(f"{_WHAT} is no mapping.", "values by their names.", "Load the page again.")
        return Problem("", said)
    if (whole := _outside(payload)) is None:
        return None
    found = ((name, _outside({name: payload[name]})) for name in fields if name in payload)
    name, error = next(((name, error) for name, error in found if error), ("", whole))
    return Problem(name, (_refused(fields[name], payload[name]) if name else None) or error)


def _refused(field: Field, value: Any) -> SteeringError | None:
    """What a field says of a value itself: it knows what it takes, where bounds for anything at all do not."""
    try:
        field.read(value)
    except SteeringError as error:
        return error
    return None


def _outside(payload: Mapping[str, Any]) -> SteeringError | None:
    try:
        check_given(_WHAT, payload)
    except SteeringError as error:
        return error
    return None


def complaints(
    filled: Filled, settings: type[BaseModel] | None, check: Callable[[dict[str, Any]], Any] | None
) -> list[Problem]:
    """What the settings say of values that are of the right kinds."""
    if check is None and settings is None:
        return []
    try:
        if check is not None:
            check(filled.values())
        elif settings is not None:
            _validated(settings, filled)
    except SteeringError as error:
        report = error.__cause__
        found = field_errors(_WHAT, report) if isinstance(report, ValidationError) else []
        named = [Problem(error.field, error)] if isinstance(error, WrongField) else []
        return named or [Problem(each.dotted.partition(".")[0], each, each.below(1)) for each in found]
    return []


def _validated(settings: type[BaseModel], filled: Filled) -> BaseModel:
    known = {name: value for name, value in filled.given().items() if name in settings.model_fields}
    try:
        return settings.model_validate(known)
    except ValidationError as error:
        raise validation_error(_WHAT, error, settings) from error
