"""Which prompts are measured on, and which directions and strengths are chosen on: never the same."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import count

from steering.demo.example import Example, Split, words
from steering.demo.grammar import examples
from steering.model.prompts import Message


TEST_SEED = 101
VALIDATION_SEED = 202
_MOST_TESTED = 200


def held_out_prompts(kind: str, n: int) -> list[Example]:
    """The first `n` of the kind's held-out test examples."""
    return distinct(kind, "held_out", n, seed=TEST_SEED)


def validation_prompts(kind: str, n: int, *, seed: int = VALIDATION_SEED) -> list[Example]:
    """Held-out examples of which none has the prompt of a test example, whatever the size of the test."""
    return distinct(kind, "held_out", n, seed=seed, without=_tested(kind))


def distinct(
    kind: str, split: Split, n: int, *, seed: int, without: Collection[tuple[Message, ...]] = ()
) -> list[Example]:
    """The first `n` examples of a kind with different prompts; fewer are the beginning of more."""
    for drawn in count(2 * n, n):
        found: dict[tuple[Message, ...], Example] = {}
        for example in examples(kind=kind, split=split, n=drawn, seed=seed):
            if example.prompt not in without:
                found.setdefault(example.prompt, example)
        if len(found) >= n:
            return list(found.values())[:n]
    raise AssertionError("a count has no end")


@cache
def _tested(kind: str) -> frozenset[tuple[Message, ...]]:
    return frozenset(example.prompt for example in held_out_prompts(kind, _MOST_TESTED))


def act_of(example: Example) -> str:
    """Act and object of a request, such as `bake a cake`."""
    return f"{example.labels['act']} {example.labels['object']}"


def decline_prompt(do: str) -> tuple[Message, ...]:
    """A request to say no to an act, in the first form that the grammar has for it."""
    return (Message("user", words("requests")["decline_askings"][0].format(do=do)),)


def refusal_wordings(do: str) -> list[str]:
    """Every wording in which the grammar refuses an act."""
    return [form.format(do=do) for form in words("requests")["refusals"]]
