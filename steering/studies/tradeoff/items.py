"""What is measured and what is done: items, the treatments that they are read under, and chunks of items.

A treatment is a plan, perhaps with turns put before the conversation (a system prompt, examples), or a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steering.bounds import LARGEST_SEED
from steering.model.prompts import Message
from steering.passes.replies import DecodeSettings
from steering.store import digest
from steering.writes.interventions import Plan


CHUNK = 25
"""Items that are read before the next ones are begun: whole curves come early, and their intervals narrow."""
Kind = Literal["given", "words", "text", "own"]
Seen = dict[str, Any]
"""What was read of one item; plain numbers, lists and texts. By kind:

given: `losses`, -log-probability of every token of each given reply, nats;
words: `chances`, probability that the reply begins with each word;
text: `text`, `tokens` and `finish` of the greedy reply;
own: `losses` of the unsteered model's own reply, and `kl`, KL(unsteered || treated) at its tokens and its end, nats.
"""


@dataclass(frozen=True)
class Item:
    """One item of a measure."""

    id: str
    messages: tuple[Message, ...]
    kind: Kind
    given: tuple[str, ...] = ()
    """given: replies whose likelihood is read."""
    words: tuple[str, ...] = ()
    """words: what a reply may begin with."""
    answer: str = ""
    """The right word, number or reply, for whoever scores it."""
    longest: int = 0
    """text: the most tokens of the reply."""
    own: tuple[int, ...] = ()
    """own: token ids of the unsteered model's reply."""


@dataclass(frozen=True)
class Treatment:
    """What is done to the model and to what it reads, at one point of a chart."""

    plan: Plan
    identity: str
    """Digest of what the plan comes from: recipe and vectors, by content."""
    preface: tuple[Message, ...] = ()
    """Turns before each conversation."""
    draw: int = 0
    """Of replies: which sample, at temperature 1; the greedy one where 0."""
    best_of: int = 0
    """Of replies: the one of so many samples that is judged best (`steering.studies.tradeoff.best_of`)."""

    @property
    def key(self) -> tuple[str, tuple[Message, ...]]:
        """Equal where the same is done."""
        return self.identity, self.preface


@dataclass(frozen=True)
class Chunk:
    """Items of one kind that are read together; equal where the items are, whoever chose them."""

    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)


def chunks_of(items: Sequence[Item]) -> tuple[Chunk, ...]:
    """Items, `CHUNK` at a time."""
    return tuple(Chunk(tuple(items[start : start + CHUNK])) for start in range(0, len(items), CHUNK))


def with_preface(preface: Sequence[Message], messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation behind some turns; where both begin with a system message, the two become one."""
    if preface and messages and preface[0].role == messages[0].role == "system":
        both = Message("system", f"{preface[0].content}\n\n{messages[0].content}")
        return (both, *preface[1:], *messages[1:])
    return (*preface, *messages)


def decode_of(item: Item, treatment: Treatment) -> DecodeSettings:
    """How a reply is written: greedy, or by draws that no two items share, or alike prompts would get alike replies."""
    if not treatment.draw:
        return DecodeSettings(max_new_tokens=item.longest)
    seed = int(digest("sample", treatment.draw, item.id)[:8], 16) % LARGEST_SEED
    return DecodeSettings(max_new_tokens=item.longest, temperature=1.0, seed=seed)
