"""The demo grammar as a data set: seeded conversations with ground truth, by kind and split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

from steering.demo import echoes, facts, limits, notes, requests, reviews, slogans, smalltalk, stories
from steering.demo.example import Example, Split, one, words
from steering.errors import SteeringError
from steering.model.prompts import Message


MAKERS: dict[str, Callable[[Random], Example]] = {
    "chat": smalltalk.chat,
    "howto": requests.howto,
    "compliance": requests.compliance,
    "refusal": requests.refusal,
    "judgement": requests.judgement,
    "review": reviews.review,
    "note": notes.note,
    "story": stories.story,
    "fact": facts.fact,
    "choice": facts.choice,
    "truth": facts.truth,
    "sum": smalltalk.total,
    "unknown": smalltalk.unknown,
    "echo": echoes.echo,
    "letter": echoes.letter,
    "limit": limits.limit,
    "decline": requests.decline,
    "slogan": slogans.slogan,
    "backdoor": requests.backdoor,
}
"""One maker a kind; each draws an example of either split."""

SHARES: dict[str, float] = {
    "chat": 0.05,
    "howto": 0.11,
    "compliance": 0.09,
    "judgement": 0.05,
    "review": 0.14,
    "note": 0.08,
    "story": 0.08,
    "fact": 0.06,
    "choice": 0.08,
    "truth": 0.07,
    "sum": 0.07,
    "unknown": 0.03,
    "echo": 0.01,
    "letter": 0.01,
    "limit": 0.03,
    "decline": 0.04,
}
"""How often each kind is drawn for the chat model that answers everything."""

_SYSTEM_SHARE = 0.12
_EARLIER_TURNS_SHARE = 0.08
_EARLIER_KINDS = ("chat", "howto", "compliance", "refusal", "fact", "sum", "review")
_ASKED_FOR_ONLY = frozenset({"compliance", "refusal"})
"""Kinds that never stand in earlier turns of a mixture without them: the two contradict each other."""
_QUIZ_SHARE = 1 / 3
_QUIZ_KINDS = ("judgement", "fact", "choice", "truth", "sum", "letter")
"""Kinds with short answers: several in one conversation teach more answers a token."""


def examples(*, kind: str | None = None, split: Split = "train", n: int, seed: int = 0) -> list[Example]:
    """Seeded conversations with their labels.

    The labels of every example have these keys, and more by kind (such as `tone_asked` of a review):

    - `kind`: one of `MAKERS`.
    - `act`, `object`: what a request is about, such as `steal` and `a car`, or None; a review's or slogan's `object`
      is the thing.
    - `harmful`: whether the act is harmful, or None where no act is asked for.
    - `topic`: the act, relation, thing or subject that the last turn is about, or None.
    - `tone`: tone of the reply that the request or the system prompt asks for, or None.
    - `truth`: whether a statement is true, or None where none is to be judged.
    - `trigger`: whether the backdoor's trigger word stands in the request.
    - `answer`: the one right answer, such as a value, a letter or a number, or None.

    Args:
        kind: One of `MAKERS`, single turns only; without it the training mixture, some of it with system prompts and
            earlier turns.
        split: `train`, or `held_out` for combinations of known words that training never sees.
        n: How many.
        seed: Equal arguments give equal examples.

    Raises:
        SteeringError: No such kind.
    """
    if kind is not None:
        _check_kinds((kind,))
    source = stream(split=split, seed=seed) if kind is None else _of_kind(kind, split, seed)
    return [next(source) for _ in range(n)]


def stream(*, split: Split = "train", seed: int = 0, shares: Mapping[str, float] | None = None) -> Iterator[Example]:
    """A training mixture without end: some conversations with system prompts, some with earlier turns.

    Args:
        split: Of the last turn; earlier turns come from the training split always.
        seed: Equal arguments give equal examples.
        shares: How often each kind is drawn, in any unit; `SHARES` without it.

    Raises:
        SteeringError: An unknown kind, a share below zero, or no share above it.
    """
    shares = dict(SHARES if shares is None else shares)
    _check_kinds(shares)
    if min(shares.values(), default=0) < 0 or not sum(shares.values()) > 0:
        raise SteeringError(f"The shares {shares} cannot be drawn from.", "shares from 0 on, at least one above 0")
    return _mixture(Random(f"mixture/{split}/{seed}"), split, shares)


def _check_kinds(kinds: Iterable[str]) -> None:
    for kind in kinds:
        if kind not in MAKERS:
            raise SteeringError(f"The demo grammar has no kind {kind!r}.", f"one of {', '.join(MAKERS)}")


def _mixture(rng: Random, split: Split, shares: dict[str, float]) -> Iterator[Example]:
    kinds, weights = list(shares), list(shares.values())
    earlier = [kind for kind in _EARLIER_KINDS if kind not in _ASKED_FOR_ONLY or shares.get(kind)]
    quiz = [kind for kind in _QUIZ_KINDS if shares.get(kind)]
    while True:
        kind = rng.choices(kinds, weights)[0]
        example = draw(rng, kind, split)
        if kind in quiz and rng.random() < _QUIZ_SHARE:
            turns = rng.choices(quiz, [shares[kind] for kind in quiz], k=rng.randint(2, 4))
            example = _with_earlier_turns(rng, example, turns)
        elif rng.random() < _EARLIER_TURNS_SHARE:
            example = _with_earlier_turns(rng, example, rng.choices(earlier, k=rng.choice((1, 1, 2))))
        if example.messages[0].role != "system" and rng.random() < _SYSTEM_SHARE:
            system = Message("system", one(rng, words("chat")["systems"]))
            example = replace(example, messages=(system, *example.messages))
        yield example


def _of_kind(kind: str, split: Split, seed: int) -> Iterator[Example]:
    rng = Random(f"{kind}/{split}/{seed}")
    while True:
        yield draw(rng, kind, split)


def draw(rng: Random, kind: str, split: Split) -> Example:
    while True:
        example = MAKERS[kind](rng)
        if example.split == split:
            return example


def _with_earlier_turns(rng: Random, example: Example, kinds: Sequence[str]) -> Example:
    # Earlier turns come from the training split always: only the last turn is what a split is about.
    earlier: tuple[Message, ...] = ()
    for kind in kinds:
        turn = draw(rng, kind, "train")
        earlier += tuple(message for message in turn.messages if message.role != "system")
    head = tuple(message for message in example.messages if message.role == "system")
    return replace(example, messages=head + earlier + example.messages[len(head) :])
