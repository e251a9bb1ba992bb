"""What every study is: what it is called, what can be set, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pydantic import BaseModel

from steering.lane import Job
from steering.loading.tensor_parallel import check_undivided
from steering.model.host import Host
from steering.names import short_name
from steering.recipes.recipe import Recipe
from steering.studies.measure import Measure
from steering.studies.result import Result, origin, told
from steering.studies.result_files import RESULT, check_folder
from steering.studies.setting_kinds import vectors_named
from steering.studies.size import Size
from steering.validation import validated


__all__ = ["RESULT", "Measure", "Result", "Study", "check_folder", "named_vectors", "origin", "recipes_of", "told"]


def named_vectors(settings: BaseModel) -> set[str]:
    """The vectors that settings name, those of recipes among them included."""
    return {*vectors_named(settings), *(name for recipe in recipes_of(settings) for name in recipe.vectors)}


def recipes_of(settings: BaseModel) -> tuple[Recipe, ...]:
    """The recipes among settings."""
    values = [each for _, value in settings for each in (value if isinstance(value, tuple | list) else (value,))]
    return tuple(each for each in values if isinstance(each, Recipe))


@dataclass(frozen=True)
class Study:
    """An experiment: what it is called, what can be set, and how it runs."""

    name: str
    title: str
    summary: str
    settings: type[BaseModel]
    run: Callable[[Host, Any, Job[Result]], Result]
    """Called on the model thread."""
    quick: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make it short, for a first look."""
    size: Callable[[Host, Any], Size] | None = None
    """Counts from the settings what a run will do, at most, without touching the model; None where nobody counts."""
    without: frozenset[str] = frozenset()
    """Self-checks on which its results do not depend."""
    spreads: bool = False
    """Whether workers can compute its parts (`steering.parts`)."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of its main table that people are shown, and what they are called; all by their own names where empty."""
    uses: Callable[[Any], Collection[str] | None] = named_vectors
    """Names of the vectors that a run with these settings looks for; None where it takes all that there are."""

    def parse(self, given: Mapping[str, Any], *, quick: bool = False) -> BaseModel:
        """Settings from plain values; what is given wins over `quick`. Nothing at all is an empty text where a text is
        asked for: `--set sizes=` and a YAML key without a value.

        Raises:
            SteeringError: Naming the first field that is wrong or unknown.
        """
        texts = {name for name, field in self.settings.model_fields.items() if field.annotation is str}
        all_given = {**(self.quick if quick else {}), **given}
        all_given |= {name: "" for name in texts if name in all_given and all_given[name] is None}
        return validated(self.settings, all_given, f"Settings of {self.name}")

    def shown(self, result: Result) -> pd.DataFrame:
        """The main table of a result as people read it; columns of which nothing is known are left out."""
        found, said = result.main, dict[str, str]()
        if not self.columns or result.headline not in result.tables:
            return found
        for name, title in self.columns.items():
            if name in found and found[name].notna().any():
                said |= {f"{name}{end}": f"{title}{end}" for end in ("", "_low", "_high") if f"{name}{end}" in found}
        return found[list(said)].rename(columns=said)

    def start(self, host: Host, settings: BaseModel) -> Job[Result]:
        """Queue a run on the model thread; the notes say that a model is a demo model, or failed a self-check.

        Raises:
            SteeringError: The model is divided among processes, which would keep and time their parts each by itself.
        """

        check_undivided(host.model._module, f"The study '{self.name}'")

        def work(job: Job[Result]) -> Result:
            return told(self.run(host, settings, job), host, job.notes, without=self.without)

        return host.submit(work, title=f"{self.title} on {short_name(host.name)}")
