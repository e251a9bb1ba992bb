"""What was set for a run, as people read it: the setting's name, what it means, and its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from steering.recipes.words import in_words
from steering.studies import STUDIES
from steering.validation import validated
from steering.vectors.vector import SteeringVector
from workbench.runs.run import Run


_LONGEST = 400
_LONGEST_HINT = 160
_NAMES = "ABCDEFGH"
"""Recipes, as the panels call them."""


@dataclass(frozen=True)
class Asked:
    """A setting of a run."""

    name: str
    value: str
    """In words."""
    hint: str = ""
    """What it is; "" where nobody says."""
    usual: bool = False
    """Whether it is what the study takes by itself."""


def asked(
    run: Run, settings: type[BaseModel] | None = None, vectors: Mapping[str, SteeringVector] | None = None
) -> list[Asked]:
    """Every setting that somebody gave; a form gives them all.

    Args:
        run: Of a study, or of a panel that is one itself.
        settings: Those of that panel.
        vectors: That the run used, by name.
    """
    model = STUDIES[run.kind].settings if run.kind in STUDIES else settings
    known = model.model_fields if model else {}
    given = run.about.get("settings", {})
    found = []
    for name in filter(given.__contains__, run.about.get("given", ())):
        field, value = known.get(name), given[name]
        hint = (field.description or "") if field else ""
        usual = field is not None and to_jsonable_python(field.get_default(call_default_factory=True)) == value
        found.append(
            Asked(
                name.replace("_", " "),
                _cut(_said(value, vectors or {}), _LONGEST),
                _cut(hint, _LONGEST_HINT),
                usual=usual,
            )
        )
    return found


def _said(value: Any, vectors: Mapping[str, SteeringVector]) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        parts = (f"{name.replace('_', ' ')} {_said(each, vectors)}" for name, each in value.items())
        return _recipe(value, vectors) or ", ".join(parts)
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, Mapping) for each in value):
            return "\n".join(_several(value, vectors))
        return ", ".join(_said(each, vectors) for each in value) or "none"
    return str(value) or "none"


def _several(values: list[Any] | tuple[Any, ...], vectors: Mapping[str, SteeringVector]) -> Iterator[str]:
    recipes = len(values) <= len(_NAMES) and all(_recipe(each, vectors) for each in values)
    for n, each in enumerate(values):
        yield f"{_NAMES[n]}: {_said(each, vectors)}" if recipes and len(values) > 1 else _said(each, vectors)


def _recipe(value: Mapping[str, Any], vectors: Mapping[str, SteeringVector]) -> str:
    """A recipe in words; "" where it is none."""
    if "interventions" not in value:
        return ""
    try:
        return "; ".join(in_words(validated(Recipe, dict(value), "A recipe of the run"), vectors)) or "no intervention"
    except SteeringError:  # of another version; it is shown as it is
        return ""


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
