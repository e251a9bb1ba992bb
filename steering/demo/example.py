"""One labelled conversation of the demo grammar, and the rule that keeps some combinations out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Literal, TypeVar

import yaml

from steering.errors import SteeringError
from steering.model.prompts import Message
from steering.resources import resource


Split = Literal["train", "held_out"]
T = TypeVar("T")

_HELD_OUT_ONE_IN = 8
_NO_LABELS: dict[str, Any] = {
    "act": None,
    "object": None,
    "harmful": None,
    "topic": None,
    "tone": None,
    "truth": None,
    "trigger": False,
    "answer": None,
}


@dataclass(frozen=True)
class Example:
    """A conversation that ends with the model's reply, and what is known about it."""

    messages: tuple[Message, ...]
    """System prompt if any, then user and assistant in turn; the last one is the assistant's."""
    key: str
    """The combination of words that the split is made on, such as `act/steal/a car`."""
    labels: dict[str, Any] = field(default_factory=dict)
    """Ground truth, as `steering.demo.grammar.examples` lists it."""

    @property
    def split(self) -> Split:
        """Whether the combination may be trained on; a pure function of `key`."""
        return split_of(self.key)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the reply."""
        return self.messages[:-1]

    @property
    def reply(self) -> str:
        """The reply as the grammar gives it; other wordings may be just as right."""
        return self.messages[-1].content

    @property
    def request(self) -> str:
        """The last user turn."""
        return self.messages[-2].content


def split_of(key: str) -> Split:
    """One combination in eight is held out, chosen by a hash, so that it never depends on seed or order."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return "held_out" if int.from_bytes(digest, "big") % _HELD_OUT_ONE_IN == 0 else "train"


def held_out(rng: Random, n: int, items: Sequence[T], key: Callable[[T], str]) -> list[T]:
    """A sample of the items whose keys are held out, without replacement; fewer are the beginning of more.

    Raises:
        SteeringError: More than there are.
    """
    found = [item for item in items if split_of(key(item)) == "held_out"]
    if not 0 <= n <= len(found):
        raise SteeringError(f"There are not {n} such held-out requests.", f"a number from 0 to {len(found)}")
    rng.shuffle(found)
    return found[:n]


@cache
def words(name: str) -> dict[str, Any]:
    """The word lists and templates in `presets/demo/<name>.yaml`."""
    return yaml.safe_load(resource("presets", "demo", f"{name}.yaml").read_text(encoding="utf-8"))


def one(rng: Random, items: Sequence[T]) -> T:
    """A uniform draw."""
    return items[rng.randrange(len(items))]


def article(noun: str) -> str:
    """`a` or `an`, by the first letter."""
    return "an" if noun[0].lower() in "aeiou" else "a"


def lower_first(text: str) -> str:
    """The text with a small first letter and the rest as it was."""
    return text[:1].lower() + text[1:]


def vary(rng: Random, text: str) -> str:
    """The text as careless people type it: now and then lower case, no full stop, or a greeting before it."""
    chance, bare = rng.random(), text.rstrip(".?!") or text
    if chance < 0.08:
        return text.lower()
    if chance < 0.16:
        return bare
    if chance < 0.20:
        return bare.lower()
    if chance < 0.23:
        return bare + "!"
    if chance < 0.28:
        return one(rng, ("Hello! ", "Hi, ", "Hey, ", "Good day. ", "Thanks. ", "One question. ")) + text
    if chance < 0.31:
        return text + one(rng, (" Thank you.", " Thanks!", " Please be brief.", " Keep it short."))
    return text


def single(kind: str, prompt: str, reply: str, key: str, /, *, system: str = "", **labels: Any) -> Example:
    """An example of one user turn and one reply, with a system prompt if it is not empty.

    Every label that all examples have is there: what a kind does not name is None, `trigger` False, and `tone` the tone
    that was asked for, if any.
    """
    turns = (Message("user", prompt), Message("assistant", reply))
    head = (Message("system", system),) if system else ()
    tone = labels.get("tone", labels.get("tone_asked"))
    return Example(head + turns, key, {"kind": kind, **_NO_LABELS, **labels, "tone": tone})
