"""The axes of a grid: which part of a recipe, or of what it answers, takes which values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic import ValidationError

from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.ranges import sweep
from steering.recipes.modes import MODES
from steering.recipes.recipe import Recipe, parse_blocks
from steering.validation import validation_error
from steering.writes.scopes import SCOPES


Kind = Literal["strength", "block", "vector", "mode", "method", "scope", "prompt", "seed", "temperature"]
KINDS: dict[Kind, str] = {
    "strength": "-2..2 step 0.5",
    "block": "1..4, all",
    "vector": "names on the shelf: formality, harm",
    "mode": "add, rotate, ablate",
    "method": "mean_difference, logistic, lda, random",
    "scope": "all, reply, last",
    "prompt": "one a line",
    "seed": "0..4",
    "temperature": "0, 0.7, 1",
}
"""Every kind of axis with an example of its values."""
MOST_VALUES = 100


@dataclass(frozen=True)
class Asked:
    """What one cell does."""

    recipe: Recipe
    user: str


@dataclass(frozen=True)
class Axis:
    """Values of one part. All but prompts, seeds and temperatures change the recipe's first intervention."""

    kind: Kind
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[str]:
        """Each value as text."""
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in self.values]

    def at(self, asked: Asked, index: int) -> Asked:
        """`asked` with the value at `index` in place.

        Raises:
            SteeringError: A value that the part cannot take.
        """
        value = self.values[index]
        if self.kind == "prompt":
            return replace(asked, user=value)
        recipe = asked.recipe
        try:
            if self.kind in ("seed", "temperature"):
                decode = type(recipe.decode).model_validate({**recipe.decode.model_dump(), self.kind: value})
                return replace(asked, recipe=recipe.model_copy(update={"decode": decode}))
            return replace(asked, recipe=_changed(recipe, self.kind, value))
        except ValidationError as error:
            raise validation_error(f"The axis {self.kind}", error) from error


def parse_axis(text: str) -> Axis:
    """An axis as `kind: values`, such as `strength: -2..2 step 0.5` or `block: 1..4, all`.

    Raises:
        SteeringError: An unknown kind, no values or too many, or one that cannot be read.
    """
    name, _, values = text.partition(":")
    if name.strip() not in get_args(Kind):
        raise SteeringError(
            f"The axis '{text}' was given.", f"'kind: values' with one of {', '.join(KINDS)}.", "Correct the axis."
        )
    kind: Kind = name.strip()  # type: ignore[assignment]
    read = _READERS[kind](values)
    if not read:
        raise SteeringError(f"The axis {kind} has no values.", f"values such as {KINDS[kind]}.", "Type some.")
    if len(read) > MOST_VALUES:
        raise SteeringError(f"The axis {kind} has {len(read)} values.", f"at most {MOST_VALUES}.", "Take fewer.")
    return Axis(kind, tuple(dict.fromkeys(read)))


def method_name(vector: str, method: str) -> str:
    """What a vector is called that was extracted again by another method."""
    return f"{vector} ({method})"


def _changed(recipe: Recipe, kind: Kind, value: Any) -> Recipe:
    if not recipe.interventions:
        raise SteeringError(
            f"The axis {kind} changes the recipe's first intervention, and the recipe has none.",
            remedy="Add an intervention, or take another axis.",
        )
    first, *rest = recipe.interventions
    if kind == "method":
        kind, value = "vector", method_name(first.vector, value)
    field = "blocks" if kind == "block" else kind
    given = {**first.model_dump(), field: parse_blocks(value) if kind == "block" else value}
    return recipe.model_copy(update={"interventions": (type(first).model_validate(given), *rest)})


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _known(names: Any, what: str) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        words = _words(text)
        for word in words:
            if word not in names:
                raise SteeringError(f"The {what} '{word}' was given.", f"one of {', '.join(names)}.", "Correct it.")
        return words

    return read


def _blocks(text: str) -> list[str]:
    """Block numbers and ranges, one cell each; `default`, `all` and `everywhere` as they are."""
    found: list[str] = []
    for word in _words(text):
        if word in ("default", "all", "everywhere"):
            found.append(word)
        elif ".." not in word and "-" in word.lstrip("-"):  # 1-4, as blocks are typed elsewhere
            found += map(str, parse_blocks(word))
        else:
            found += map(str, _whole(word))
    return found


def _whole(text: str) -> list[int]:
    numbers = sweep(text)
    for number in numbers:
        if number != int(number) or number < 0:
            raise SteeringError(f"The value {number:g} was given.", "whole numbers from 0.", "Correct it.")
    return [int(number) for number in numbers]


_READERS: dict[Kind, Callable[[str], Any]] = {
    "strength": sweep,
    "temperature": sweep,
    "seed": _whole,
    "block": _blocks,
    "vector": _words,
    "mode": _known(MODES, "mode"),
    "method": _known(METHODS, "method"),
    "scope": _known(SCOPES, "scope"),
    "prompt": _lines,
}
