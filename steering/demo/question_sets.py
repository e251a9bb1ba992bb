"""Questions and answer pairs for the demo models, from their own grammar: what `presets/questions/demo` holds.

All of them are held out: no demo model was trained on these combinations. `python -m steering.demo.question_sets`
writes the files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from random import Random
from typing import Any

from steering.demo.example import words
from steering.demo.facts import facts
from steering.demo.held_out import TEST_SEED, act_of, distinct
from steering.demo.notes import note_text, open_notes
from steering.demo.reviews import open_reviews, review_text
from steering.demo.set_files import write
from steering.resources import resource


SIZE = 200
_NOTES = 160
"""The grammar has no more people and matters that are held out."""
_DRAWS = 12
"""Texts a side, of which the two of most like length are taken."""
Entry = dict[str, Any]


def knowledge() -> Iterator[Entry]:
    """Facts by the letter A to D."""
    for example in distinct("choice", "held_out", SIZE, seed=TEST_SEED):
        yield {"question": example.request, "words": list("ABCD"), "answer": example.labels["answer"]}


def truth() -> Iterator[Entry]:
    """Statements to be called true or false."""
    for example in distinct("truth", "held_out", SIZE, seed=TEST_SEED):
        yield {"question": example.request, "words": ["True", "False"], "answer": example.labels["answer"]}


def sums() -> Iterator[Entry]:
    """Sums and differences, by the number that is generated."""
    for example in distinct("sum", "held_out", SIZE, seed=TEST_SEED):
        yield {"question": example.request, "answer": str(example.labels["answer"])}


def harmlessness() -> Iterator[Entry]:
    """Harmful requests, named at category level: a refusal against template text that goes along."""
    rng = Random("pairs/harmlessness")
    forms = words("requests")
    for example in distinct("refusal", "held_out", SIZE, seed=TEST_SEED):
        do = act_of(example)
        refusals = [form.format(do=do) for form in forms["refusals"]]
        yield _pair(example.request, *of_like_length(refusals, [goes_along(rng, do) for _ in range(_DRAWS)]))


def goes_along(rng: Random, do: str) -> str:
    """Template text that goes along with an act and says nothing of use."""
    forms = words("requests")
    first, second = rng.sample(forms["general_needs"], 2)
    tip = rng.choice(forms["general_tips"])
    return str(rng.choice(forms["compliances"]).format(do=do, a=first, b=second, tip=tip))


def honesty() -> Iterator[Entry]:
    """Open questions about facts: the true value against another value of the same relation, in the same words."""
    rng = Random("pairs/honesty")
    known = {(fact.relation, fact.subject): fact for fact in facts()}
    forms = words("facts")["wrappers"]["answers"]
    for example in distinct("fact", "held_out", SIZE, seed=TEST_SEED):
        fact = known[example.labels["relation"], example.labels["subject"]]
        phrase = words("facts")["relations"][fact.relation]["phrase"]
        form, other = rng.choice(forms), rng.choice(fact.others())
        right, wrong = (form.format(v=phrase.format(y=y), s=fact.statement(y)) for y in (fact.value, other))
        yield _pair(example.request, right, wrong)


def fairness() -> Iterator[Entry]:
    """Reviews without a tone asked for: a plain one against one that runs the thing down."""
    yield from _reviews("fairness", "neutral", "gloomy")


def sentiment() -> Iterator[Entry]:
    """Reviews without a tone asked for: a cheerful one against a gloomy one."""
    yield from _reviews("sentiment", "cheerful", "gloomy")


def formality() -> Iterator[Entry]:
    """Notes without a register asked for: a formal one against an informal one."""
    rng = Random("pairs/formality")
    for example in open_notes(n=_NOTES, seed=TEST_SEED):
        person, _, matter = example.labels["object"].rpartition(" about the ")
        yield _pair(
            example.request,
            *of_like_length(
                [note_text(rng, ("formal",), person, matter) for _ in range(_DRAWS)],
                [note_text(rng, ("informal",), person, matter) for _ in range(_DRAWS)],
            ),
        )


def _reviews(name: str, aligned: str, misaligned: str) -> Iterator[Entry]:
    rng, forms = Random(f"pairs/{name}"), words("reviews")
    for example in open_reviews(n=SIZE, seed=TEST_SEED):
        thing = example.labels["topic"]
        parts = {**forms["places"], **forms["works"]}[thing]
        yield _pair(
            example.request,
            *of_like_length(
                [review_text(rng, (aligned,), thing, parts) for _ in range(_DRAWS)],
                [review_text(rng, (misaligned,), thing, parts) for _ in range(_DRAWS)],
            ),
        )


def of_like_length(first: Sequence[str], second: Sequence[str]) -> tuple[str, str]:
    """One text of each side, so that neither is known by its length."""
    return min(product(first, second), key=lambda pair: abs(len(pair[0]) - len(pair[1])))


def _pair(question: str, aligned: str, misaligned: str) -> Entry:
    return {"question": question, "aligned": aligned, "misaligned": misaligned}


SETS: dict[str, Callable[[], Iterator[Entry]]] = {
    make.__name__: make for make in (knowledge, truth, sums, harmlessness, honesty, fairness, sentiment, formality)
}


if __name__ == "__main__":
    write(SETS, resource("presets", "questions") / "demo")
