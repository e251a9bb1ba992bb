"""What a reply is, how its tokens are chosen, and why it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.forms.shown import Shown
from steering.model.thoughts import Parts, split
from steering.passes.replies_shown import replies_html, replies_text, reply_line, reply_text


if TYPE_CHECKING:
    from steering.passes.rows import Row

Finish = Literal["end", "length", "context", "thought"]


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
class TokenReading:
    """One token of a reply."""

    token: str
    """By itself as text; a part of a character shows as U+FFFD."""
    piece: str
    """What it adds to the reply's text; "" where it is a special token or a later one completes its character."""
    divergence: float
    """KL(reference || this row) of the distribution that the token was taken from, nats."""
    change: float
    """log-probability of the token in this row less that in the reference, nats."""
    projection: float | None
    """Of the state at the token on the direction, in mean differences; 0 is a state with nothing along it. None without
    a vector.
    """
    unsteered: float | None
    """The same in the reference, which reads the same tokens."""
    alternatives: tuple[tuple[str, float, float], ...]
    """(token, probability in the reference, probability in this row), both before temperature: the token itself, then
    the likeliest in either.
    """


@dataclass(frozen=True, repr=False)
class Reply(Shown):
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
    readings: tuple[TokenReading, ...] = field(default=(), compare=False)
    """What was read along its tokens (`steering.vectors.token_readings.with_readings`); none where nobody did."""

    def __repr__(self) -> str:
        return reply_line(self)

    def __str__(self) -> str:
        return reply_text(self)

    def _repr_html_(self) -> str:
        return replies_html((self,))

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


class Replies(Shown, tuple[Reply, ...]):
    """The replies of a batch, in the order of its rows; a notebook shows them side by side."""

    rows: tuple[Row, ...]
    """What they answer; none where nobody said."""

    def __new__(cls, replies: Iterable[Reply], rows: Iterable[Row] = ()) -> Self:
        """Replies with the rows that they are of."""
        made = super().__new__(cls, replies)
        made.rows = tuple(rows)
        return made

    def __getnewargs__(self) -> tuple[tuple[Reply, ...], tuple[Row, ...]]:
        return tuple(self), self.rows

    def __str__(self) -> str:
        return replies_text(self, self.rows)

    def _repr_html_(self) -> str:
        return replies_html(self, self.rows)


@dataclass(frozen=True)
class Step:
    """What is known after a decoding step; the last one seen is all that a stopped job leaves, and it is complete."""

    index: int
    """0-based step."""
    replies: tuple[Reply, ...]
