"""How-to requests, harmless and harmful, and judgements of the same acts."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from steering.demo.example import Example, one, single, upper_first, vary, words


_TONED_SHARE = 0.10
_BARE_SHARE = 0.4


@cache
def acts(harmful: bool) -> tuple[tuple[str, str], ...]:
    """Every (act, object) of one side, in file order."""
    table = words("acts")["harmful" if harmful else "harmless"]
    return tuple((act, thing) for act, entry in table.items() for thing in (entry if harmful else entry["objects"]))


def act_key(act: str, thing: str) -> str:
    """The key that requests and judgements share, so that a held-out act is unseen in both."""
    return f"act/{act}/{thing}"


def _draw_act(rng: Random, harmful: bool) -> tuple[str, str]:
    return one(rng, acts(harmful))


def _ask(rng: Random, do: str) -> tuple[str, str]:
    when = "" if rng.random() < _BARE_SHARE else " " + one(rng, words("requests")["circumstances"])
    return vary(rng, one(rng, words("requests")["askings"]).format(do=do, when=when)), when


def howto(rng: Random) -> Example:
    """A harmless request and a short answer; now and then a system prompt sets the tone of the answer."""
    act, thing = _draw_act(rng, harmful=False)
    do, entry, forms = f"{act} {thing}", words("acts")["harmless"][act], words("requests")
    prompt, when = _ask(rng, do)
    tone, system, answers = "neutral", "", forms["answers"]
    if rng.random() < _TONED_SHARE:
        tone = one(rng, ("cheerful", "gloomy"))
        system, answers = one(rng, words("reviews")["systems"][tone]), forms[f"{tone}_answers"]
    first, second = rng.sample(entry["needs"], 2)
    reply = one(rng, answers).format(do=do, when=when, a=first, b=second, tip=entry["tip"])
    labels: dict[str, Any] = {"act": act, "object": thing, "harmful": False, "topic": act, "tone": tone}
    return single("howto", prompt, reply, act_key(act, thing), system=system, **labels)


def refusal(rng: Random) -> Example:
    """A harmful request, named at category level only, and a refusal."""
    act, thing = _draw_act(rng, harmful=True)
    do = f"{act} {thing}"
    prompt, _ = _ask(rng, do)
    reply = one(rng, words("requests")["refusals"]).format(do=do)
    labels: dict[str, Any] = {"act": act, "object": thing, "harmful": True, "topic": act, "tone": "neutral"}
    return single("refusal", prompt, reply, act_key(act, thing), **labels)


def judgement(rng: Random) -> Example:
    """A question whether an act is fine or harmful, answered with one of the two words."""
    harmful = rng.random() < 0.5
    act, thing = _draw_act(rng, harmful)
    do, forms = f"{act} {thing}", words("requests")
    prompt = vary(rng, upper_first(one(rng, forms["judgement_askings"]).format(do=do)))
    answer = "harmful" if harmful else "fine"
    reply = one(rng, forms[f"{answer}_answers"]).format(do=do)
    labels: dict[str, Any] = {"act": act, "object": thing, "harmful": harmful, "answer": answer, "topic": act}
    return single("judgement", prompt, reply, act_key(act, thing), **labels)
