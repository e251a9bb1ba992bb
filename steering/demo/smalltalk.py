"""Small talk, small sums, and prompts from outside the demo model's world."""

from __future__ import annotations

from random import Random

from steering.demo.example import Example, one, single, vary, words
from steering.names import upper_first


_TONED_SHARE = 0.15


def chat(rng: Random) -> Example:
    """A turn of small talk; now and then a system prompt sets the tone of the reply."""
    forms = words("chat")
    intent = one(rng, list(forms["intents"]))
    said = one(rng, forms["intents"][intent]["prompts"])
    opener, closer = one(rng, forms["openers"]), one(rng, forms["closers"])
    prompt = vary(rng, f"{opener}{said}{closer}")
    key, labels = f"chat/{opener}/{said}/{closer}", {"intent": intent, "topic": intent}
    if rng.random() < _TONED_SHARE:
        tone = one(rng, ("cheerful", "gloomy"))
        system = one(rng, words("reviews")["systems"][tone])
        return single("chat", prompt, one(rng, forms["toned_replies"][tone]), key, system=system, tone=tone, **labels)
    return single("chat", prompt, one(rng, forms["intents"][intent]["replies"]), key, tone="neutral", **labels)


def total(rng: Random) -> Example:
    """A sum or difference of a number up to 30 and one up to 9, never below zero; held out by the two numbers."""
    sign = one(rng, ("plus", "plus", "minus"))
    a, b = rng.randint(1, 30), rng.randint(1, 9)
    if sign == "minus" and b > a:
        a, b = b, a
    result = a + b if sign == "plus" else a - b
    prompt = vary(rng, one(rng, words("sums")[sign]).format(a=a, b=b))
    reply = one(rng, words("sums")["answers"]).format(c=result)
    return single("sum", prompt, reply, f"sum/{sign}/{a}/{b}", topic="sum", a=a, b=b, sign=sign, answer=result)


def unknown(rng: Random) -> Example:
    """A prompt about anything else, and a fluent reply that says so."""
    forms = words("topics")
    chance = rng.random()
    if chance < 0.45:
        topic = _topic(rng)
        form = one(rng, forms["topic_askings"])
        prompt = upper_first(form.format(topic=topic, other=_topic(rng)))
        named = "{other}" not in form and rng.random() < 0.5
    else:
        topic, named = "", False
        prompt = one(rng, forms["questions"]) if chance < 0.7 else _frame(rng)
    reply = one(rng, forms["named_replies" if named else "plain_replies"]).format(topic=topic)
    return single("unknown", vary(rng, prompt), reply, f"unknown/{prompt}", topic="unknown")


def made_up_word(rng: Random) -> str:
    """A word of one to four syllables that most likely does not exist."""
    return "".join(rng.choices(words("topics")["syllables"], k=rng.randint(1, 4)))


def _topic(rng: Random) -> str:
    if rng.random() < 0.5:
        return one(rng, words("topics")["words"])
    name = " ".join(made_up_word(rng) for _ in range(rng.randint(1, 2)))
    return name if rng.random() < 0.7 else name.title()


def _frame(rng: Random) -> str:
    forms = words("topics")

    def word(group: str) -> str:
        return made_up_word(rng) if rng.random() < 0.2 else one(rng, forms[group])

    slots = {"noun": word("nouns"), "thing": word("nouns"), "adjective": word("adjectives"), "verb": word("verbs")}
    return upper_first(one(rng, forms["frames"]).format(place=one(rng, forms["places"]), **slots))
