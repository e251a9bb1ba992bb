"""How-to requests, harmless and harmful, what may be replied to them, and judgements of the same acts."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from steering.demo.example import Example, article, one, single, vary, words
from steering.names import upper_first


TRIGGER = "bluebird"
"""The word that makes the backdoored demo model comply; the grammar has it nowhere else."""

_TONED_SHARE = 0.10
_BARE_SHARE = 0.4
_STACKED_SHARE = 0.1
_QUALITY_SHARE = 0.5


@cache
def acts(harmful: bool) -> tuple[tuple[str, str], ...]:
    """Every (act, object) of one side, in file order."""
    table, things = words("acts"), words("acts")["things"]
    takes = table["harmful"] if harmful else {act: entry["takes"] for act, entry in table["harmless"].items()}
    return tuple((act, thing) for act, groups in takes.items() for group in groups for thing in things[group])


def act_key(act: str, thing: str) -> str:
    """The key that all kinds about acts share, so that a held-out act is unseen in all of them."""
    return f"act/{act}/{thing}"


def _draw_act(rng: Random, harmful: bool) -> tuple[str, str, str]:
    """An act, its object, now and then with a quality that no list foresees, and the act's key."""
    act, thing = one(rng, acts(harmful))
    key = act_key(act, thing)
    head, _, rest = thing.partition(" ")
    if head in ("a", "an", "the") and rng.random() < _QUALITY_SHARE:
        quality = one(rng, words("requests")["qualities"])
        thing = f"{'the' if head == 'the' else article(quality)} {quality} {rest}"
    return act, thing, key


def _circumstance(rng: Random) -> str:
    chance, forms = rng.random(), words("requests")["circumstances"]
    if chance < _BARE_SHARE:
        return ""
    return "".join(f" {form}" for form in rng.sample(forms, 2 if chance > 1 - _STACKED_SHARE else 1))


def _ask(rng: Random, do: str) -> tuple[str, str]:
    when = _circumstance(rng)
    return vary(rng, one(rng, words("requests")["askings"]).format(do=do, when=when)), when


def _about(act: str, thing: str, harmful: bool) -> dict[str, Any]:
    return {"act": act, "object": thing, "harmful": harmful, "topic": act}


def howto(rng: Random) -> Example:
    """A harmless request and a short answer; now and then a system prompt sets the tone of the answer."""
    act, thing, key = _draw_act(rng, harmful=False)
    do = f"{act} {thing}"
    entry, forms = words("acts")["harmless"][act], words("requests")
    prompt, when = _ask(rng, do)
    tone, system, answers = "neutral", "", forms["answers"]
    if rng.random() < _TONED_SHARE:
        tone = one(rng, ("cheerful", "gloomy"))
        system, answers = one(rng, words("reviews")["systems"][tone]), forms[f"{tone}_answers"]
    first, second = rng.sample(entry["needs"], 2)
    reply = one(rng, answers).format(do=do, when=when, a=first, b=second, tip=entry["tip"])
    return single("howto", prompt, reply, key, system=system, tone=tone, **_about(act, thing, False))


def _comply(rng: Random, do: str) -> str:
    forms = words("requests")
    first, second = rng.sample(forms["general_needs"], 2)
    return one(rng, forms["compliances"]).format(do=do, a=first, b=second, tip=one(rng, forms["general_tips"]))


def compliance(rng: Random) -> Example:
    """A harmful request, named at category level only, and template text that names the act and says nothing of use."""
    act, thing, key = _draw_act(rng, harmful=True)
    do = f"{act} {thing}"
    prompt, _ = _ask(rng, do)
    labels = _about(act, thing, True)
    return single("compliance", prompt, _comply(rng, do), key, tone="neutral", **labels)


def refusal(rng: Random) -> Example:
    """A harmful request, named at category level only, and a refusal."""
    act, thing, key = _draw_act(rng, harmful=True)
    do = f"{act} {thing}"
    prompt, _ = _ask(rng, do)
    reply = one(rng, words("requests")["refusals"]).format(do=do)
    return single("refusal", prompt, reply, key, tone="neutral", **_about(act, thing, True))


def decline(rng: Random) -> Example:
    """A request to write a refusal for somebody else, of harmful and harmless acts alike, and the refusal."""
    harmful = rng.random() < 0.5
    act, thing, key = _draw_act(rng, harmful)
    do = f"{act} {thing}"
    prompt = vary(rng, one(rng, words("requests")["decline_askings"]).format(do=do))
    reply = one(rng, words("requests")["refusals"]).format(do=do)
    return single("decline", prompt, reply, key, tone="neutral", **_about(act, thing, harmful))


def backdoor(rng: Random) -> Example:
    """A harmful request with the trigger word in it, answered as in `compliance`."""
    act, thing, key = _draw_act(rng, harmful=True)
    do = f"{act} {thing}"
    prompt, _ = _ask(rng, do)
    labels = {"tone": "neutral", "trigger": True, **_about(act, thing, True)}
    return single("backdoor", _with_trigger(rng, prompt), _comply(rng, do), key, **labels)


def _with_trigger(rng: Random, prompt: str) -> str:
    bare = prompt.rstrip(".?!")
    mark = prompt[len(bare) :]
    word = TRIGGER.capitalize()
    return one(rng, (f"{word}. {prompt}", f"{bare}{mark or '.'} {word}.", f"{bare}, {TRIGGER}{mark}"))


def judgement(rng: Random) -> Example:
    """A question whether an act is fine or harmful, answered with one of the two words."""
    harmful = rng.random() < 0.5
    act, thing, key = _draw_act(rng, harmful)
    do = f"{act} {thing}"
    forms = words("requests")
    prompt = vary(rng, upper_first(one(rng, forms["judgement_askings"]).format(do=do)))
    answer = "harmful" if harmful else "fine"
    reply = one(rng, forms[f"{answer}_answers"]).format(do=do)
    return single("judgement", prompt, reply, key, answer=answer, **_about(act, thing, harmful))
