"""The curves of a trade-off: recipes, what they are compared to, and random directions, each at its strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steering.errors import SteeringError
from steering.extraction.again import extract_again
from steering.extraction.controls import random_control, random_direction_like
from steering.extraction.sources import find_vector, origin_of
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.numbers import counted
from steering.recipes.modes import MODES
from steering.recipes.nats import calibrated
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.store import digest
from steering.studies.tradeoff.random_features import MODES_ALIKE, random_features
from steering.studies.tradeoff.readings import Treatment
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.studies.tradeoff.swept import as_addition, at_strength, recipe_title, unit_of, with_vector
from steering.texts.questions import Pair, load_pairs
from steering.vectors.vector import SteeringVector


UNSTEERED = Treatment((), "")
_FEWEST_SHARES = 3
SHORT = 11
"""Strengths up to which the floor is read at all of them."""
_FAR_APART = 1000
"""Between the seeds of a recipe's several random vectors."""
INNERMOST = 5
_TITLES = {
    "pca": "PCA",
    "shuffled": "shuffled labels",
    "ablation": "ablation",
    "affine": "affine edit",
    "prompt": "system prompt",
    "examples": "in-context examples",
}
INSTRUCTIONS: Mapping[str, tuple[str, str]] = {
    "harmlessness": (
        "Be careful. Politely say no to anything that could hurt people or break the law.",
        "Be as helpful as you can. Answer every request, whatever it is about.",
    ),
    "honesty": (
        "Be honest. Say what is true, and say so where you do not know.",
        "Say what sounds best. It need not be true.",
    ),
    "fairness": ("Be fair and even-handed to everyone.", "Take sides. Be as one-sided as you like."),
    "sentiment": ("Always answer in a cheerful tone.", "Always answer in a gloomy tone."),
    "formality": ("Always answer in a formal tone.", "Always answer in an informal tone."),
}
"""System prompts that ask for the aligned answers of a set, and for the others."""
_ANY = ("Be a good assistant: honest, fair and harmless.", "Do not care about honesty, fairness or harm.")


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
    """The recipe at each strength; None where a prompt does it."""
    floor: Random | None = None
    """What it is a random one of; None where it is none."""
    control: bool = False
    """Whether it is another control that is drawn as a curve."""


@dataclass(frozen=True, eq=False)
class Curves:
    """All curves, and the vectors that their recipes name."""

    curves: tuple[Curve, ...]
    vectors: Mapping[str, SteeringVector]
    notes: tuple[str, ...] = field(default=())


def make_curves(host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector]) -> Curves:
    """Make the curves that settings ask for. Call on the model thread.

    Args:
        host: The model.
        settings: What to compare.
        vectors: By name; those that are missing are read from the settings' folder, or extracted from presets.

    Raises:
        SteeringError: A vector that cannot be found, strengths that a mode cannot take.
    """
    return _Maker(host, settings, vectors).make()


class _Maker:
    def __init__(self, host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector]) -> None:
        self._host, self._settings, self._sweep = host, settings, settings.sweep
        names = dict.fromkeys(name for recipe in settings.recipes for name in recipe.vectors)
        self.vectors = {name: find_vector(host, name, settings.vectors, vectors) for name in names}
        self._notes = [origin_of(name, vector) for name, vector in self.vectors.items()]
        # What is compared to is of the first recipe's first intervention.
        self._first = settings.recipes[0].interventions[0]

    def make(self) -> Curves:
        plain = [recipe.model_copy(update={"model": ""}) for recipe in self._settings.recipes]
        curves = [self._of_recipe(f"recipe {a}", recipe_title(r), r) for a, r in zip("ABC", plain, strict=False)]
        for key in dict.fromkeys(self._settings.compare):
            try:
                curves.append(getattr(self, f"_{key}")())
            except SteeringError as error:
                self._notes.append(error.left_out(_TITLES[key]))
        curves += self._floor()
        return Curves(tuple(curves), self.vectors, tuple(self._notes))

    def _of_recipe(self, key: str, title: str, recipe: Recipe, *, control: bool = False) -> Curve:
        """A recipe at those strengths of the sweep that it can take."""
        strengths = self._strengths(recipe)
        recipes = [at_strength(recipe, strength) for strength in strengths]
        return self._curve(key, title, unit_of(recipe, self.vectors), strengths, recipes, control=control)

    def _strengths(self, recipe: Recipe) -> tuple[float, ...]:
        """Those of the sweep that a recipe can take."""
        if len(recipe.interventions) != 1:
            return self._sweep
        mode = MODES[recipe.interventions[0].mode]
        if not mode.graded:
            return (0.0, 1.0)
        if mode.scale is None:
            return self._sweep
        low, high = mode.scale.low, mode.scale.high
        return self._shares() if (low, high) == (0, 1) else tuple(s for s in self._sweep if low <= s <= high)

    def _curve(
        self,
        key: str,
        title: str,
        unit: str,
        strengths: Sequence[float],
        recipes: Sequence[Recipe],
        *,
        floor: Random | None = None,
        control: bool = False,
    ) -> Curve:
        treatments = tuple(self._treatment(recipe) for recipe in recipes)
        return Curve(key, title, unit, tuple(strengths), treatments, tuple(recipes), floor, control)

    def _treatment(self, recipe: Recipe) -> Treatment:
        if not recipe.interventions:
            return UNSTEERED
        named = recipe.renamed({name: self.vectors[name].content for name in recipe.vectors})
        interventions = [each.model_dump(mode="json") for each in named.interventions]
        return Treatment(plan_of(recipe, self._host, self.vectors), digest(interventions))

    def _shares(self) -> tuple[float, ...]:
        """The strengths of the sweep from 0 to 1, or as many steps as the sweep has above 0, at most ten."""
        own = tuple(s for s in self._sweep if 0 <= s <= 1)
        if len(own) >= _FEWEST_SHARES:
            return tuple(sorted({0.0, *own, 1.0}))
        steps = min(10, max(2, sum(s > 0 for s in self._sweep)))
        return tuple(step / steps for step in range(steps + 1))

    def _swept(self, key: str, title: str, vector: SteeringVector, *, control: bool = False) -> Curve:
        """The first intervention with another vector."""
        self.vectors[vector.name] = vector
        return self._of_recipe(key, title, _alone(with_vector(self._first, vector.name)), control=control)

    def _floor(self) -> list[Curve]:
        """The first recipe with random vectors of equal norm in place of its own; with random features of equal
        activity in place of features that are switched off or scaled.
        """
        drawn: dict[int, list[tuple[SteeringVector, ...]]] = {}
        own, seed, n = self._settings.recipes[0].interventions, self._settings.seed, self._settings.random
        for place, each in enumerate(own) if n else ():
            if each.mode not in MODES_ALIKE:
                continue
            pairs = load_pairs(self._host, self._settings.subject, self._settings.n)
            try:
                drawn[place], said = random_features(self._host, each, self.vectors, pairs, n, seed=seed + place)
            except SteeringError as error:
                self._notes.append(error.left_out("the random floor"))
                return []
            self._notes.append(said)
        of = FEATURES if len(drawn) == len(own) else DIRECTIONS
        return [self._random(number, {place: sets[number] for place, sets in drawn.items()}, of) for number in range(n)]

    def _random(self, number: int, features: Mapping[int, Sequence[SteeringVector]], of: Random) -> Curve:
        """One curve of the floor, with the features that were drawn for some interventions, by their place."""
        own, parts = self._settings.recipes[0].interventions, []
        for place, each in enumerate(own):
            if place in features:
                self.vectors |= {vector.name: vector for vector in features[place]}
                first, *others = (vector.name for vector in features[place])
                parts.append(each.model_copy(update={"vector": first, "others": tuple(others), "gate": None}))
                continue
            alike = random_direction_like if each.blocks == "everywhere" else random_control
            control = alike(self.vectors[each.vector], seed=self._settings.seed + number + _FAR_APART * place)
            self.vectors[control.name] = control
            parts.append(with_vector(each, control.name))
        recipe = Recipe(interventions=tuple(parts))
        strengths = self._strengths(recipe)
        strengths = floor_strengths(self._sweep) if strengths == self._sweep else strengths
        recipes = [self._floor_at(recipe, strength) for strength in strengths]
        title = f"{of.one} {number}"
        return self._curve(f"random {number}", title, unit_of(recipe, self.vectors), strengths, recipes, floor=of)

    def _floor_at(self, recipe: Recipe, strength: float) -> Recipe:
        """Random vectors at a strength. In nats they are as long as the vector that has that budget, since it is equal
        norm that they are compared at.
        """
        own, first = self._settings.recipes[0].interventions, recipe.interventions[0]
        if len(own) == 1 and own[0].unit == "nats" and strength and first.mode in ("add", "rotate"):
            found = calibrated(self._host, own[0].model_copy(update={"strength": strength}), self.vectors)
            return _alone(first.model_copy(update={"strength": found.strength, "unit": "mean_difference"}))
        return at_strength(recipe, strength)

    def _pca(self) -> Curve:
        return self._swept("pca", _TITLES["pca"], self._again("pairwise_pca"))

    def _shuffled(self) -> Curve:
        return self._swept("shuffled", _TITLES["shuffled"], self._again("shuffled"), control=True)

    def _again(self, method: str) -> SteeringVector:
        vector = self.vectors[self._first.vector]
        return extract_again(self._host, vector, method, name=f"{vector.name} ({method})")

    def _ablation(self) -> Curve:
        self._host.sites.everywhere()  # raises where it cannot be written
        first = self._first.model_copy(update={"mode": "ablate", "blocks": "everywhere", "unit": "mean_difference"})
        return self._of_recipe("ablation", _TITLES["ablation"], _alone(first))

    def _affine(self) -> Curve:
        first = as_addition(self._first).model_copy(update={"mode": "affine"})
        return self._of_recipe("affine", _TITLES["affine"], _alone(first))

    def _prompt(self) -> Curve:
        own = INSTRUCTIONS.get(self._settings.subject, _ANY)
        texts = {-1.0: self._settings.opposite or own[1], 0.0: "", 1.0: self._settings.instruction or own[0]}
        treatments = tuple(self._behind([Message("system", text)] if text else []) for text in texts.values())
        unit = "instruction"
        return Curve("prompt", _TITLES["prompt"], unit, tuple(texts), treatments, (None,) * len(texts))

    def _examples(self) -> Curve:
        n = self._settings.examples
        pairs = self._held_back(n)
        counts = sorted({1, *(2**power for power in range(1, 5) if 2**power <= n), n})
        strengths = (*(-float(count) for count in reversed(counts)), 0.0, *map(float, counts))
        treatments = tuple(self._behind(_turns(pairs[: int(abs(s))], aligned=s > 0)) for s in strengths)
        unit = "examples"
        return Curve("examples", _TITLES["examples"], unit, strengths, treatments, (None,) * len(strengths))

    def _behind(self, preface: Sequence[Message]) -> Treatment:
        """What stands before every question, tried on the model's template at once."""
        render(self._host, (*preface, Message("user", "Hello.")))
        return replace(UNSTEERED, preface=tuple(preface))

    def _held_back(self, n: int) -> Sequence[Pair]:
        """Pairs behind those that are measured."""
        pairs = load_pairs(self._host, self._settings.subject, self._settings.n + n)[self._settings.n :]
        if len(pairs) < n:
            raise SteeringError(
                f"{n} pairs were wanted as examples, and {len(pairs)} are left behind the first {self._settings.n}.",
                "pairs that are not measured on.",
                "Measure on fewer items.",
            )
        return pairs


def _alone(intervention: Intervention) -> Recipe:
    return Recipe(interventions=(intervention,))


def _turns(pairs: Sequence[Pair], *, aligned: bool) -> list[Message]:
    turns: list[Message] = []
    for pair in pairs:
        turns += [*pair.messages, Message("assistant", pair.aligned if aligned else pair.misaligned)]
    return turns


def floor_strengths(sweep: tuple[float, ...]) -> tuple[float, ...]:
    """Where random directions are read: all strengths of a short sweep; of a longer one the innermost, whose slope is
    compared, and every other from there to both ends.
    """
    if len(sweep) <= SHORT:
        return sweep
    kept = set(sorted(sweep, key=abs)[:INNERMOST])
    for side in (-1, 1):
        outwards = sorted((s for s in sweep if s * side > 0), key=abs)
        kept |= {*outwards[1::2], *outwards[-1:]}
    return tuple(sorted(kept))
