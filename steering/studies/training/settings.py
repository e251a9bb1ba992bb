"""What is trained, on which preferences, and what it is held against."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.judges.fitting import OF_PREFERENCES
from steering.judges.marks import NAMES
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.sites import Site
from steering.ranges import whole_numbers
from steering.studies.setting_kinds import PreferenceSource, once, typed_list
from steering.texts.preferences import preferences_on
from steering.training.losses import LOSSES
from steering.training.rewards import REWARDS, Sampling
from steering.training.trainee import Mode, Trainee
from steering.writes.interventions import Scope


_BY_SIDE = {"demo-refusal": "refusal"}
"""Judges whose mark counts against a reply where the set's chosen one has less of it."""
NOBODY = "none"


class TrainSettings(BaseModel):
    """What is trained, on which preferences, and what it is held against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: PreferenceSource = Field(
        "", description="Pairs (prompt, chosen, rejected) or replies with a label; demo-formality on demo models."
    )
    losses: tuple[str, ...] = Field(
        ("dpo",),
        description="By which losses, one vector each: "
        + "; ".join(f"{name}: {loss.title}" for name, loss in LOSSES.own.items())
        + ".",
    )
    numbers: str = Field(
        "", description="Numbers of losses other than their defaults, such as 'dpo.beta=0.2, simpo.gamma=1'."
    )
    n: int = Field(300, ge=4, le=100_000, description="The most examples, the first ones.")
    mode: Mode = Field(
        "add", description="add; ablate (a span is taken out); clamp (the projection is held); gated_add with reft."
    )
    blocks: str = Field("", description="Blocks, each with a direction of its own, such as 3 or 2,4; the middle one.")
    site: Site = Field("block_output", description="Where in the block it is written.")
    scope: Literal["all", "prompt", "reply", "generated", "last"] = Field("all", description="Which tokens.")
    span: int = Field(1, ge=1, le=64, description="ablate: directions that are taken out together.")
    budget: float | None = Field(
        0.25,
        gt=0,
        le=100,
        description="What each vector may cost, in nats of KL per token (95th percentile); empty: its length is free.",
    )
    start: Literal["mean_difference", "random", "zero"] = Field("mean_difference", description="Where it begins.")
    steps: int = Field(200, ge=1, le=100_000, description="Of the optimiser.")
    batch: int = Field(8, ge=1, le=4096, description="Examples a step.")
    rate: float = Field(0.05, gt=0, le=10, description="Peak rate of AdamW, in shares of a usual coordinate.")
    validation: float = Field(
        0.15, ge=0, lt=0.9, description="Share of the prompts that say which step is best; 0: the last one is taken."
    )
    patience: int = Field(5, ge=0, le=100, description="Looks without a lower loss there until it ends; 0: never.")
    held_out: float = Field(
        0.2, gt=0, lt=0.9, description="Share of the prompts on which vectors are compared; nothing is fitted to them."
    )
    judge: str = Field(
        "",
        description=f"Who marks replies to held-out prompts: {NAMES}. Empty: the shipped set's own, "
        "of other preferences nobody; none: nobody.",
    )
    replies: int = Field(
        40, ge=1, le=2000, description="Held-out prompts that are answered, at most; 8 where nobody judges."
    )
    reply_tokens: int = Field(60, ge=1, le=1024, description="The most tokens of a reply.")
    random: int = Field(2, ge=0, le=20, description="Random directions at the same cost, as a floor.")
    shuffled: bool = Field(
        True, description="Whether a loss is also trained on shuffled labels or rewards, as a control."
    )
    reward: str = Field("number", description=f"rlvr: {', '.join(REWARDS)}, by the chosen reply.")
    samples: int = Field(8, ge=2, le=64, description="rlvr: replies to each prompt at every step.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of splits, order, random directions and samples.")
    name: str = Field("", description="Begins the vectors' names; the data's where empty.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    kept: str = Field("", description="File that keeps finished parts for another run; none where empty.")

    _typed = field_validator("losses", mode="before")(typed_list)
    _once = field_validator("losses")(once)

    @field_validator("blocks", mode="before")
    @classmethod
    def _one_block(cls, given: Any) -> Any:
        """A number, or a list of them, is no text on the command line."""
        if isinstance(given, list | tuple):
            return ", ".join(map(str, given))
        return str(given) if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("losses")
    @classmethod
    def _known_losses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given or not all(name in LOSSES for name in given):
            raise ValueError(f"one or more of {', '.join(LOSSES)}")
        return given

    @field_validator("reward")
    @classmethod
    def _known_reward(cls, given: str) -> str:
        if given not in REWARDS:
            raise ValueError(f"one of {', '.join(REWARDS)}")
        return given

    @model_validator(mode="after")
    def _shares(self) -> TrainSettings:
        if self.validation + self.held_out >= 1:
            raise ValueError("validation and held_out: shares that leave prompts to train on")
        return self

    def source_on(self, host: Host) -> str:
        """The data's name.

        Raises:
            SteeringError: None is named for a model that is no demo model.
        """
        return preferences_on(host, self.data)

    def judge_of(self, source: str) -> str:
        """Who judges; "" where nobody does."""
        named = self.judge.strip() or _BY_SIDE.get(source, "") or OF_PREFERENCES.get(source, "")
        return "" if named == NOBODY else named

    def trainee_on(self, host: Host) -> Trainee:
        """What is trained.

        Raises:
            SteeringError: Blocks that cannot be read, or as `Trainee.check`.
        """
        try:
            blocks = whole_numbers(self.blocks) if self.blocks.strip() else (host.info.blocks // 2,)
        except ValueError as error:
            raise SteeringError(f"The blocks '{self.blocks[:60]}' were given.", "numbers such as 3 or 2,4.") from error
        scope: Scope = self.scope
        return Trainee(tuple(blocks), self.mode, self.site, scope, self.span).check(host)

    def numbers_of(self, loss: str) -> dict[str, float]:
        """A loss's own numbers, of those that are given.

        Raises:
            SteeringError: Not readable.
        """
        found = {}
        for part in filter(None, (each.strip() for each in self.numbers.split(","))):
            named, _, value = part.partition("=")
            name, _, number = named.strip().partition(".")
            try:
                given = float(value)
            except ValueError:
                given = None
            if not number or given is None or name not in LOSSES:
                raise SteeringError(
                    f"The number '{part[:60]}' was given.", "LOSS.NAME=VALUE, such as dpo.beta=0.2.", "Correct it."
                )
            if name == loss:
                found[number] = given
        return found

    @property
    def control(self) -> str:
        """By which loss shuffled labels are trained on: the first that is told which replies are not wanted; "" where
        there is none, or no control was asked for.
        """
        return next((name for name in self.losses if self.shuffled and LOSSES[name].reads_sides), "")

    @property
    def rewarded(self) -> bool:
        """Whether a loss takes replies that a reward tells apart."""
        return any(LOSSES[name].sampled for name in self.losses)

    @property
    def sampling(self) -> Sampling:
        """How a loss samples that takes the model's own replies."""
        return Sampling(self.reward, self.samples, min(self.reply_tokens, 24))
