"""Short stories about the sea, a kitchen, a garden or music, asked for or left open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any

from steering.demo.example import Example, article, held_out, one, single, vary, words
from steering.demo.manners import text


def draw_hero(rng: Random) -> tuple[str, str]:
    """The bare name and the hero with article, such as `baker` and `a quiet baker`."""
    forms = words("stories")
    name = one(rng, forms["heroes"])
    return name, _hero(name, one(rng, forms["qualifiers"]))


def story_text(rng: Random, topics: Sequence[str], name: str, hero: str) -> str:
    """Two to four sentences about a hero, the topic of each drawn from `topics`, where `plain` is none."""
    return text(rng, words("stories"), topics, {"name": name, "hero": hero})


def story_key(hero: str, topic: str | None, group: str, which: int) -> str:
    """The key of one hero, the topic that the prompt names, and the number of its form in `marked` and so on."""
    return f"story/{hero}/{topic or 'open'}/{group}-{which}"


def story(rng: Random) -> Example:
    """A request for a short story and the story.

    Its labels say which topic was asked for, by the request or a system prompt, and whether only a little: then half
    of the sentences stay plain. Where none was asked for, a sentence is plain in three of five and the others share
    one topic, so an unsteered greedy story is plain.
    """
    forms = words("stories")
    name, hero = draw_hero(rng)
    topic = one(rng, list(forms["topics"]))
    chance, system, group = rng.random(), "", "unmarked"
    if chance < 0.6:
        group = "mild" if rng.random() < 0.25 else "marked"
    elif chance < 0.70:
        system = one(rng, forms["systems"][topic])
    which = rng.randrange(len(forms[group]))
    prompt = forms[group][which].format(hero=hero, topic=one(rng, forms["topics"][topic]))
    asked = topic if group != "unmarked" or system else None
    if asked is None:
        topics: Sequence[str] = ("plain",) * 3 + (topic,) * 2
    else:
        topics = (topic, "plain") if group == "mild" else (topic,)
    # A system prompt does not enter the key: the same open request must not be trained with one and held out without.
    key = story_key(hero, None if group == "unmarked" else topic, group, which)
    labels: dict[str, Any] = {"topic": asked, "hero": hero, "mild": group == "mild", "topics": tuple(topics)}
    return single("story", vary(rng, prompt), story_text(rng, topics, name, hero), key, system=system, **labels)


def open_stories(*, n: int = 20, seed: int = 0) -> list[Example]:
    """Held-out requests for a story that name no topic, each with another prompt, cleanly typed.

    Args:
        n: How many.
        seed: Equal seeds give equal requests.

    Raises:
        SteeringError: More than there are.
    """
    rng, forms = Random(f"open stories/{seed}"), words("stories")
    wanted = list(product(forms["heroes"], forms["qualifiers"], range(len(forms["unmarked"]))))
    found = []
    for name, qualifier, which in held_out(rng, n, wanted, lambda each: _open_key(_hero(*each[:2]), each[2])):
        hero = _hero(name, qualifier)
        prompt, reply = forms["unmarked"][which].format(hero=hero), story_text(rng, ("plain",), name, hero)
        found.append(single("story", prompt, reply, _open_key(hero, which), topic=None, hero=hero))
    return found


def _hero(name: str, qualifier: str) -> str:
    full = f"{qualifier} {name}".strip()
    return f"{article(full)} {full}"


def _open_key(hero: str, which: int) -> str:
    return story_key(hero, None, "unmarked", which)
