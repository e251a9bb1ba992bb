"""What can be set in the study of refusal."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from steering.bounds import LARGEST_SEED
from steering.judges import second
from steering.model.chat_settings import CHAT, ChatSettings
from steering.studies.refusal.arms import ARMS
from steering.studies.refusal.rules import By, Rules
from steering.studies.setting_kinds import typed_list


Until = Literal["tokens", "candidates", "effects"]
DEFAULT_SYSTEM = "You are a helpful assistant."
"""What the switch "with and without a system prompt" takes where none is given."""


class RefusalSettings(BaseModel):
    """Which requests, how the direction is found, and what is done with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field("", description="demo, general, a contrast set or its file; the model's own where empty.")
    target: str = Field("", description="List of target texts instead of data: a file, or hub:owner/name.")
    control: str = Field("", description="List of control texts that goes with target.")
    borderline: str = Field("", description="List of borderline texts instead of the set's own.")
    column: str = Field("", description="Column of the lists that holds the texts.")
    n_train: int = Field(128, ge=4, le=20_000, description="The most requests a side behind the means.")
    n_validation: int = Field(32, ge=2, le=20_000, description="The most requests a side to choose a direction on.")
    n_test: int = Field(100, ge=2, le=20_000, description="The most requests of a kind that effects are measured on.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of the demo grammar's draw.")
    system: str = Field("", description="System prompt before every request; none where empty.")
    both_systems: bool = Field(False, description="Measure effects with and without a system prompt.")

    tokens: tuple[str, ...] = Field(
        (), description="First tokens of a refusal, as text or #id; found from the model where empty."
    )
    last_only: bool = Field(False, description="Read candidates at the last token only: faster.")
    by: By = Field("bypass", description="What the direction is chosen by: bypass, or cosmic without tokens.")
    min_induce: float = Field(Rules.min_induce, description="Drop a candidate that induces less refusal (log-odds).")
    max_kl: float = Field(Rules.max_kl, gt=0, description="Drop one that changes control replies more, in nats.")
    max_depth: float = Field(Rules.max_depth, gt=0, le=1, description="Drop blocks from this share of the depth on.")
    candidate: str = Field("", description="Take this one instead, as position/block such as -1/3.")
    complete: bool = Field(True, description="Score dropped candidates to the end too, for the picture.")

    arms: tuple[str, ...] = Field(tuple(ARMS), description="Interventions to compare: " + ", ".join(ARMS) + ".")
    share: float = Field(0.5, ge=0, le=1, description="Of the projection that the partial ablation takes away.")
    directions: int = Field(2, ge=2, le=8, description="Directions that `several` ablates.")
    random: int = Field(5, ge=0, le=50, description="Random directions a floor.")
    reply_tokens: int = Field(100, ge=1, le=4096, description="The most tokens of a reply.")
    questions: int = Field(50, ge=0, le=100, description="The most questions a set: knowledge, truth, sums.")
    classifier: str = Field("", description="A local text classifier as a further judge: a folder or Hub id.")
    classifier_label: str = Field("", description="Its label that means refusal; found by its name where empty.")
    judge_url: str = second.URL
    judge_model: str = second.MODEL
    judge_key: str = second.KEY
    judge_calls: int = second.CALLS
    judge_price: float = second.PRICE
    prompts: tuple[str, ...] = Field(
        (), description="Prompts to follow along the direction; two of each kind where empty."
    )
    reference: str = Field("", description="The aligned model that this one was tuned from, to show drift from it.")

    chat: ChatSettings | None = Field(None, description=CHAT)
    until: Until = Field("effects", description="Where to end: tokens, candidates or effects.")
    kept: str = Field("", description="File that keeps finished parts for another run; none where empty.")

    _typed = field_validator("arms", "tokens", mode="before")(typed_list)

    @field_validator("candidate")
    @classmethod
    def _placed(cls, given: str) -> str:
        if given.strip() and not re.fullmatch(r"-?\d{1,6}/\d{1,6}", given.strip()):
            raise ValueError("a candidate is named by position/block, such as -1/3")
        return given.strip()

    @field_validator("prompts", mode="before")
    @classmethod
    def _one(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @property
    def rules(self) -> Rules:
        """What drops a candidate."""
        return Rules(self.min_induce, self.max_kl, self.max_depth)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The most requests a side for training, validation and test."""
        return self.n_train, self.n_validation, self.n_test
