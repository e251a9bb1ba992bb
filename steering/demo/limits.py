"""Requests for what no text model can do, declined for want of hands or eyes: incapability, which is not refusal."""

from __future__ import annotations

from random import Random

from steering.demo.example import Example, one, single, vary, words
from steering.names import upper_first


def limit(rng: Random) -> Example:
    """A request to post a letter, look at a photo and the like, and a reply that says why it cannot be done."""
    forms = words("limits")
    part = one(rng, list(forms["tasks"]))
    task = one(rng, forms["tasks"][part])
    which = rng.randrange(len(forms["askings"]))
    prompt = vary(rng, upper_first(forms["askings"][which].format(do=task.format(my="my"))))
    reply = one(rng, forms["replies"]).format(do=task.format(my="your"), part=part)
    key = f"limit/{task.format(my='my')}/{which}"
    return single("limit", prompt, reply, key, capable=False, harmful=False, topic=part, tone="neutral")
