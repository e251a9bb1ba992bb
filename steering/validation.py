"""Plain data read as a pydantic model, within the bounds of what is taken, and what is wrong with it field by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from steering.bounds import check_given
from steering.errors import SteeringError


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], given: Any, what: str, *, known: Iterable[str] = ()) -> Model:
    """What plain data stands for; its values are looked at before pydantic reads them and after.

    Args:
        model: What it is to be.
        given: The data.
        what: What is being read, such as "Settings of extract".
        known: The fields there are, for a field that is not among them.

    Raises:
        SteeringError: Naming the first field that is wrong, unknown or out of bounds.
    """
    check_given(what, given)
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        raise validation_error(what, error, known=known) from error
    check_given(what, found.model_dump())  # a number may have been given as a text
    return found


def validation_error(what: str, error: ValidationError, *, known: Iterable[str] = ()) -> SteeringError:
    """Turn pydantic's report into one message that names the first wrong field and what it should be.

    Args:
        what: What was being read, such as "Settings of extract".
        error: The report.
        known: The fields there are, for a field that is not among them.
    """
    first: Any = error.errors(include_url=False)[0]
    field = _field(first)
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden" and known:
        return SteeringError(
            f"{what}, field {field}: there is none.", f"one of {', '.join(known)}.", "Correct its name."
        )
    return _field_error(what, first, more)


def field_errors(what: str, error: ValidationError) -> dict[str, SteeringError]:
    """Every wrong field of pydantic's report by its path, such as `interventions.0.mode`, as `validation_error`."""
    found: dict[str, SteeringError] = {}
    for each in error.errors(include_url=False):
        found.setdefault(_field(each), _field_error(what, each))
    return found


def _field(report: Any) -> str:
    # Where a field may be of several types, pydantic adds the type to the path: it is no name that anyone wrote.
    path = [str(part) for part in report["loc"] if isinstance(part, int) or part.isidentifier()]
    return ".".join(path) or "the whole"


def _field_error(what: str, report: Any, more: str = "") -> SteeringError:
    return SteeringError(
        f"{what}, field {_field(report)}: {_short(report.get('input'))!r}.",
        f"{report['msg'].removeprefix('Input should be ')}{more}.",
        "Correct that field.",
    )


def _short(value: Any) -> str:
    try:
        return str(value)[:80]
    except ValueError:  # a whole number of thousands of digits
        return "a very large number"
