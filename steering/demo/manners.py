"""Requests that may ask for a manner, such as a tone or a register, and texts whose sentences each have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from steering.demo.example import article, one
from steering.names import upper_first


@dataclass(frozen=True)
class Asked:
    """A request and which manner it asks for."""

    prompt: str
    system: str
    """The system prompt that asks for the manner; empty where the request itself does, or nothing."""
    manner: str | None
    """One of the words' `tone_words`, or None where none is asked for."""
    mild: bool
    """Whether only slightly."""
    others: tuple[str, ...]
    """Every manner that could have been asked for."""

    def manners(self, plain: str) -> tuple[str, ...]:
        """The manners to draw sentences from, `plain` being none.

        A slight manner leaves half of the sentences plain. Where none is asked for, each sentence is plain in three of
        five whatever the others are: so an unsteered greedy text is plain, but can be moved any way.
        """
        if self.manner is None:
            return (plain,) * 3 + self.others
        return (self.manner, plain) if self.mild else (self.manner,)


def ask(rng: Random, forms: Mapping[str, Any], phrase: str) -> Asked:
    """A request for a text about `phrase`, which names a manner in six of ten, by a system prompt in one of ten.

    Args:
        rng: Source of every draw.
        forms: `marked`, `unmarked`, `mild`, and `tone_words` and `systems` by manner, as in `presets/demo/notes.yaml`.
        phrase: What is asked about, put for `{thing}`.
    """
    others = tuple(forms["tone_words"])
    chance, manner = rng.random(), one(rng, others)
    if chance < 0.6:
        mild = rng.random() < 0.25
        word = one(rng, forms["tone_words"][manner])
        word = f"{one(rng, forms['mild'])} {word}" if mild else word
        return Asked(_marked(one(rng, forms["marked"]), word, phrase), "", manner, mild, others)
    prompt = one(rng, forms["unmarked"]).format(thing=phrase)
    if chance < 0.7:
        return Asked(prompt, one(rng, forms["systems"][manner]), manner, False, others)
    return Asked(prompt, "", None, False, others)


def _marked(form: str, word: str, phrase: str) -> str:
    """The request with the right article before the manner's word."""
    return form.replace(" a {tone}", f" {article(word)} {{tone}}").format(tone=word, thing=phrase)


def text(
    rng: Random,
    forms: Mapping[str, Any],
    manners: Sequence[str],
    slots: Mapping[str, str],
    parts: Sequence[str] = (),
) -> str:
    """Two to four sentences, open, middle and close, the manner of each drawn from `manners`.

    Args:
        rng: Source of every draw.
        forms: `sentences` and `words` by manner, as in `presets/demo/notes.yaml`.
        manners: As often as they should come.
        slots: Words for every sentence.
        parts: Four or more, of which each middle sentence gets two as `{p}` and `{q}`; the first pair opens, too.
    """
    named = rng.sample(parts, 4) if parts else [""] * 4
    places = [("open", named[:2]), ("middle", named[:2])]
    if rng.random() < 0.35:
        places.append(("middle", named[2:]))
    if rng.random() < 0.75:
        places.append(("close", named[:2]))
    lines = [_sentence(rng, forms, one(rng, manners), place, {**slots, "p": p, "q": q}) for place, (p, q) in places]
    return " ".join(dict.fromkeys(lines))


def _sentence(rng: Random, forms: Mapping[str, Any], manner: str, place: str, slots: Mapping[str, str]) -> str:
    choices = {slot: one(rng, items) for slot, items in forms["words"][manner].items()}
    articles = {f"a_{slot}": f"{article(word)} {word}" for slot, word in choices.items()}
    return upper_first(one(rng, forms["sentences"][manner][place]).format(**choices, **articles, **slots))
