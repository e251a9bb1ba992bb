"""What a reply is, how its tokens are chosen, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.model.thoughts import Parts, split


Finish = Literal["end", "length", "context", "thought"]
FINISHES: dict[Finish, str] = {
    "end": "the model ended its reply",
    "length": "the asked length was reached",
    "context": "the model's context is full",
    "thought": "the thought took all the tokens it may have",
}


class DecodeSettings(BaseModel):
    """How tokens are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_new_tokens: int = Field(60, ge=1, le=4096, description="The most tokens in a reply, its thought not counted.")
    temperature: float = Field(0.0, ge=0, le=5, allow_inf_nan=False, description="0 takes the likeliest token.")
    top_p: float = Field(1.0, gt=0, le=1, description="Sample from the likeliest tokens with this total probability.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Every row draws the same random numbers from it.")


@dataclass(frozen=True)
class Written:
    """How many positions of a row were really modified."""

    prompt: int = 0
    generated: int = 0


@dataclass(frozen=True)
class Divergence:
    """The first token at which a row and the row it is compared with part, where both answer the same prompt."""

    context: str
    """The reply that both rows share up to there."""
    candidates: tuple[tuple[str, float, float], ...]
    """(token, its probability in the other row, its probability in this row), both before temperature: first what the
    other row took, then what this one took, then the likeliest.
    """


@dataclass(frozen=True)
class Reply:
    """One row's text, so far or final."""

    text: str
    ids: tuple[int, ...]
    finish: Finish | None
    """Why the reply ended; None while it goes on or when it was stopped."""
    written: Written
    divergence: Divergence | None = None
    parts: Parts | None = None
    """The text taken apart by the delimiters of the model's template; None where only literal ones are known."""
    thought_tokens: int = 0
    """How many of `ids` are thought, delimiters included, where the model was let think."""

    @property
    def answer_tokens(self) -> int:
        """How many of `ids` are the answer: all of them where the model was not let think."""
        return len(self.ids) - self.thought_tokens

    @property
    def thought(self) -> str:
        """What the model wrote before its answer; "" where it did not think."""
        return self._parts.thought

    @property
    def answer(self) -> str:
        """The reply behind its thought: what judges read."""
        return self._parts.answer

    @property
    def finished(self) -> bool:
        """False where the reply ends inside its thought."""
        return self._parts.finished

    @cached_property
    def _parts(self) -> Parts:
        return self.parts or split(self.text)


@dataclass(frozen=True)
class Step:
    """What is known after a decoding step; the last one seen is all that a stopped job leaves, and it is complete."""

    index: int
    """0-based step."""
    replies: tuple[Reply, ...]
