"""What is compared, on which concepts, and who judges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.judges import second
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.ranges import sweep
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.demo_concepts import demo_concepts
from steering.studies.axbench.files import axbench_concepts
from steering.studies.axbench.rows import ROWS
from steering.studies.setting_kinds import TextSource, once, typed_list


FACTORS = "0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5"
"""Those of the published sweep."""
MOST_FACTORS = 50
DEFAULT = ("none", "prompt", "random", "mean_difference", "centred_pca", "logistic", "leace", "sft", "reps")


class AxBenchSettings(BaseModel):
    """What is compared, on which concepts, and who judges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concepts: str = Field(
        "",
        description="A folder of AxBench's, such as concept10/prod_2b_l10_v1, or its train_data.parquet. Empty: "
        "topics, tones and registers of the demo grammar, for demo models.",
    )
    held_out: str = Field(
        "",
        description="Table of texts that no vector is fitted on, which the word judge learns from; the folder's own "
        "latent_eval_data.parquet, or every fourth text, where empty.",
    )
    n_concepts: int = Field(10, ge=2, le=1000, description="The most concepts, the first ones.")
    texts_n: int = Field(120, ge=8, le=5000, description="The most texts a side that vectors are fitted and tested on.")
    instructions: TextSource = Field(
        "", description="A list of requests to try, such as AlpacaEval's; the everyday ones that ship where empty."
    )
    n_instructions: int = Field(
        10, ge=2, le=200, description="Requests a concept; the first half choose the factor, the others score it."
    )
    factors: str = Field(
        FACTORS, description="Factors that are tried, ascending, above 0: of what 1 × mean difference adds."
    )
    methods: tuple[str, ...] = Field(
        DEFAULT, description="Rows: " + "; ".join(f"{name}: {row.title}" for name, row in ROWS.items()) + "."
    )
    dictionary: str = Field(
        "", description="feature: a sparse dictionary, as the studies of features take it; no such row where empty."
    )
    block: int | None = Field(
        None, ge=0, le=10_000, description="Block that is written by all; each concept's own where empty."
    )
    train_steps: int = Field(150, ge=1, le=20_000, description="Of each vector that is trained.")
    reply_tokens: int = Field(128, ge=4, le=1024, description="The most tokens of a reply.")
    temperature: float = Field(1.0, ge=0, le=5, allow_inf_nan=False, description="Of replies; 1 as published.")
    judge: str = Field(
        "",
        description="Who marks: a chat model by folder or Hub id; where empty the model at judge_url, else rules: the "
        "demo grammar for its own concepts, for others words of held-out texts and the unsteered model's likelihoods.",
    )
    judge_url: str = second.URL
    judge_model: str = second.MODEL
    judge_key: str = second.KEY
    judge_calls: int = second.CALLS
    judge_price: float = second.PRICE
    resamples: int = Field(2000, ge=100, le=20_000, description="Bootstrap draws of concepts behind the intervals.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of replies, random directions and the bootstrap.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    kept: str = Field("", description="File that keeps finished parts for another run; none where empty.")

    @property
    def sweep(self) -> tuple[float, ...]:
        """The factors, checked.

        Raises:
            SteeringError: Not readable, not ascending, not above 0, or too many.
        """
        found = sweep(self.factors, repeats=True)
        if not 1 <= len(found) <= MOST_FACTORS or found[0] <= 0 or any(b <= a for a, b in pairwise(found)):
            raise SteeringError(
                f"The factors '{self.factors}' were asked for.",
                f"up to {MOST_FACTORS} ascending numbers above 0, such as 0.5, 1, 2.",
                "Correct them.",
            )
        return found

    def concepts_on(self, host: Host) -> Sequence[Concept]:
        """The concepts that are tried.

        Raises:
            SteeringError: None are named for a model that is no demo model, or as `axbench_concepts`.
        """
        if self.concepts.strip():
            return axbench_concepts(
                self.concepts.strip(),
                self.n_concepts,
                texts=self.texts_n,
                instructions=self.n_instructions,
                own=self.instructions,
                held_out=self.held_out,
                seed=self.seed,
            )
        if not host.info.demo:
            raise SteeringError(
                "No concepts were named.",
                "a folder of AxBench's, such as concept10/prod_2b_l10_v1 (concepts).",
                "Name one; the demo grammar's concepts are for demo models.",
            )
        return demo_concepts(self.n_concepts, texts=self.texts_n, instructions=self.n_instructions, seed=self.seed)

    _typed = field_validator("methods", mode="before")(typed_list)
    _once = field_validator("methods")(once)

    @field_validator("factors", mode="before")
    @classmethod
    def _one_number(cls, given: Any) -> Any:
        """A single number, or a list of them, is no text on the command line."""
        if isinstance(given, list | tuple):
            return ", ".join(map(str, given))
        return str(given) if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _known_rows(self) -> AxBenchSettings:
        unknown = [name for name in self.methods if name not in ROWS]
        if unknown or not self.methods:
            raise ValueError(f"methods: one or more of {', '.join(ROWS)}")
        return self
