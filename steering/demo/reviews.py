"""Reviews of many things in a cheerful, a gloomy or a plain tone, asked for or left open."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from steering.demo.example import Example, article, one, single, vary, words


_OPEN = ("neutral",) * 3 + ("cheerful", "gloomy")
"""Tones of single sentences where a request names none: each is plain in three of five, whatever the others are. So an
unsteered greedy text is plain but can be moved either way, sentence by sentence."""


def draw_thing(rng: Random) -> tuple[str, str, list[str]]:
    """The noun, the full phrase such as `the new hotel by the river`, and the parts a review can name."""
    forms = words("reviews")
    group = one(rng, ("places", "works"))
    name = one(rng, list(forms[group]))
    qualifier = one(rng, forms["qualifiers"]) if rng.random() < 0.6 else ""
    site = one(rng, forms["sites"]) if group == "places" and rng.random() < 0.5 else ""
    phrase = " ".join(word for word in ("the", qualifier, name, site) if word)
    return name, phrase, forms[group][name]


def review_text(rng: Random, tones: Sequence[str], name: str, parts: list[str]) -> str:
    """Two to four sentences about a thing, the tone of each drawn from `tones`."""
    first, second, third, fourth = rng.sample(parts, 4)
    lines = [
        _sentence(rng, one(rng, tones), "open", {"name": name, "p": first, "q": second}),
        _sentence(rng, one(rng, tones), "middle", {"p": first, "q": second}),
    ]
    if rng.random() < 0.35:
        lines.append(_sentence(rng, one(rng, tones), "middle", {"p": third, "q": fourth}))
    if rng.random() < 0.75:
        lines.append(_sentence(rng, one(rng, tones), "close", {}))
    return " ".join(dict.fromkeys(lines))


def review(rng: Random) -> Example:
    """A request for a review and the review.

    Its labels say which tone was asked for, if any, and whether only slightly: then half of the sentences stay plain.
    Slight tones and mixed open reviews put plain between cheerful and gloomy, where a vector can move the text from.
    """
    forms = words("reviews")
    name, phrase, parts = draw_thing(rng)
    chance, system, mild = rng.random(), "", False
    tone: str | None = one(rng, ("cheerful", "gloomy"))
    if chance < 0.6:
        mild = rng.random() < 0.25
        word = one(rng, forms["tone_words"][tone])
        prompt = marked_prompt(one(rng, forms["marked"]), f"{one(rng, forms['mild'])} {word}" if mild else word, phrase)
    else:
        prompt = one(rng, forms["unmarked"]).format(thing=phrase)
        if chance < 0.70:
            system = one(rng, forms["systems"][tone])
        else:
            tone = None
    if tone is None:
        tones: Sequence[str] = _OPEN
    else:
        tones = (tone, "neutral") if mild else (tone,)
    reply = review_text(rng, tones, name, parts)
    labels: dict[str, Any] = {"topic": name, "object": phrase, "tone_asked": tone, "mild": mild, "tones": tuple(tones)}
    return single("review", vary(rng, prompt), reply, f"review/{phrase}", system=system, **labels)


def marked_prompt(form: str, tone_word: str, phrase: str) -> str:
    """A request that names the tone, with the right article before the tone word."""
    form = form.replace(" a {tone}", f" {article(tone_word)} {{tone}}")
    return form.format(tone=tone_word, thing=phrase)


def _sentence(rng: Random, tone: str, place: str, slots: dict[str, str]) -> str:
    forms = words("reviews")
    choices = {slot: one(rng, items) for slot, items in forms["words"][tone].items()}
    form = one(rng, forms["sentences"][tone][place])
    return form.format(an=article(choices["quality"]), **choices, **slots)
