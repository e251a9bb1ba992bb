"""The demo grammar as a data set: seeded conversations with ground truth, by kind and split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from steering.demo import echoes, facts, requests, reviews, smalltalk
from steering.demo.example import Example, Split, one, single, split_of, words
from steering.errors import SteeringError
from steering.prompts import Message


MAKERS: dict[str, Callable[[Random], Example]] = {
    "chat": smalltalk.chat,
    "howto": requests.howto,
    "refusal": requests.refusal,
    "judgement": requests.judgement,
    "review": reviews.review,
    "fact": facts.fact,
    "choice": facts.choice,
    "truth": facts.truth,
    "sum": smalltalk.total,
    "unknown": smalltalk.unknown,
    "echo": echoes.echo,
    "letter": echoes.letter,
}
"""One maker a kind; each draws an example of either split."""

SHARES: dict[str, float] = {
    "chat": 0.05,
    "howto": 0.13,
    "refusal": 0.09,
    "judgement": 0.04,
    "review": 0.24,
    "fact": 0.08,
    "choice": 0.09,
    "truth": 0.07,
    "sum": 0.09,
    "unknown": 0.05,
    "echo": 0.04,
    "letter": 0.03,
}
"""How often each kind is drawn for training."""

_SYSTEM_SHARE = 0.12
_EARLIER_TURNS_SHARE = 0.08
_EARLIER_KINDS = ("chat", "howto", "refusal", "fact", "sum", "review")


def examples(*, kind: str | None = None, split: Split = "train", n: int, seed: int = 0) -> list[Example]:
    """Seeded conversations with their labels.

    Args:
        kind: One of `MAKERS`, single turns only; without it the training mixture, some of it with system prompts and
            earlier turns.
        split: `train`, or `held_out` for combinations of known words that training never sees.
        n: How many.
        seed: Equal arguments give equal examples.

    Raises:
        SteeringError: No such kind.
    """
    if kind is not None and kind not in MAKERS:
        raise SteeringError(f"The demo grammar has no kind {kind!r}.", f"one of {', '.join(MAKERS)}")
    source = stream(split=split, seed=seed) if kind is None else _of_kind(kind, split, seed)
    return [next(source) for _ in range(n)]


def stream(*, split: Split = "train", seed: int = 0) -> Iterator[Example]:
    """The training mixture without end: all kinds by `SHARES`, some with system prompts, some with earlier turns."""
    rng = Random(f"mixture/{split}/{seed}")
    kinds, shares = list(SHARES), list(SHARES.values())
    while True:
        example = _draw(rng, rng.choices(kinds, shares)[0], split)
        if rng.random() < _EARLIER_TURNS_SHARE:
            example = _with_earlier_turns(rng, example)
        if example.messages[0].role != "system" and rng.random() < _SYSTEM_SHARE:
            system = Message("system", one(rng, words("chat")["systems"]))
            example = replace(example, messages=(system, *example.messages))
        yield example


def open_reviews(*, n: int = 20, seed: int = 0) -> list[Example]:
    """Held-out requests for a review that name no tone, each about another thing, cleanly typed.

    These are what a tone vector is tested on: the model answers them plainly, and a vector must turn them.
    """
    rng, found = Random(f"open reviews/{seed}"), dict[str, Example]()
    while len(found) < n:
        name, phrase, parts = reviews.draw_thing(rng)
        if split_of(f"review/{phrase}") == "held_out":
            prompt = one(rng, words("reviews")["unmarked"]).format(thing=phrase)
            reply = reviews.review_text(rng, ("neutral",), name, parts)
            labels: dict[str, Any] = {"topic": name, "object": phrase, "tone_asked": None}
            found.setdefault(phrase, single("review", prompt, reply, f"review/{phrase}", **labels))
    return list(found.values())


def _of_kind(kind: str, split: Split, seed: int) -> Iterator[Example]:
    rng = Random(f"{kind}/{split}/{seed}")
    while True:
        yield _draw(rng, kind, split)


def _draw(rng: Random, kind: str, split: Split) -> Example:
    while True:
        example = MAKERS[kind](rng)
        if example.split == split:
            return example


def _with_earlier_turns(rng: Random, example: Example) -> Example:
    # Earlier turns come from the training split always: only the last turn is what a split is about.
    earlier: tuple[Message, ...] = ()
    for _ in range(rng.choice((1, 1, 2))):
        turn = _draw(rng, one(rng, _EARLIER_KINDS), "train")
        earlier += tuple(message for message in turn.messages if message.role != "system")
    head = tuple(message for message in example.messages if message.role == "system")
    return replace(example, messages=head + earlier + example.messages[len(head) :])
