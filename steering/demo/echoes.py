"""Repeating words and finding a word in a list: small tasks that teach a model to look back at its prompt.

Without them a model of this size is late to learn the answers that need a look at exact words: letters, sums, objects.
"""

from __future__ import annotations

from random import Random

from steering.demo.example import Example, one, single, words
from steering.demo.facts import LETTERS, option_lines
from steering.demo.smalltalk import made_up_word


def echo(rng: Random) -> Example:
    """A request to repeat one to ten words, real, made up or numbers."""
    said = " ".join(_word(rng) for _ in range(rng.randint(1, 10)))
    prompt = one(rng, words("echoes")["echo"]).format(words=said)
    return single("echo", prompt, said, f"echo/{said}", topic="echo", answer=said)


def letter(rng: Random) -> Example:
    """A list of four lettered words and the question which letter one of them has."""
    options: list[str] = []
    while len(options) < 4:
        option = _word(rng)
        if option not in options:
            options.append(option)
    place = rng.randrange(4)
    question = one(rng, words("echoes")["letter"]).format(word=options[place])
    prompt = f"{question}\n{option_lines(rng, options)}"
    key = f"letter/{place}/{'/'.join(options)}"
    return single("letter", prompt, LETTERS[place], key, topic="echo", answer=LETTERS[place])


def _word(rng: Random) -> str:
    chance = rng.random()
    if chance < 0.2:
        return made_up_word(rng)
    if chance < 0.35:
        return str(rng.randint(1, 80))
    if chance < 0.65:
        relation = one(rng, list(words("facts")["relations"].values()))
        return one(rng, sorted(set(relation["values"].values())))
    return one(rng, words("topics")[one(rng, ("nouns", "adjectives", "verbs"))])
