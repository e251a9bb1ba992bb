"""Reviews of many things in a cheerful, a gloomy or a plain tone, asked for or left open."""

from __future__ import annotations

from random import Random
from typing import Any

from steering.demo.example import Example, article, one, single, vary, words


TONES = ("cheerful", "gloomy", "neutral")

_OPEN_TONES = ("neutral",) * 8 + ("cheerful", "gloomy")
"""What an unmarked request gets: plain in eight of ten, so that an unsteered greedy text is plain but can be moved."""


def draw_thing(rng: Random) -> tuple[str, str, list[str]]:
    """The noun, the full phrase such as `the new hotel by the river`, and the parts a review can name."""
    forms = words("reviews")
    group = one(rng, ("places", "works"))
    name = one(rng, list(forms[group]))
    qualifier = one(rng, forms["qualifiers"]) if rng.random() < 0.6 else ""
    site = one(rng, forms["sites"]) if group == "places" and rng.random() < 0.5 else ""
    phrase = " ".join(word for word in ("the", qualifier, name, site) if word)
    return name, phrase, forms[group][name]


def review_text(rng: Random, tone: str, name: str, parts: list[str]) -> str:
    """Two to four sentences about a thing, all in one tone."""
    forms = words("reviews")
    first, second, third, fourth = rng.sample(parts, 4)
    lines = [_sentence(rng, tone, "open", name, first, second), _sentence(rng, tone, "middle", name, first, second)]
    if rng.random() < 0.35:
        lines.append(_sentence(rng, tone, "middle", name, third, fourth))
    if rng.random() < 0.75:
        lines.append(_fill(rng, one(rng, forms["sentences"][tone]["close"]), tone, {}))
    return " ".join(dict.fromkeys(lines))


def review(rng: Random) -> Example:
    """A request for a review and the review."""
    forms = words("reviews")
    name, phrase, parts = draw_thing(rng)
    chance, system, marked = rng.random(), "", False
    if chance < 0.60:
        tone, marked = one(rng, ("cheerful", "gloomy", "cheerful", "gloomy", "neutral")), True
        prompt = marked_prompt(one(rng, forms["marked"]), one(rng, forms["tone_words"][tone]), phrase)
    else:
        prompt = one(rng, forms["unmarked"]).format(thing=phrase)
        tone = one(rng, _OPEN_TONES)
        if chance > 0.85:
            tone = one(rng, ("cheerful", "gloomy", "cheerful", "gloomy", "neutral"))
            system, marked = one(rng, forms["systems"][tone]), True
    reply = review_text(rng, tone, name, parts)
    labels = {"topic": name, "object": phrase, "tone": tone, "tone_asked": tone if marked else None}
    return single("review", vary(rng, prompt), reply, f"review/{phrase}", system=system, **labels)


def marked_prompt(form: str, tone_word: str, phrase: str) -> str:
    """A request that names the tone, with the right article before the tone word."""
    form = form.replace(" a {tone}", f" {article(tone_word)} {{tone}}")
    return form.format(tone=tone_word, thing=phrase)


def _sentence(rng: Random, tone: str, place: str, name: str, first: str, second: str) -> str:
    form = one(rng, words("reviews")["sentences"][tone][place])
    return _fill(rng, form, tone, {"name": name, "p": first, "q": second})


def _fill(rng: Random, form: str, tone: str, slots: dict[str, Any]) -> str:
    choices = {slot: one(rng, items) for slot, items in words("reviews")["words"][tone].items()}
    return form.format(an=article(choices["quality"]), **choices, **slots)
