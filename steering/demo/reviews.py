"""Reviews of many things in a cheerful, a gloomy or a plain tone, asked for or left open."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from random import Random
from typing import Any

from steering.demo.example import Example, held_out, one, single, vary, words
from steering.demo.manners import ask, text


Thing = tuple[str, str, list[str]]


def draw_thing(rng: Random) -> Thing:
    """The noun, the full phrase such as `the new hotel by the river`, and the parts a review can name."""
    forms = words("reviews")
    group = one(rng, ("places", "works"))
    name = one(rng, list(forms[group]))
    qualifier = one(rng, forms["qualifiers"]) if rng.random() < 0.6 else ""
    site = one(rng, forms["sites"]) if group == "places" and rng.random() < 0.5 else ""
    return name, _phrase(qualifier, name, site), forms[group][name]


def review_text(rng: Random, tones: Sequence[str], name: str, parts: Sequence[str]) -> str:
    """Two to four sentences about a thing, the tone of each drawn from `tones`."""
    return text(rng, words("reviews"), tones, {"name": name}, parts)


def review(rng: Random) -> Example:
    """A request for a review and the review.

    Its labels say which tone was asked for, if any, and whether only slightly: then half of the sentences stay plain.
    Slight tones and mixed open reviews put plain between cheerful and gloomy, where a vector can move the text from.
    """
    name, phrase, parts = draw_thing(rng)
    asked = ask(rng, words("reviews"), phrase)
    tones = asked.manners("neutral")
    labels: dict[str, Any] = {"tone_asked": asked.manner, "mild": asked.mild, "tones": tones}
    reply = review_text(rng, tones, name, parts)
    return _review(vary(rng, asked.prompt), reply, name, phrase, system=asked.system, **labels)


def open_reviews(*, n: int = 20, seed: int = 0) -> list[Example]:
    """Held-out requests for a review that name no tone, each about another thing, cleanly typed.

    These are what a tone vector is tested on: the model answers them plainly, and a vector must turn them.

    Args:
        n: How many.
        seed: Equal seeds give equal requests.

    Raises:
        SteeringError: More than there are.
    """
    rng, forms = Random(f"open reviews/{seed}"), words("reviews")
    found = []
    for name, phrase, parts in held_out(rng, n, _things(), lambda thing: review_key(thing[1])):
        prompt = one(rng, forms["unmarked"]).format(thing=phrase)
        reply = review_text(rng, ("neutral",), name, parts)
        found.append(_review(prompt, reply, name, phrase, tone_asked=None))
    return found


@cache
def _things() -> list[Thing]:
    forms = words("reviews")
    return [
        (name, _phrase(qualifier, name, site), parts)
        for group, sites in (("places", forms["sites"]), ("works", [""]))
        for name, parts in forms[group].items()
        for qualifier, site in product(forms["qualifiers"], sites)
    ]


def _phrase(qualifier: str, name: str, site: str) -> str:
    return " ".join(word for word in ("the", qualifier, name, site) if word)


def review_key(phrase: str) -> str:
    """The key of all reviews and slogans of one thing."""
    return f"review/{phrase}"


def _review(prompt: str, reply: str, name: str, phrase: str, *, system: str = "", **labels: Any) -> Example:
    return single("review", prompt, reply, review_key(phrase), system=system, topic=name, object=phrase, **labels)
