"""What a curve of a trade-off is: a method at its strengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from steering.numbers import counted
from steering.recipes.recipe import Recipe
from steering.studies.tradeoff.items import Treatment
from steering.vectors.vector import SteeringVector


UNSTEERED = Treatment((), "")


@dataclass(frozen=True)
class Random:
    """What a random floor is made of, in words."""

    one: str
    """Of one curve, before its number; with an s where there are several."""
    alike: str
    """In what it is like the recipe's own."""

    @property
    def several(self) -> str:
        return f"{self.one}s"

    def said(self, n: int) -> str:
        """So many of them."""
        return f"{counted(n, self.one)} {self.alike}"


DIRECTIONS = Random("random direction", "of equal norm")
FEATURES = Random("random set", "of features of equal activity")


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve: a method at its strengths, ascending."""

    key: str
    title: str
    unit: str
    """Of its strengths, for people."""
    strengths: tuple[float, ...]
    treatments: tuple[Treatment, ...]
    recipes: tuple[Recipe | None, ...]
    """The recipe at each strength; None where a prompt or a choice among samples does it."""
    floor: Random | None = None
    """What it is a random one of; None where it is none."""
    control: bool = False
    """Whether it is another control that is drawn as a curve."""

    @property
    def writes(self) -> bool:
        """Whether it is a sweep of writes, which theory has a curve for."""
        return any(recipe is not None for recipe in self.recipes)


@dataclass(frozen=True, eq=False)
class Curves:
    """All curves, and the vectors that their recipes name."""

    curves: tuple[Curve, ...]
    vectors: Mapping[str, SteeringVector]
    notes: tuple[str, ...] = field(default=())
