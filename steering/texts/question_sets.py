"""Sets of questions and of answer pairs as they are read: tuples that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from steering.forms.shown import Shown
from steering.texts.question_rows import Pair, Question
from steering.texts.shown import pairs_html, pairs_text, questions_html, questions_text


class Questions(Shown, tuple[Question, ...]):
    """Questions in the order of their file."""

    name: str
    """Of the set, or of its file."""

    def __new__(cls, questions: Iterable[Question], name: str = "") -> Self:
        """Questions of a set."""
        made = super().__new__(cls, questions)
        made.name = name
        return made

    def __getnewargs__(self) -> tuple[tuple[Question, ...], str]:
        return tuple(self), self.name

    def __repr__(self) -> str:
        return f"<Questions '{self.name}': {len(self):,}>"

    def __str__(self) -> str:
        return questions_text(self)

    def _repr_html_(self) -> str:
        return questions_html(self)


class Pairs(Shown, tuple[Pair, ...]):
    """Answer pairs in the order of their file."""

    name: str
    """Of the set, or of its file."""

    def __new__(cls, pairs: Iterable[Pair], name: str = "") -> Self:
        """Pairs of a set."""
        made = super().__new__(cls, pairs)
        made.name = name
        return made

    def __getnewargs__(self) -> tuple[tuple[Pair, ...], str]:
        return tuple(self), self.name

    def __repr__(self) -> str:
        return f"<Pairs '{self.name}': {len(self):,}>"

    def __str__(self) -> str:
        return pairs_text(self)

    def _repr_html_(self) -> str:
        return pairs_html(self)
