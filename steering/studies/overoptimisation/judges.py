"""The two judges: one that is optimised, and one that is held out; rules, models, or what the demo grammar knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from steering.demo.example import words
from steering.demo.notes import open_notes
from steering.demo.reviews import open_reviews
from steering.demo.sentences import FILES, TextKind, sentences_of
from steering.demo.stories import open_stories
from steering.errors import SteeringError
from steering.judges.lexicon import LEXICONS, judge_lexicon, lexicon
from steering.judges.marks import NAMES, Marks, Requests, load_marks
from steering.model.host import Host
from steering.model.prompts import Message


COUNT, GRAMMAR = "count:", "grammar:"
JUDGES = (
    f"{COUNT} and a side of a word list (such as count:formal): how many of its words a reply has; {GRAMMAR} and a "
    f"manner (grammar:formal): the share of sentences that the demo grammar makes, and in that manner; {NAMES}"
)
"""What a setting says that names a judge."""
_OPEN = {"story": open_stories, "review": open_reviews, "note": open_notes}


def load_judge(host: Host, name: str) -> Marks:
    """A judge by its name.

    Raises:
        SteeringError: No such word list or manner, or as `load_marks`.
    """
    if name.startswith(COUNT):
        return partial(_counted, _list_with(name[len(COUNT) :]), name[len(COUNT) :])
    if name.startswith(GRAMMAR):
        return partial(_made, kind_of(name[len(GRAMMAR) :]), name[len(GRAMMAR) :])
    return load_marks(host, name)


def kind_of(manner: str) -> TextKind:
    """The kind of text whose sentences can have a manner.

    Raises:
        SteeringError: No such manner.
    """
    known = {each: kind for kind in FILES for each in words(FILES[kind])["sentences"]}
    if manner not in known:
        raise SteeringError(f"The demo grammar has no manner '{manner}'.", f"one of {', '.join(known)}.", "Choose one.")
    return known[manner]


def open_requests(manner: str, n: int, seed: int) -> list[tuple[Message, ...]]:
    """Held-out requests of the demo grammar for texts that could have a manner and are not asked to.

    Raises:
        SteeringError: No such manner, or fewer requests.
    """
    return [example.prompt for example in _OPEN[kind_of(manner)](n=n, seed=seed)]


def _list_with(side: str) -> str:
    for name in LEXICONS:
        if side in lexicon(name):
            return name
    sides = ", ".join(each for name in LEXICONS for each in lexicon(name))
    raise SteeringError(f"No word list has the side '{side}'.", f"one of {sides}.", "Choose one of these.")


def _counted(name: str, side: str, requests: Requests, replies: Sequence[str]) -> list[float]:
    return [float(judge_lexicon(reply, name).counts[side]) for reply in replies]


def _made(kind: TextKind, manner: str, requests: Requests, replies: Sequence[str]) -> list[float]:
    return [_share(kind, manner, reply) for reply in replies]


def _share(kind: TextKind, manner: str, reply: str) -> float:
    """Of a text's sentences, those in the manner, each once."""
    found = sentences_of(kind, reply)
    return len({each.text for each in found if manner in each.manners}) / len(found) if found else 0.0
