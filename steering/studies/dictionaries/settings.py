"""What is trained, on which texts, and where it goes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.sites import Site
from steering.studies.dictionaries.autoencoders import KINDS, Kind
from steering.studies.dictionaries.corpus import Reading
from steering.studies.dictionaries.course import Course
from steering.studies.setting_kinds import TextSource


class TrainingSettings(BaseModel):
    """What all trainings take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: TextSource = Field(
        "",
        description="What is read: grammar (the conversations of the demo grammar, on demo models), a preset contrast "
        "set, a file of texts or a contrast set, perhaps with a column behind ::, or hub:owner/name. Empty: grammar on "
        "demo models; others must be told.",
    )
    reading: Reading = Field(
        "chat", description="chat: each text is a user's message in the model's template; plain: the text as it is."
    )
    block: int | None = Field(None, ge=0, le=10_000, description="Which block, counted from 0; the middle where empty.")
    features: int = Field(1024, ge=2, le=1_000_000, description="Size of the dictionary.")
    active: int = Field(32, ge=1, le=10_000, description="Features that a token may use: at most, or on average.")
    tokens: int = Field(300_000, ge=100, le=10_000_000, description="The most tokens to train on; texts stay whole.")
    held_out: float = Field(
        0.1, gt=0, lt=1, description="Share of the texts that is only measured on, the same for the same seed."
    )
    steps: int = Field(1500, ge=1, le=1_000_000, description="Steps of the optimiser.")
    batch: int = Field(1024, ge=1, le=100_000, description="Tokens a step.")
    silent_after: int = Field(
        100, ge=1, le=1_000_000, description="Steps without firing after which a feature is trained on what is left."
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of the split, the weights and the order.")
    name: str = Field("", description="Name of the folder that it gets; by model, place and kind where empty.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    dictionaries: str = Field(
        "", description="Folder that gets it; the workbench gives its own. Empty: it is measured and not kept."
    )

    def course(self, rate: float) -> Course:
        """How it is trained."""
        same = ("features", "active", "steps", "batch", "silent_after", "seed")
        return Course(**{name: getattr(self, name) for name in same}, rate=rate)

    def block_of(self, host: Host) -> int:
        """The block that is meant.

        Raises:
            SteeringError: The model has no such block.
        """
        return host.sites.check_block(host.info.blocks // 2 if self.block is None else self.block)

    def check(self) -> None:
        """Refuse what no training can be.

        Raises:
            SteeringError: More active features than there are.
        """
        if self.active >= self.features:
            raise SteeringError(
                f"A dictionary of {self.features:,} features was asked for, {self.active:,} of them active at a token.",
                "fewer active ones than there are.",
                "Make features larger or active smaller; a thirtieth is usual.",
            )


class SaeSettings(TrainingSettings):
    """A sparse autoencoder."""

    kind: Kind = Field("topk", description="; ".join(f"{name}: {text}" for name, text in KINDS.items()) + ".")
    site: Site = Field("block_output", description="Where in the block its states are.")
    rate: float = Field(3e-3, gt=0, le=1, description="Peak learning rate of Adam.")


class TranscoderSettings(TrainingSettings):
    """A transcoder of a block's MLP."""

    rate: float = Field(4e-3, gt=0, le=1, description="Peak learning rate of Adam.")


class CrosscoderSettings(TrainingSettings):
    """A crosscoder of two models."""

    base: str = Field(
        "",
        description="The model that this one was tuned from, by name, folder or Hub id. Empty: demo-helpful on demo.",
    )
    site: Site = Field("block_output", description="Where in the block the states of both are.")
    rate: float = Field(3e-3, gt=0, le=1, description="Peak learning rate of Adam.")
    exclusive: float = Field(
        0.1, ge=0, lt=0.5, description="A feature is one model's own where its relative norm is so near to 0 or 1."
    )
    effects: int = Field(10, ge=0, le=200, description="Of each model's own features, how many are tried for effect.")


QUICK: dict[str, int] = {
    "features": 256,
    "active": 16,
    "tokens": 30_000,
    "steps": 300,
    "batch": 512,
}
"""What makes a training short, for a first look."""
