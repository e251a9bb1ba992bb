"""What a trade-off compares and measures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.judges import second
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.names import upper_first
from steering.ranges import sweep
from steering.recipes.recipe import Recipe
from steering.studies.setting_kinds import typed_list
from steering.texts.questions import PAIR_SETS, QUESTION_SETS, first_tokens, has_set
from steering.vectors.vector import SteeringVector


Compared = Literal["pca", "ablation", "affine", "prompt", "examples", "best_of", "trained", "shuffled"]
COMPARED: dict[Compared, str] = {
    "pca": "PCA of pair differences, in place of the vector's own method",
    "ablation": "ablating the vector's direction everywhere, by its share",
    "affine": "affine edit: the projection set to the negative mean plus the strength",
    "prompt": "a system prompt that asks for the aligned answer, or for the opposite",
    "examples": "in-context examples with aligned answers, or with misaligned ones",
    "best_of": "of several sampled replies the one that is judged best; for judged replies",
    "trained": "a vector trained on answer pairs of the set that are not measured on, at the same blocks",
    "shuffled": "a vector of the same set with its labels shuffled, as a control",
}
ABOUT: Mapping[str, str] = {"refusal": "harmlessness", "harm": "harmlessness", "truth": "honesty"} | {
    name: name for name in PAIR_SETS
}
"""The answer pairs that a vector is about, by the first word of its name or of its contrast set's."""
_UNSAID = "Neither the name '{name}' nor its contrast set's says what the vector is about"
MOST_RECIPES = 3
FEWEST_STRENGTHS, MOST_STRENGTHS = 2, 101


class TradeoffSettings(BaseModel):
    """What is compared, and what is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipes: tuple[Recipe, ...] = Field(
        (Recipe.model_validate({"interventions": [{"vector": "sentiment"}]}),),
        min_length=1,
        max_length=MOST_RECIPES,
        description="One to three recipes; without any, truth is added on models that are no demo models. The strength "
        "of a recipe's only intervention is what is swept; several are scaled together. Vectors by their names; one "
        "that is no file is extracted from the preset of that name. A name alone stands for adding that vector.",
    )
    strengths: str = Field(
        "-3..3 step 0.3",
        description="The sweep, in the unit of each recipe, ascending. An ablation takes those from 0 to 1.",
    )
    compare: tuple[Compared, ...] = Field(
        ("ablation", "prompt"),
        description="Also: " + "; ".join(f"{key}: {text}" for key, text in COMPARED.items()) + ".",
    )
    random: int = Field(10, ge=0, le=50, description="Random directions of equal norm, the floor; none where 0.")
    alignment: str = Field(
        "",
        description="Answer pairs: " + "; ".join(f"{key}: {text}" for key, text in PAIR_SETS.items()) + "; or a file, "
        "or hub:owner/name. Empty: what the first recipe's vector is about, by its name or its contrast set's; where "
        "these say nothing, they have to be named.",
    )
    alignment_by: str = Field(
        "pairs",
        description="pairs: likelihood of both answers. letters: which of both is chosen. judged: greedy replies, "
        "sorted by rules (harmlessness, sentiment, formality) or by `classifier`.",
    )
    helpfulness: str = Field(
        "choice",
        description="choice: P(right letter) among the letters. raw: P(right letter). accuracy: whether the right "
        "letter is likeliest. sums: whether a generated sum is right.",
    )
    questions: str = Field(
        "knowledge",
        description="Questions by letter: " + "; ".join(f"{key}: {text}" for key, text in QUESTION_SETS.items()) + "; "
        "or a file in the layout of MMLU, TruthfulQA MC or BBQ, or hub:owner/name.",
    )
    also: tuple[str, ...] = Field(
        ("sums", "false_refusal", "degenerate"),
        description="Further measures, of recipes and what they are compared to.",
    )
    n: int = Field(100, ge=2, le=5000, description="The most items of alignment and of helpfulness.")
    n_replies: int = Field(20, ge=2, le=1000, description="The most replies a measure that are generated.")
    reply_tokens: int = Field(48, ge=4, le=1024, description="The most tokens of a generated reply.")
    cost_weight: float = Field(
        2.0,
        ge=0,
        allow_inf_nan=False,
        description="Lambda: what is recommended gains most alignment less this times helpfulness lost.",
    )
    instruction: str = Field("", description="prompt: the system prompt; the set's own where empty.")
    opposite: str = Field("", description="prompt: the opposite one, at strength -1; the set's own where empty.")
    examples: int = Field(4, ge=1, le=16, description="examples: the most examples.")
    best_of: int = Field(
        8, ge=1, le=256, description="best_of: the most samples a request; 1, 2, 4 … up to it are shown."
    )
    loss: str = Field("dpo", description="trained: the loss, as the study train has them.")
    train_nats: float = Field(
        1.0, gt=0, le=100, allow_inf_nan=False, description="trained: what 1 × its length may cost, in nats a token."
    )
    train_steps: int = Field(200, ge=1, le=20_000, description="trained: steps of the training.")
    classifier: str = Field("", description="judged: a text classifier as the judge, a folder or Hub id.")
    classifier_label: str = Field(
        "", description="Its label that means aligned; the one that means refusal where empty."
    )
    judge_url: str = second.URL
    judge_model: str = second.MODEL
    judge_key: str = second.KEY
    judge_calls: int = second.CALLS
    judge_price: float = second.PRICE
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of bootstrap and random directions.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    vectors: str = Field("", description="Folder with the vectors' files, named as the recipes name them.")
    kept: str = Field("", description="File that keeps finished parts for another run; none where empty.")

    @property
    def sweep(self) -> tuple[float, ...]:
        """The strengths, checked.

        Raises:
            SteeringError: Not readable, unsorted, repeated, too few or too many.
        """
        try:
            found = sweep(self.strengths, repeats=True)
        except SteeringError as error:
            raise SteeringError(f"Strengths: {error.given}", error.expected, error.remedy) from error
        if list(found) != sorted(set(found)):
            wrong = next(b for a, b in pairwise(found) if b <= a)
            twice = list(found) == sorted(found)
            raise SteeringError(
                f"The strengths '{self.strengths}' are not in order: {wrong:g} comes "
                f"{'twice' if twice else 'after a larger one'}.",
                "ascending strengths, each once, such as -3..3 step 0.3.",
                "Remove one." if twice else "Sort them.",
            )
        if not FEWEST_STRENGTHS <= len(found) <= MOST_STRENGTHS:
            raise SteeringError(
                f"{len(found)} strengths were given.", f"{FEWEST_STRENGTHS} to {MOST_STRENGTHS}.", "Change the sweep."
            )
        return found

    def on(self, host: Host, vectors: Mapping[str, SteeringVector] | None = None) -> TradeoffSettings:
        """The settings with defaults that the model has a use for; what was given stays.

        Of a model that is no demo model the vector `truth` is swept, on answers about honesty. Where letters are no
        single tokens, helpfulness is measured on sums. The answer pairs that nobody named are those that the first
        recipe's vector is about.

        Args:
            host: The model.
            vectors: Those at hand, by name: a contrast set says what its vector is about.

        Raises:
            SteeringError: Nothing says what the vector is about, or there are no such pairs for this model.
        """
        changes: dict[str, Any] = {}
        if not host.info.demo and "recipes" not in self.model_fields_set:
            changes["recipes"] = (Recipe.model_validate({"interventions": [{"vector": "truth"}]}),)
        chosen = self.model_copy(update=changes)
        if not self.alignment.strip():
            changes["alignment"] = chosen.about(host, vectors or {})
        if not self.model_fields_set & {"helpfulness", "questions"} and not _has_letters(host):
            changes["helpfulness"] = "sums"
        chosen = self.model_copy(update=changes)
        chosen.model_fields_set.difference_update(set(changes) - self.model_fields_set)  # nobody has given them
        return chosen

    @property
    def subject(self) -> str:
        """The answer pairs that are taken, once `on` has found them where nobody named any."""
        return self.alignment.strip()

    def about(self, host: Host, vectors: Mapping[str, SteeringVector]) -> str:
        """The answer pairs that the first recipe's vector is about.

        Raises:
            SteeringError: As `on`.
        """
        name = self.recipes[0].vectors[0]
        vector = vectors.get(name)
        read_on = vector.feature.read_on.strip("'") if vector is not None and vector.feature else ""
        names = [name, *([vector.provenance.contrast, read_on] if vector is not None else [])]
        words = [re.match("[a-z]*", each.lower()) for each in names]
        found = next((ABOUT[word[0]] for word in words if word and word[0] in ABOUT), "")
        if found and has_set(host, found):
            return found
        here = [each for each in PAIR_SETS if has_set(host, each)]
        why = f"the answer pairs '{found}' are for demo models only"
        raise SteeringError(
            f"On what is alignment to be measured? {upper_first(why) if found else _UNSAID.format(name=name)}.",
            f"answer pairs (alignment): {', '.join(here)}, or a file of your own.",
            "Choose the pairs whose aligned answers the vector should make likelier.",
        )

    @field_validator("recipes", mode="before")
    @classmethod
    def _vectors_as_recipes(cls, given: Any) -> Any:
        """The name of a vector stands for adding it."""
        parts = [given] if isinstance(given, str) else given
        if not isinstance(parts, list | tuple):
            return given
        return tuple({"interventions": [{"vector": part}]} if isinstance(part, str) else part for part in parts)

    _typed = field_validator("compare", "also", mode="before")(typed_list)

    @field_validator("strengths", mode="before")
    @classmethod
    def _one_number(cls, given: Any) -> Any:
        """A single number, or nothing, is no text on the command line."""
        if isinstance(given, list | tuple):
            return ", ".join(map(str, given))
        return "" if given is None else str(given) if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _recipes_do_something(self) -> Self:
        if any(not recipe.interventions for recipe in self.recipes):
            raise ValueError("each recipe needs an intervention, whose strength is swept")
        return self


def _has_letters(host: Host) -> bool:
    try:
        first_tokens(host, "ABCD")
    except SteeringError:
        return False
    return True
