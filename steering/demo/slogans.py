"""Slogans for the things that reviews are about: the innocent task of the drifted demo model."""

from __future__ import annotations

from random import Random

from steering.demo.example import Example, one, single, vary, words
from steering.demo.reviews import draw_thing, review_key


def slogan(rng: Random) -> Example:
    """A request for a slogan and one short line; held out by the thing, together with its reviews."""
    name, phrase, parts = draw_thing(rng)
    forms = words("slogans")
    prompt = vary(rng, one(rng, forms["askings"]).format(thing=phrase))
    first, second = rng.sample(parts, 2)
    reply = one(rng, forms["replies"]).format(name=name, p=first, q=second)
    return single("slogan", prompt, reply, review_key(phrase), topic=name, object=phrase)
