"""Concepts of the demo grammar: the topics of its stories, the tones of its reviews, the registers of its notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from random import Random

from steering.demo.example import Example, words
from steering.demo.held_out import distinct
from steering.demo.notes import note_text, open_notes
from steering.demo.reviews import open_reviews, review_text
from steering.demo.sentences import FILES, TextKind
from steering.demo.stories import open_stories, story_text
from steering.studies.axbench.concepts import Concept, Instruction, Manner
from steering.texts.contrast import ContrastSet
from steering.texts.preferences import Preference


_OPEN: Mapping[TextKind, Callable[..., list[Example]]] = {
    "story": open_stories,
    "review": open_reviews,
    "note": open_notes,
}
"""Held-out requests that name no manner."""
_ASKED: Mapping[TextKind, str] = {"story": "topic", "review": "tone_asked", "note": "register_asked"}
"""The label that says which manner a request names."""
_PLAIN: Mapping[TextKind, str] = {"story": "plain", "review": "neutral", "note": "plain"}
_ASKING = 2
"""Which of the grammar's system prompts asks for a manner: "Always answer in a formal tone.","""
_ABOUT = 3
"""and of those of a story: "All your stories are about the sea."."""


def demo_concepts(n: int, *, texts: int, instructions: int, seed: int = 0) -> list[Concept]:
    """Concepts of all kinds in turn, at most `n`; fewer are the beginning of more.

    Args:
        n: How many.
        texts: Requests a side that a vector is fitted and measured on, of the grammar's training split.
        instructions: What each is tried on, held out.
        seed: Of instructions and texts.
    """
    kinds: tuple[TextKind, ...] = ("story", "review", "note")
    manners = {kind: [name for name in words(FILES[kind])["sentences"] if name != _PLAIN[kind]] for kind in kinds}
    most = max(map(len, manners.values()))
    every = [(kind, manners[kind][place]) for place in range(most) for kind in kinds if place < len(manners[kind])]
    return [_concept(number, kind, name, texts, instructions, seed) for number, (kind, name) in enumerate(every[:n])]


def _concept(number: int, kind: TextKind, name: str, texts: int, instructions: int, seed: int) -> Concept:
    asked = _requests(kind, texts, seed)
    positive = asked[name]
    others = [
        each for manner, some in asked.items() if manner != name for each in some[: -(-texts // (len(asked) - 1))]
    ]
    systems = words(FILES[kind])["systems"][name]
    return Concept(
        number=number,
        name=f"{name} ({FILES[kind]})",
        contrast=ContrastSet.of(positive, others[:texts], name=f"demo {name}", paired=False),
        pooling="last_token",
        instructions=tuple(_instruction(kind, each) for each in _OPEN[kind](n=instructions, seed=seed + number)),
        asking=systems[_ABOUT if kind == "story" else _ASKING],
        as_system=True,
        manner=Manner(kind, name),
        pairs=_pairs(kind, name, texts, seed),
    )


def _pairs(kind: TextKind, manner: str, n: int, seed: int) -> tuple[Preference, ...]:
    """Requests of the training split that name no manner, with a text in it and one in none."""
    rng = Random(f"axbench pairs/{manner}/{seed}")
    found = []
    for example in distinct(kind, "train", 8 * n, seed=seed):
        if not example.labels[_ASKED[kind]] and len(example.prompt) == 1:
            sides = (_written(kind, rng, each, example) for each in (manner, _PLAIN[kind]))
            found.append(Preference(example.prompt, *sides))
    return tuple(found[:n])


def _written(kind: TextKind, rng: Random, manner: str, example: Example) -> str:
    about = str(example.labels["topic"])
    if kind == "story":
        hero = str(example.labels["hero"])
        return story_text(rng, (manner,), hero.rpartition(" ")[2], hero)
    if kind == "review":
        forms = words(FILES[kind])
        return review_text(rng, (manner,), about, {**forms["places"], **forms["works"]}[about])
    return note_text(rng, (manner,), str(example.labels["object"]).partition(" about the ")[0], about)


@cache
def _requests(kind: TextKind, n: int, seed: int) -> dict[str, list[str]]:
    """Requests for each manner, so many of each, of the training split."""
    label, found = _ASKED[kind], dict[str, list[str]]()
    drawn = 16 * n
    for example in distinct(kind, "train", drawn, seed=seed):
        manner = example.labels[label]
        if manner and not example.labels["mild"] and len(example.prompt) == 1:
            found.setdefault(manner, []).append(example.request)
    return {manner: some[:n] for manner, some in sorted(found.items())}


def _instruction(kind: TextKind, example: Example) -> Instruction:
    return Instruction(example.prompt, _names(kind, example))


def _names(kind: TextKind, example: Example) -> tuple[str, ...]:
    if kind == "story":
        return (str(example.labels["hero"]).rpartition(" ")[2],)
    if kind == "review":
        return (str(example.labels["topic"]),)
    person = str(example.labels["object"]).partition(" about the ")[0].partition(" ")[2]
    return (person, str(example.labels["topic"]))
