"""What is compared: the rows of the table, each the plans of one concept at every factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.controls import random_control
from steering.extraction.extract import extract_methods
from steering.lane import Job
from steering.model.host import Host
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.store import digest
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.feature import feature_vector
from steering.studies.axbench.trained import pairs_on, trained_vector
from steering.texts.preferences import Preference
from steering.training.losses import LOSSES
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


FIRST = "mean_difference"
"""The method whose block all others are written at, and whose norm random directions have."""


@dataclass(frozen=True, eq=False)
class Row:
    """A method on one concept."""

    key: str
    factors: tuple[float, ...]
    """One where there is nothing to choose."""
    plans: tuple[Plan, ...]
    identities: tuple[str, ...]
    """Digests of what the plans come from."""
    prompted: bool = False
    """Whether the prompt asks for the concept."""
    block: int | None = None
    """Which is written."""


class Making:
    """What the rows of one concept are made of. Call on the model thread."""

    def __init__(
        self,
        host: Host,
        concept: Concept,
        methods: Sequence[str],
        *,
        dictionary: str = "",
        block: int | None = None,
        steps: int = 150,
        seed: int = 0,
    ) -> None:
        self.host, self.concept, self.dictionary, self.steps, self.seed = host, concept, dictionary, steps, seed
        self._methods = [FIRST, *(name for name in methods if name in METHODS.own and name != FIRST)]
        self._block = block

    @cached_property
    def vectors(self) -> dict[str, SteeringVector]:
        """By every method that is asked for, from states that are read once.

        Raises:
            SteeringError: As `extract_methods`.
        """
        found = extract_methods(
            self.host, self.concept.contrast, self._methods, pooling=self.concept.pooling, split_half=False
        )
        return {name: vector.renamed(f"{self.concept.name}, {name}") for name, vector in found.items()}

    @cached_property
    def pairs(self) -> list[Preference]:
        """What vectors are trained on.

        Raises:
            SteeringError: As `pairs_on`.
        """
        return pairs_on(self.host, self.concept)

    @property
    def block(self) -> int:
        """Which block is written."""
        return self.vectors[FIRST].default_block if self._block is None else self.host.sites.check_block(self._block)

    def row(self, key: str, vector: SteeringVector, factors: Sequence[float], block: int | None = None) -> Row:
        """A vector added at every factor of its own length, at all tokens of prompt and reply."""
        block, plans, identities = self.block if block is None else block, [], []
        for factor in factors:
            given = Intervention(vector=vector.name, strength=factor, blocks=(block,))
            plans.append(plan_of(Recipe(interventions=(given,)), self.host, {vector.name: vector}))
            identities.append(digest(vector.content, given.model_dump(mode="json", exclude={"vector"})))
        return Row(key, tuple(factors), tuple(plans), tuple(identities), block=block)


Make = Callable[[Making, Sequence[float], Job[Any]], Row]


@dataclass(frozen=True)
class Kind:
    """A row as it can be asked for."""

    title: str
    make: Make
    control: bool = False
    """Whether it is there to be beaten."""


def _none(making: Making, factors: Sequence[float], job: Job[Any]) -> Row:
    return Row("none", (0.0,), ((),), ("",))


def _prompt(making: Making, factors: Sequence[float], job: Job[Any]) -> Row:
    return replace(_none(making, factors, job), key="prompt", prompted=True)


def _random(making: Making, factors: Sequence[float], job: Job[Any]) -> Row:
    control = random_control(making.vectors[FIRST], seed=making.seed + making.concept.number)
    return making.row("random", control, factors)


def _extracted(key: str) -> Make:
    return lambda making, factors, job: making.row(key, making.vectors[key], factors)


def _feature(making: Making, factors: Sequence[float], job: Job[Any]) -> Row:
    if not making.dictionary.strip():
        raise SteeringError("No dictionary was named.", remedy="Name one (dictionary).")
    vector = feature_vector(making.host, making.dictionary, making.concept)
    return making.row("feature", vector, factors, vector.default_block)


def _trained(loss: str) -> Make:
    def make(making: Making, factors: Sequence[float], job: Job[Any]) -> Row:
        vector = trained_vector(
            making.host,
            making.concept,
            making.pairs,
            loss,
            block=making.block,
            steps=making.steps,
            seed=making.seed,
        )
        return making.row(loss, vector, factors)

    return make


ROWS: dict[str, Kind] = {
    "none": Kind("the model as it is", _none, control=True),
    "prompt": Kind("asked for in the prompt", _prompt),
    "random": Kind("random direction of equal norm", _random, control=True),
    **{
        name: Kind(method.title, _extracted(name))
        for name, method in METHODS.own.items()
        if not method.control and not method.needs_pairs
    },
    "feature": Kind("best feature of a dictionary", _feature),
    **{name: Kind(f"trained: {loss.title}", _trained(name)) for name, loss in LOSSES.own.items() if not loss.sampled},
}
"""Every row by its key."""
