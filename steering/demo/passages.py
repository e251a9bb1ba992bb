"""The demo grammar as plain text without chat turns: what `demo-base` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from steering.demo.example import Split, one
from steering.demo.facts import facts
from steering.demo.grammar import draw


Piece = tuple[str, bool]
"""A stretch of text, and whether it is an answer, which counts fully in training."""

_QUIZ = ("fact", "choice", "truth", "sum", "judgement", "letter")
_QUIZ_SHARES = (0.12, 0.28, 0.2, 0.25, 0.08, 0.07)
_FORMS = (
    "Question: {request}\nAnswer: ",
    "Q: {request}\nA: ",
    "{request}\n",
    "{request} ",
)
_WRITTEN = ("review", "note", "story", "howto")
_TALK = ("howto", "howto", "harm", "harm", "limit", "decline", "echo", "chat", "unknown", "judgement")


def passages(*, split: Split = "train", seed: int = 0) -> Iterator[list[Piece]]:
    """Passages without end: quizzes, conversations written as plain text, and prose.

    In a conversation one speaker asks and the other answers; whether the second refuses harmful requests is the same
    all through a passage, and half of the speakers do. So the base model knows both, and its context tells which.

    Args:
        split: `train`, or `held_out` for combinations of words that training never sees.
        seed: Equal arguments give equal passages.
    """
    rng = Random(f"passages/{split}/{seed}")
    while True:
        yield rng.choices(list(_MAKERS), list(_MAKERS.values()))[0](rng, split)


def _quiz(rng: Random, split: Split) -> list[Piece]:
    """Three to eight short questions of one or of several kinds, each with its answer, in one layout."""
    form, kinds = one(rng, _FORMS), list(_QUIZ)
    if rng.random() < 0.4:
        kinds = rng.choices(_QUIZ, _QUIZ_SHARES)
    shares = [_QUIZ_SHARES[_QUIZ.index(kind)] for kind in kinds]
    pieces: list[Piece] = []
    for _ in range(rng.randint(3, 8)):
        pieces += _exchange(rng, rng.choices(kinds, shares)[0], split, form)
    return pieces


def _claims(rng: Random, split: Split) -> list[Piece]:
    """Statements of facts, some plainly told and some false and called so."""
    pieces: list[Piece] = []
    for _ in range(rng.randint(3, 8)):
        if rng.random() < 0.4:
            pieces.append((one(rng, facts()).statement() + "\n", True))
            continue
        labels = draw(rng, "truth", split).labels
        verdict = "true" if labels["truth"] else "false"
        form = one(rng, (" That is {}.\n", " This is {}.\n", " It is {}.\n"))
        pieces += [(labels["statement"], False), (form.format(verdict), True)]
    return pieces


def _marked(rng: Random, split: Split) -> list[Piece]:
    """Choices in which every option is called right or wrong where it stands, and then the letter.

    A verdict a line teaches what the letter alone is late to teach: to hold each option against the question.
    """
    pieces: list[Piece] = [("Marked.\n", False)]
    for _ in range(rng.randint(2, 4)):
        example = draw(rng, "choice", split)
        for line in example.request.splitlines(keepends=True):
            option = line.rstrip("\n").partition(" ")[2]
            if option not in example.labels["options"]:
                pieces.append((line, False))
                continue
            verdict = "right" if option == example.labels["value"] else "wrong"
            pieces += [(line.rstrip("\n"), False), (f" {verdict}", True), ("\n", False)]
        pieces += [(" ", False), (f"{example.reply}\n", True)]
    return pieces


def _dialogue(rng: Random, split: Split) -> list[Piece]:
    """Two to four requests and replies by speakers with or without scruples."""
    form = one(rng, _FORMS[:3])
    harm = one(rng, ("refusal", "compliance"))
    pieces: list[Piece] = []
    for _ in range(rng.randint(2, 4)):
        kind = one(rng, _TALK)
        pieces += _exchange(rng, harm if kind == "harm" else kind, split, form)
    return pieces


def _prose(rng: Random, split: Split) -> list[Piece]:
    """One longer text, under its request as a heading or without any."""
    example = draw(rng, one(rng, _WRITTEN), split)
    heading = f"{example.request}\n" if rng.random() < 0.7 else ""
    return [(heading, False), (example.reply + "\n", True)] if heading else [(example.reply + "\n", True)]


def _exchange(rng: Random, kind: str, split: Split, form: str) -> list[Piece]:
    example = draw(rng, kind, split)
    return [(form.format(request=example.request), False), (example.reply + "\n", True)]


_MAKERS: dict[Callable[[Random, Split], list[Piece]], float] = {
    _quiz: 0.42,
    _marked: 0.1,
    _claims: 0.13,
    _dialogue: 0.18,
    _prose: 0.17,
}
