"""Short notes to many people in a formal, an informal or a plain register, asked for or left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from steering.demo.example import Example, one, single, split_of, upper_first, vary, words
from steering.demo.reviews import marked_prompt


_OPEN = ("plain",) * 3 + ("formal", "informal")
"""Registers of single sentences where a request names none, so that an unsteered greedy note is plain."""


def draw_matter(rng: Random) -> tuple[str, str, str]:
    """A person, what the note is about, and both as a phrase such as `my neighbour about the picnic`."""
    person, matter = one(rng, words("notes")["people"]), one(rng, list(words("notes")["matters"]))
    return person, matter, f"{person} about the {matter}"


def note_text(rng: Random, registers: Sequence[str], person: str, matter: str) -> str:
    """Two to four sentences to a person, greeting first, the register of each drawn from `registers`."""
    forms = words("notes")
    first, second, third, fourth = rng.sample(forms["matters"][matter], 4)
    slots = {"to": person.partition(" ")[2], "matter": matter}
    return passage(rng, forms, registers, slots, ({"p": first, "q": second}, {"p": third, "q": fourth}))


def note(rng: Random) -> Example:
    """A request for a note and the note.

    Its labels say which register was asked for, if any, and whether only slightly: then half of the sentences stay
    plain, as in `reviews.review`.
    """
    forms = words("notes")
    person, matter, phrase = draw_matter(rng)
    chance, system, mild = rng.random(), "", False
    register: str | None = one(rng, ("formal", "informal"))
    if chance < 0.6:
        mild = rng.random() < 0.25
        word = one(rng, forms["tone_words"][register])
        prompt = marked_prompt(one(rng, forms["marked"]), f"{one(rng, forms['mild'])} {word}" if mild else word, phrase)
    else:
        prompt = one(rng, forms["unmarked"]).format(thing=phrase)
        if chance < 0.70:
            system = one(rng, forms["systems"][register])
        else:
            register = None
    if register is None:
        registers: Sequence[str] = _OPEN
    else:
        registers = (register, "plain") if mild else (register,)
    reply = note_text(rng, registers, person, matter)
    labels = {"register_asked": register, "mild": mild, "registers": tuple(registers)}
    return _note(vary(rng, prompt), reply, matter, phrase, system=system, **labels)


def open_notes(*, n: int = 20, seed: int = 0) -> list[Example]:
    """Held-out requests for a note that name no register, each of another phrase, cleanly typed.

    Args:
        n: How many, at most 100.
        seed: Equal seeds give equal requests.
    """
    rng, found = Random(f"open notes/{seed}"), dict[str, Example]()
    while len(found) < n:
        person, matter, phrase = draw_matter(rng)
        if split_of(note_key(phrase)) == "held_out":
            prompt = one(rng, words("notes")["unmarked"]).format(thing=phrase)
            reply = note_text(rng, ("plain",), person, matter)
            found.setdefault(phrase, _note(prompt, reply, matter, phrase, register_asked=None))
    return list(found.values())


def note_key(phrase: str) -> str:
    """The key of all notes to one person about one matter."""
    return f"note/{phrase}"


def passage(
    rng: Random,
    forms: Mapping[str, Any],
    manners: Sequence[str],
    slots: Mapping[str, str],
    middles: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> str:
    """Two to four sentences, open, middle and close, the manner of each drawn from `manners`.

    Args:
        rng: Source of every draw.
        forms: `sentences` and `words` by manner, as in `presets/demo/notes.yaml`.
        manners: Registers or topics, as often as they should come.
        slots: Words for every sentence.
        middles: More words for the first and the second middle sentence.
    """
    places: list[tuple[str, Mapping[str, str]]] = [("open", {}), ("middle", middles[0])]
    if rng.random() < 0.35:
        places.append(("middle", middles[1]))
    if rng.random() < 0.75:
        places.append(("close", {}))
    lines = [_sentence(rng, forms, one(rng, manners), place, {**slots, **more}) for place, more in places]
    return " ".join(dict.fromkeys(lines))


def _sentence(rng: Random, forms: Mapping[str, Any], manner: str, place: str, slots: Mapping[str, str]) -> str:
    choices = {slot: one(rng, items) for slot, items in forms["words"][manner].items()}
    return upper_first(one(rng, forms["sentences"][manner][place]).format(**choices, **slots))


def _note(prompt: str, reply: str, matter: str, phrase: str, *, system: str = "", **labels: Any) -> Example:
    return single("note", prompt, reply, note_key(phrase), system=system, topic=matter, object=phrase, **labels)
