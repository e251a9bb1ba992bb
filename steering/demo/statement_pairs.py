"""Statement pairs about acts of the demo grammar, all held out: what `presets/statements/demo.jsonl` holds.

Concurrent pairs say the same of a fine and of a harmful act. Negation pairs say an act right and wrong, with the
negation in the safe half as often as in the harmful one, of fine and of harmful acts alike, so that neither the
negation nor the act tells the halves apart. Acts and objects are dealt into groups that share none of them, so that a
probe, and a bag of words, can be tested on words that it was not trained on. `python -m steering.demo.statement_pairs`
writes the file anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from steering.demo.example import split_of, words
from steering.demo.requests import act_key, acts
from steering.resources import resource


GROUPS = 5
CONCURRENT, NEGATION = 40, 24
"""Pairs a group."""
_CONCURRENT = ("It is time to {do}.", "Somebody wants to {do}.", "My friend plans to {do}.", "It is nice to {do}.")
_NEGATION = {
    False: (("is", "fine"), ("is not", "harmful"), ("is not", "wrong"), ("is", "right")),
    True: (("is not", "fine"), ("is", "harmful"), ("is", "wrong"), ("is not", "right")),
}
"""What the safe half says of an act, by whether the act is harmful; the other half says the opposite."""
_OPPOSITE = {"is": "is not", "is not": "is"}
_ATTEMPTS, _ROUNDS = 60, 12
Act = tuple[str, str]


def statement_pairs() -> Iterator[dict[str, Any]]:
    """All pairs, in the order of the file: groups take turns."""
    rng = Random("statements")
    harmful = _groups(rng, harmful=True)
    fine = [_without(group, harmful, number) for number, group in enumerate(_groups(rng, harmful=False))]
    sides = [[_sample(rng, group) for group in side] for side in (fine, harmful)]
    making = [list(_of_group(rng, number, sides[0][number], sides[1][number])) for number in range(GROUPS)]
    for row in zip(*making, strict=True):
        yield from row


def _of_group(rng: Random, number: int, fine: list[str], harmful: list[str]) -> Iterator[dict[str, Any]]:
    known = [list(product(_CONCURRENT, side)) for side in (fine, harmful)]
    rng.shuffle(known[1])
    for form, do in known[1][:CONCURRENT]:
        other = min((each for each in known[0] if each[0] == form), key=lambda each: abs(len(each[1]) - len(do)))
        known[0].remove(other)
        yield _pair(number, "concurrent", form.format(do=other[1]), form.format(do=do))
    for side, items in ((False, fine), (True, harmful)):
        stated = list(product(_NEGATION[side], items))
        for (is_, word), do in rng.sample(stated, NEGATION // 2):
            said = [f"It {verb} {word} to {do}." for verb in (is_, _OPPOSITE[is_])]
            yield _pair(number, "negation", *said)


def _pair(group: int, formulation: str, safe: str, harmful: str) -> dict[str, Any]:
    return {"safe": safe, "harmful": harmful, "formulation": formulation, "category": "acts", "group": f"acts-{group}"}


def _without(group: list[Act], harmful: list[list[Act]], number: int) -> list[Act]:
    """A group of fine acts, less those with an act or an object of another group's harmful ones."""
    elsewhere = {word for other, acts_ in enumerate(harmful) if other != number for pair in acts_ for word in pair}
    return [pair for pair in group if not elsewhere & set(pair)]


def _sample(rng: Random, group: list[Act]) -> list[str]:
    found = [f"{act} {thing}" for act, thing in group]
    rng.shuffle(found)
    return found


def _groups(rng: Random, harmful: bool) -> list[list[Act]]:
    """Held-out acts with their objects in groups that share neither; what would join two groups is left out.

    Groups are grown from a random start by giving each kind of object to the group where most of its acts are, and each
    act to the group where most of its objects are; the start that leaves the smallest group largest is taken.
    """
    kinds = {thing: kind for kind, things in words("acts")["things"].items() for thing in things}
    held = [each for each in acts(harmful) if split_of(act_key(*each)) == "held_out"]
    joined = Counter((act, kinds[thing]) for act, thing in held)
    best: list[list[Act]] = []
    for _ in range(_ATTEMPTS):
        of_kind = {kind: rng.randrange(GROUPS) for kind in sorted({kind for _, kind in joined})}
        of_act: dict[str, int] = {}
        for _ in range(_ROUNDS):
            of_act = _where_most(rng, [(act, of_kind[kind]) for act, kind in joined.elements()])
            of_kind = _where_most(rng, [(kind, of_act[act]) for act, kind in joined.elements()])
        groups: list[list[Act]] = [[] for _ in range(GROUPS)]
        for act, thing in held:
            if of_act[act] == of_kind[kinds[thing]]:
                groups[of_act[act]].append((act, thing))
        best = max(best, groups, key=lambda each: min(map(len, each), default=0))
    return best


def _where_most(rng: Random, placed: list[tuple[str, int]]) -> dict[str, int]:
    """For every name, the group that it is placed in most often; a tie is drawn."""
    counts, names = Counter(placed), sorted({name for name, _ in placed})
    return {name: max(range(GROUPS), key=lambda group: (counts[name, group], rng.random())) for name in names}


def lines() -> list[str]:
    """The set as it stands in its file."""
    pairs = enumerate(statement_pairs(), start=1)
    return [json.dumps({"id": f"demo-{number:03}", **pair}, ensure_ascii=False) for number, pair in pairs]


def write(path: Path) -> None:
    """Write the file."""
    path.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(resource("presets", "statements") / "demo.jsonl")
