"""Short notes to many people in a formal, an informal or a plain register, asked for or left open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any

from steering.demo.example import Example, held_out, one, single, vary, words
from steering.demo.manners import ask, text


def draw_matter(rng: Random) -> tuple[str, str, str]:
    """A person, what the note is about, and both as a phrase such as `my neighbour about the picnic`."""
    person, matter = one(rng, words("notes")["people"]), one(rng, list(words("notes")["matters"]))
    return person, matter, _phrase(person, matter)


def note_text(rng: Random, registers: Sequence[str], person: str, matter: str) -> str:
    """Two to four sentences to a person, greeting first, the register of each drawn from `registers`."""
    forms = words("notes")
    slots = {"to": person.partition(" ")[2], "matter": matter}
    return text(rng, forms, registers, slots, forms["matters"][matter])


def note(rng: Random) -> Example:
    """A request for a note and the note.

    Its labels say which register was asked for, if any, and whether only slightly: then half of the sentences stay
    plain, as in `reviews.review`.
    """
    person, matter, phrase = draw_matter(rng)
    asked = ask(rng, words("notes"), phrase)
    registers = asked.manners("plain")
    labels = {"register_asked": asked.manner, "mild": asked.mild, "registers": registers}
    reply = note_text(rng, registers, person, matter)
    return _note(vary(rng, asked.prompt), reply, matter, phrase, system=asked.system, **labels)


def open_notes(*, n: int = 20, seed: int = 0) -> list[Example]:
    """Held-out requests for a note that name no register, each of another phrase, cleanly typed.

    Args:
        n: How many.
        seed: Equal seeds give equal requests.

    Raises:
        SteeringError: More than there are.
    """
    rng, forms = Random(f"open notes/{seed}"), words("notes")
    matters = list(product(forms["people"], forms["matters"]))
    found = []
    for person, matter in held_out(rng, n, matters, lambda pair: note_key(_phrase(*pair))):
        prompt = one(rng, forms["unmarked"]).format(thing=_phrase(person, matter))
        reply = note_text(rng, ("plain",), person, matter)
        found.append(_note(prompt, reply, matter, _phrase(person, matter), register_asked=None))
    return found


def _phrase(person: str, matter: str) -> str:
    return f"{person} about the {matter}"


def note_key(phrase: str) -> str:
    """The key of all notes to one person about one matter."""
    return f"note/{phrase}"


def _note(prompt: str, reply: str, matter: str, phrase: str, *, system: str = "", **labels: Any) -> Example:
    return single("note", prompt, reply, note_key(phrase), system=system, topic=matter, object=phrase, **labels)
