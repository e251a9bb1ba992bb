"""A recipe as it comes from a page: any JSON at all, and every field that is wrong by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from steering.bounds import check_given
from steering.errors import SteeringError
from steering.ranges import whole_numbers
from steering.recipes.modes import MODES
from steering.recipes.recipe import GateSettings, Intervention, Recipe, parse_blocks
from steering.validation import field_errors
from steering.vectors.vector import SteeringVector
from steering.writes.scopes import SCOPES
from steering.yaml_files import load_yaml
from workbench.doors.at_hand import limits_at_hand
from workbench.places import without_places


MOST_INTERVENTIONS = 32
"""In one recipe on a page."""
MOST_CHARACTERS = 200_000
"""Of a recipe that is pasted as a text."""
_WHAT = "The recipe"


@dataclass(frozen=True)
class Problem:
    """Something wrong with one field."""

    field: str
    """Its path, such as "interventions.0.blocks"; "" for the whole."""
    error: SteeringError
    here: str = ""
    """What stands at the field in place of `error.given`, which names it as well; "" for that."""

    @property
    def shown(self) -> dict[str, str]:
        """For the page."""
        given = self.here or self.error.given
        expected = f" Expected: {self.error.expected}" if self.error.expected else ""
        return {"field": self.field, "said": without_places(f"{given}{expected}")}


@dataclass(frozen=True)
class Draft:
    """What stands in a recipe editor."""

    found: Recipe | None
    """As far as it could be read; None where the editor is empty or what stands there is no recipe."""
    error: SteeringError | None = None
    """What keeps it from being used."""

    def recipe(self) -> Recipe | None:
        """The recipe; None where the editor is empty.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        if self.error:
            raise self.error
        return self.found

    @property
    def empty(self) -> bool:
        """Whether nothing stands there at all."""
        return self.found is None and self.error is None

    @property
    def ready(self) -> Recipe:
        """The recipe, an empty one where there is none: for what is only drawn."""
        return self.found or Recipe()


def read_draft(given: Any) -> Draft:
    """What a page sent as a recipe; never trusted, never raises."""
    if given is None or given == "":  # Gradio's own markup component turns nothing into an empty text
        return Draft(None)
    recipe, problems = read_recipe(given)
    return Draft(recipe, problems[0].error if problems else None)


def read_recipe(given: Any) -> tuple[Recipe | None, list[Problem]]:
    """The recipe that plain data stands for, and every field that is wrong; no recipe where it cannot be read.

    Blocks and picked tokens may also come as they are typed, such as "3-6, 9".
    """
    try:
        check_given(_WHAT, given)
    except SteeringError as error:
        return None, [Problem("", error)]
    if not isinstance(given, Mapping):
        return None, [Problem("", SteeringError(f"{_WHAT} is {_kind(given)}.", "a mapping with interventions."))]
    problems: list[Problem] = []
    given = {**given}
    each = given.get("interventions", [])
    if isinstance(each, list) and len(each) > MOST_INTERVENTIONS:
        said = SteeringError(f"{_WHAT} has {len(each)} interventions.", f"at most {MOST_INTERVENTIONS}.", "Take fewer.")
        return None, [Problem("interventions", said)]
    if isinstance(each, list):
        given["interventions"] = [
            _typed(one, f"interventions.{n}", problems) if isinstance(one, Mapping) else one
            for n, one in enumerate(each)
        ]
    if problems:
        return None, problems
    try:
        recipe = Recipe.model_validate(given)
        return recipe, [*_unpicked(recipe), *_too_long(recipe)]
    except ValidationError as error:
        found = field_errors(_WHAT, error)
        return None, [Problem(each.dotted, each, each.below(len(each.path) - 1)) for each in found]


def _too_long(recipe: Recipe) -> Iterator[Problem]:
    """Replies that are longer than whoever is at hand may ask for."""
    try:
        if limits := limits_at_hand():
            limits.check_tokens(recipe.decode.max_new_tokens)
    except SteeringError as error:
        yield Problem("decode.max_new_tokens", error)


def read_text(text: Any) -> Recipe:
    """A recipe as it was pasted, JSON or YAML.

    Raises:
        SteeringError: It cannot be read, or naming the first field that is wrong.
    """
    if not isinstance(text, str) or not text.strip():
        raise SteeringError("There is no text.", "a recipe as JSON or YAML.", "Paste one.")
    if len(text) > MOST_CHARACTERS:
        raise SteeringError(f"The text has {len(text):,} characters.", f"at most {MOST_CHARACTERS:,}.", "Shorten it.")
    recipe, problems = read_recipe(_parsed(text))
    if problems or recipe is None:
        raise problems[0].error
    return recipe


def problems_with_vectors(recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> list[Problem]:
    """What a recipe asks of vectors that they do not have; the writes would refuse it too, but only at Run."""
    found: list[Problem] = []
    for n, each in enumerate(recipe.interventions):
        at = f"interventions.{n}"
        found += _unknown(f"{at}.vector", each.vector, vectors)
        for other in each.others:
            found += _unknown(f"{at}.others", other, vectors)
        vector = vectors.get(each.vector)
        if vector is not None:
            found += _misfits(at, each, vector)
            found += _no_features(
                at, each, {name: vectors[name] for name in (each.vector, *each.others) if name in vectors}
            )
        if each.gate:
            found += _unknown(f"{at}.gate.vector", each.gate.vector, vectors)
            found += _gate_misfits(f"{at}.gate", each.gate, vectors.get(each.gate.vector))
    return found


def _typed(given: Mapping[Any, Any], at: str, problems: list[Problem]) -> dict[Any, Any]:
    """One intervention with what was typed read; what is empty becomes a problem in the page's own words."""
    read = {**given}
    if not given.get("vector"):
        said = SteeringError("The recipe has an intervention without a vector.", remedy="Choose one from the shelf.")
        problems.append(Problem(f"{at}.vector", said))
    if given.get("strength", 1.0) is None:
        said = SteeringError("The strength is empty.", "a finite number.", "Type a number such as 1.5.")
        problems.append(Problem(f"{at}.strength", said))
    for field, parse in {"blocks": _blocks, "scope": _scope}.items():
        if field not in given:
            continue
        try:
            read[field] = parse(given[field])
        except SteeringError as error:
            problems.append(Problem(f"{at}.{field}", error))
    return read


def _blocks(blocks: Any) -> Any:
    if blocks == []:
        raise SteeringError("No block is named.", "numbers such as 4, '2,5' or '3-6'.", "Type one, or take default.")
    return parse_blocks(blocks) if isinstance(blocks, str) else blocks


def _scope(scope: Any) -> Any:
    if isinstance(scope, str) and scope not in SCOPES:
        try:
            scope = list(whole_numbers(scope))
        except ValueError:
            raise SteeringError(
                f"The picked tokens '{scope[:60]}' cannot be read.",
                f"positions from 0, such as 3-7, 9, or one of {', '.join(SCOPES)}.",
                "Correct them, or pick the tokens again.",
            ) from None
    return scope


def _unpicked(recipe: Recipe) -> list[Problem]:
    """Interventions that wait for tokens to be picked: a recipe, but none that can be used."""
    return [
        Problem(
            f"interventions.{n}.scope",
            SteeringError(
                f"'{each.vector[:80]}' writes at the picked tokens, and none is picked.",
                "at least one token of the prompt.",
                "Click or drag over the prompt's tokens, or choose another place under “Write at”.",
            ),
        )
        for n, each in enumerate(recipe.interventions)
        if each.scope == ()
    ]


def _unknown(field: str, name: str, vectors: Mapping[str, SteeringVector]) -> list[Problem]:
    if name in vectors:
        return []
    said = f"'{name[:80]}' is not on the shelf, or does not fit the model."
    return [Problem(field, SteeringError(said, "a vector of the shelf.", "Choose another."))]


def _misfits(at: str, each: Intervention, vector: SteeringVector) -> Iterator[Problem]:
    named = each.blocks if isinstance(each.blocks, tuple) else ()
    outside = [block for block in named if not 0 <= block < vector.n_blocks]
    if outside:
        said = SteeringError(f"Block {outside[0]}.", f"0 to {vector.n_blocks - 1}.", "Correct the blocks.")
        yield Problem(f"{at}.blocks", said)
    if each.mode == "erase" and vector.eraser is None:
        said = SteeringError(f"The vector '{each.vector}' has no eraser.", "a vector made by the method leace.")
        yield Problem(f"{at}.mode", said)
    if each.mode in ("affine", "clamp") and vector.references is None:
        yield Problem(f"{at}.mode", _no_zero(each.vector))


def _no_features(at: str, each: Intervention, vectors: Mapping[str, SteeringVector]) -> Iterator[Problem]:
    """What a mode that changes features asks of its vectors and its place."""
    if not MODES[each.mode].feature:
        return
    first, *others = vectors
    own = vectors[first].feature
    if own is None:
        said = SteeringError(f"The vector '{first}' is no feature of a dictionary.", "a feature, or another mode.")
        yield Problem(f"{at}.mode", said)
        return
    for name in others:
        other = vectors[name].feature
        if other is None or other.digest != own.digest or other.index == own.index:
            yield Problem(f"{at}.others", SteeringError(f"'{name}' is no other feature of the same dictionary."))
    block, site = vectors[first].default_block, vectors[first].site
    if each.blocks not in ("default", (block,)):
        yield Problem(f"{at}.blocks", SteeringError("A feature is changed at its dictionary's own block.", f"{block}."))
    if each.site not in (None, site):
        yield Problem(f"{at}.site", SteeringError("A feature is changed at its dictionary's own site.", f"{site}."))


def _gate_misfits(at: str, gate: GateSettings, vector: SteeringVector | None) -> Iterator[Problem]:
    if vector is None:
        return
    if vector.references is None:
        yield Problem(f"{at}.vector", _no_zero(gate.vector))
    if gate.block is not None and not 0 <= gate.block < vector.n_blocks:
        yield Problem(f"{at}.block", SteeringError(f"Block {gate.block}.", f"0 to {vector.n_blocks - 1}."))


def _no_zero(name: str) -> SteeringError:
    return SteeringError(
        f"The vector '{name}' does not say where its negative side lies.", "a vector extracted from a contrast set."
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)  # much quicker than YAML, which contains it
    except ValueError:
        return load_yaml(text, "The text")
    except RecursionError:
        raise SteeringError("The text is nested too deeply.", "a recipe as JSON or YAML.") from None


def _kind(given: Any) -> str:
    return {list: "a list", str: "a text", bool: "yes or no", int: "a number", float: "a number"}.get(
        type(given), "something else"
    )
