"""What a setting holds where its type alone does not say: a vector of the shelf, a file of texts, a long text.

    class Settings(WithVectors):
        vector: VectorName = Field("", description="Whose projection is read.")
        prompts: ContrastSource = Field("formality", description="A contrast set.")

A page then offers what there is of the kind, and a run knows which vectors it depends on.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from steering.extraction.sources import find_vector
from steering.model.host import Host
from steering.recipes.recipe import Recipe
from steering.vectors.vector import SteeringVector


T = TypeVar("T")
Holding = Literal["vector", "text", "contrast", "statements", "questions", "pairs", "preferences", "texts"]


@dataclass(frozen=True)
class Holds:
    """Marks the type of a setting."""

    what: Holding


VectorName = Annotated[str, Holds("vector")]
"""The name of a vector: on the shelf, in the settings' folder, or that of a preset contrast set."""
LongText = Annotated[str, Holds("text")]
"""A text of several lines, such as a prompt."""
ContrastSource = Annotated[str, Holds("contrast")]
"""A contrast set: one that ships, a file, or `hub:owner/name`."""
StatementSource = Annotated[str, Holds("statements")]
"""Statement pairs."""
QuestionSource = Annotated[str, Holds("questions")]
"""Questions with one right answer."""
PairSource = Annotated[str, Holds("pairs")]
"""Answer pairs."""
PreferenceSource = Annotated[str, Holds("preferences")]
"""Preference pairs, or replies with a label."""
TextSource = Annotated[str, Holds("texts")]
"""A list of texts."""


class NoSettings(BaseModel):
    """Where there is nothing to set."""


class WithVectors(BaseModel):
    """Settings that name vectors. The page and the command line give the folder; no form asks for it."""

    vectors: str = Field("", description="Folder with the vectors that are named; the workbench gives its shelf's.")

    def vector_named(self, host: Host, name: str) -> SteeringVector:
        """A vector by its name: of the folder, or extracted from the preset contrast set of its name.

        Raises:
            SteeringError: There is none, or it does not fit the model.
        """
        return find_vector(host, name, self.vectors, {})


def typed_list(given: Any) -> Any:
    """What is typed for a setting that takes several: `I, Sorry` are two, and `3`, which the command line reads as a
    number, is one. For a validator that stands before the setting's own type.
    """
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    return [given] if isinstance(given, int) and not isinstance(given, bool) else given


def once(given: tuple[T, ...]) -> tuple[T, ...]:
    """Each of several once, in their order."""
    return tuple(dict.fromkeys(given))


def type_of(annotation: Any) -> tuple[Any, bool, Holding | None]:
    """The type inside an annotation, whether it is optional, and what it is marked to hold."""
    if get_origin(annotation) is Annotated:
        kind, optional, holding = type_of(get_args(annotation)[0])
        return kind, optional, _marked(get_args(annotation)[1:]) or holding
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [each for each in get_args(annotation) if each is not type(None)]
        if len(kinds) == 1:
            kind, _, holding = type_of(kinds[0])
            return kind, True, holding
    return annotation, False, None


def setting_type(info: FieldInfo) -> tuple[Any, bool, Holding | None]:
    """The same of a field of settings, whose marks pydantic keeps beside its annotation."""
    kind, optional, holding = type_of(info.annotation)
    return kind, optional, _marked(info.metadata) or holding


def recipes_in(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings that hold a recipe, or a list of any length of them."""
    return {name: info for name, info in model.model_fields.items() if _holds_recipes(setting_type(info)[0])}


def _holds_recipes(kind: Any) -> bool:
    if get_origin(kind) not in (list, tuple):
        return kind is Recipe
    item, *others = get_args(kind)
    return type_of(item)[0] is Recipe and others in ([], [...])


def vectors_named(settings: BaseModel) -> Iterator[str]:
    """The vectors that settings name in fields that are marked so."""
    for name, info in type(settings).model_fields.items():
        kind, _, holding = setting_type(info)
        inner = next((each for part in get_args(kind) if (each := type_of(part)[2])), None)
        value = getattr(settings, name)
        if "vector" in (holding, inner) and value:
            yield from (value,) if isinstance(value, str) else value


def _marked(marks: Any) -> Holding | None:
    return next((each.what for each in marks if isinstance(each, Holds)), None)
