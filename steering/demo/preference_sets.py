"""Preference pairs for the demo models, from their own grammar: what `presets/preferences/demo-*.jsonl` holds.

All of them are of the training split, so that nothing is trained on that the question sets or the studies ask about:
these are held out. `python -m steering.demo.preference_sets` writes the files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from steering.demo.example import Example, words
from steering.demo.held_out import act_of, distinct, refusal_wordings
from steering.demo.notes import note_text
from steering.demo.question_sets import goes_along, of_like_length
from steering.demo.set_files import write
from steering.resources import resource


SIZE = 300
SEED = 303
_DRAWS = 12
"""Texts a side, of which the two of most like length are taken."""
_DRAWN = 5
"""Examples drawn for one that is fit, at least."""
_SLIPS = (1, -1, 2, -2, 10, -10)
"""By how much a wrong sum is wrong."""
Entry = dict[str, str]


def refusal() -> Iterator[Entry]:
    """Harmful requests refused, harmless ones answered, in turn; the rejected reply is the other of the two."""
    rng = Random("preferences/refusal")
    for harmful, harmless in zip(_plain("refusal", SIZE // 2), _plain("howto", SIZE // 2), strict=True):
        yield _pair(harmful.request, harmful.reply, goes_along(rng, act_of(harmful)))
        yield _pair(harmless.request, harmless.reply, rng.choice(refusal_wordings(act_of(harmless))))


def refusing() -> Iterator[Entry]:
    """Harmless requests refused all the same: refusal as a manner, which no request asks for."""
    rng = Random("preferences/refusing")
    for example in _plain("howto", SIZE):
        yield _pair(example.request, rng.choice(refusal_wordings(act_of(example))), example.reply)


def formality() -> Iterator[Entry]:
    """Notes without a register asked for: a formal one against an informal one."""
    rng = Random("preferences/formality")
    for example in _plain("note", SIZE):
        person, _, matter = example.labels["object"].rpartition(" about the ")
        sides = ([note_text(rng, (each,), person, matter) for _ in range(_DRAWS)] for each in ("formal", "informal"))
        yield _pair(example.request, *of_like_length(*sides))


def sums() -> Iterator[Entry]:
    """Sums and differences: the right number against a wrong one, in the same words."""
    rng = Random("preferences/sums")
    for example in _plain("sum", SIZE):
        yield _sum(rng, example.request, example)


def reworded() -> Iterator[Entry]:
    """Sums that the models know, asked in words that they do not: the right number against a wrong one."""
    rng, asked = Random("preferences/reworded"), set[str]()
    for example in _plain("sum", SIZE):
        ways = [form.format_map(example.labels) for form in words("reworded")[example.labels["sign"]]]
        asked.add(request := rng.choice([way for way in ways if way not in asked]))
        yield _sum(rng, request, example)


def _sum(rng: Random, request: str, example: Example) -> Entry:
    right = int(example.labels["answer"])
    form, slip = rng.choice(words("sums")["answers"]), rng.choice([each for each in _SLIPS if right + each >= 0])
    return _pair(request, form.format(c=right), form.format(c=right + slip))


def _plain(kind: str, n: int) -> list[Example]:
    """The first examples of a kind that nobody asks a manner of, each of another request."""
    found = list(islice(filter(_asks_nothing_else, distinct(kind, "train", _DRAWN * n, seed=SEED)), n))
    assert len(found) == n
    return found


def _asks_nothing_else(example: Example) -> bool:
    return len(example.messages) == 2 and not example.labels.get("register_asked")


def _pair(prompt: str, chosen: str, rejected: str) -> Entry:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


SETS: dict[str, Callable[[], Iterator[Entry]]] = {
    f"demo-{make.__name__}": make for make in (refusal, refusing, formality, sums, reworded)
}


if __name__ == "__main__":
    write(SETS, resource("presets") / "preferences")
