"""How a chat template is used: one setting for the whole model, which a study or a recipe may override."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from steering.model.templates import Value


CHAT = (
    "How the chat template is used here, such as chat.thought=think, chat.prefill=Sure or "
    "chat.switches.enable_thinking=false; as set for the model where empty."
)
"""What the setting says where a study or a recipe has it."""
Thinking = Literal["auto", "skip", "think"]
SystemPlace = Literal["system", "user"]


class ChatSettings(BaseModel):
    """Template switches, what replies begin with, thoughts, and where a system prompt goes. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    switches: dict[str, Value] = Field({}, description="Variables of the chat template, such as enable_thinking.")
    prefill: str = Field("", description="What every reply begins with; the model goes on from there.")
    thought: Thinking = Field(
        "auto",
        description="skip: no thought, by the template's switch, or by an empty one put before the reply. think: the "
        "model thinks first. auto: skip, unless a switch asks for thought.",
    )
    thought_tokens: int = Field(
        512, ge=1, le=32_768, description="think: the most tokens of a thought; a reply's own limit is its answer's."
    )
    system: SystemPlace = Field(
        "system",
        description="Where a system prompt goes: into its own turn, or before the first user message, for templates "
        "that refuse it.",
    )

    @field_validator("switches", mode="before")
    @classmethod
    def _null_is_none(cls, given: Any) -> Any:
        return {} if given is None else given

    @property
    def default(self) -> bool:
        """Whether nothing is set."""
        return self == ChatSettings()

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
