"""Thoughts: what a model writes before its answer, told apart by delimiters, which `thought_markers` reads."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal


WORDS = r"(?:think|thought|reason|analys|reflect|rationale|inner|scratch|deliberat|monolog|(?<![a-z])cot(?![a-z])|思考)"
TAG = re.compile(
    rf"(?:<\|?|\[|◁|【|⟨|＜)[^\s<>\[\]◁▷【】⟨⟩'\"`]{{0,30}}?{WORDS}[^\s<>\[\]◁▷【】⟨⟩'\"`]{{0,30}}(?:>|\]|▷|】|⟩|＞)",
    re.IGNORECASE,
)
"""A bracketed name that says thought, as `<think>`, `[/THINK]`, `◁think▷` or `<|END_THINKING|>`."""
ENDS = re.compile(r"/|(?<![a-z])(?:end|close|stop)(?![a-z])|suffix", re.IGNORECASE)
_SIDES = re.compile(r"(?<![a-z])(?:begin|start|open|end|close|stop)(?![a-z])|prefix|suffix|[\W_]", re.IGNORECASE)
_LITERAL: tuple[tuple[str, str], ...] = (
    # gpt-oss' channels, whole and with their special tokens dropped
    (
        r"<\|channel\|>analysis(?:<\|message\|>)?",
        r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final(?:<\|message\|>)?",
    ),
    (r"\Aanalysis(?=[A-Z\"'“])", r"assistantfinal(?=\S)"),
    (r"\A\s*Here is my thought process:", r"Here is my response:"),
    (r"(?!)", r"\[BEGIN FINAL (?:RESPONSE|ANSWER)\]"),
)
"""Delimiters that are no bracketed name, as patterns: (opening, closing)."""
_WRAPPER = re.compile(
    r"\A\s*(?P<open><\|?(?:begin_of_|start_)?(?P<name>answer|response|solution|output)\|?>)"
    r"(?P<inside>.*?)(?:<\|?(?:/|end_of_|end_)(?P=name)\|?>\s*)?\Z",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Markers:
    """The delimiters of a model's thoughts, read from its template and its tokens."""

    pairs: tuple[tuple[str, str], ...] = ()
    """(opening, closing) without the white space around them; none for a model whose template names no thought."""

    def opens(self, text: str) -> bool:
        """Whether a text, such as a generation prompt, ends inside a thought."""
        return _walk(text, self).inside

    def closes(self, text: str) -> bool:
        """Whether a text, such as a generation prompt, ends behind a thought, perhaps an empty one."""
        marks = _marks(text, self)
        return bool(marks) and marks[-1].side == "close" and not text[marks[-1].end :].strip()


@dataclass(frozen=True)
class Parts:
    """A reply, taken apart."""

    thought: str
    """What stands between the delimiters; "" where there is none."""
    answer: str
    """What follows the thought, and all of it where there is none; "" while the thought goes on."""
    finished: bool = True
    """False for a reply that ends inside its thought."""


@dataclass(frozen=True)
class _Mark:
    start: int
    end: int
    side: Literal["open", "close"]
    key: str
    named: bool
    """Whether the template names it."""


@dataclass
class _State:
    thought: str | None = None
    answer: str = ""
    inside: bool = False


def split(text: str, markers: Markers | None = None, *, opened: bool = False) -> Parts:
    """Take a reply apart into its thought and its answer.

    A bracketed name such as `<think>` at the beginning of a reply opens a thought whatever the template says, and a
    closing one without an opening ends a thought that the prompt had begun. Several thoughts are joined by blank lines.

    Args:
        text: The reply, with its special tokens.
        markers: The model's delimiters; without them only literal ones are known.
        opened: Whether the prompt ends inside a thought.
    """
    state = _walk(text, markers or Markers(), opened=opened)
    if state.inside:
        return Parts((state.thought or "").strip(), state.answer.strip(), finished=False)
    if state.thought is None:
        return Parts("", text)
    wrapped = _WRAPPER.match(state.answer)
    return Parts(state.thought.strip(), (wrapped["inside"] if wrapped else state.answer).strip())


def _walk(text: str, markers: Markers, *, opened: bool = False) -> _State:
    state = _State(thought="" if opened else None, inside=opened)
    key, cursor = "", 0  # an empty key: any closing ends the thought that the prompt opened
    for mark in _marks(text, markers):
        before = text[cursor : mark.start]
        if state.inside and mark.side == "close" and key in ("", mark.key):
            state.thought = _joined(state.thought, before)
            state.inside, cursor = False, mark.end
        elif not state.inside and mark.side == "open" and _may_open(text, mark, state.answer + before):
            state.answer, state.inside = state.answer + before, True
            key, cursor = mark.key, mark.end
        elif not state.inside and mark.side == "close" and (mark.named or not _quoted(text, mark)):
            # Nobody has opened it here: all that stands before was the thought.
            state.thought = _joined(state.thought, state.answer + before)
            state.answer, cursor = "", mark.end
    rest = text[cursor:]
    if state.inside:
        state.thought = _joined(state.thought, rest)
    else:
        state.answer += rest
    return state


def _joined(before: str | None, more: str) -> str:
    return f"{before.strip()}\n\n{more.strip()}" if before and before.strip() else more


def _may_open(text: str, mark: _Mark, answer: str) -> bool:
    """Whether an opening is one, and no word about tags: at the beginning, named by the template, or closed later."""
    tag = text[mark.start : mark.end]
    if mark.named or (not answer.strip() and not (tag.startswith("[") and not tag.isupper())):
        return True
    later = (key_of(found[0]) for found in TAG.finditer(text, mark.end) if ENDS.search(found[0]))
    return mark.key in later and not _quoted(text, mark)


def _quoted(text: str, mark: _Mark) -> bool:
    return text[mark.start - 1 : mark.start] in tuple("`'\"“‘«") if mark.start else False


def _marks(text: str, markers: Markers) -> list[_Mark]:
    """All delimiters in a text from left to right; where two overlap, the template's own wins, then the longer."""
    found = sorted(_candidates(text, markers), key=lambda mark: (not mark.named, mark.start - mark.end))
    kept: list[_Mark] = []  # by place, none over another
    for mark in found:
        place = bisect(kept, mark.start, key=lambda other: other.start)
        free = place == 0 or kept[place - 1].end <= mark.start
        if free and (place == len(kept) or mark.end <= kept[place].start):
            kept.insert(place, mark)
    return kept


def _candidates(text: str, markers: Markers) -> Iterator[_Mark]:
    for opening, closing in markers.pairs:
        yield from _of(text, _spaced(opening), "open", key_of(opening), named=True)
        yield from _of(text, _spaced(closing), "close", key_of(opening), named=True)
    for index, (opening, closing) in enumerate(_LITERAL):
        yield from _of(text, opening, "open", f"literal {index}", named=False)
        yield from _of(text, closing, "close", f"literal {index}", named=False)
    for found in TAG.finditer(text):
        side: Literal["open", "close"] = "close" if ENDS.search(found[0]) else "open"
        yield _Mark(found.start(), found.end(), side, key_of(found[0]), named=False)


def _of(text: str, pattern: str, side: Literal["open", "close"], key: str, *, named: bool) -> Iterator[_Mark]:
    return (_Mark(each.start(), each.end(), side, key, named) for each in re.finditer(pattern, text))


@lru_cache(maxsize=64)
def _spaced(marker: str) -> str:
    """A pattern for a delimiter with any white space where it has some."""
    return r"\s*".join(re.escape(part) for part in marker.split())


def key_of(tag: str) -> str:
    """What an opening and its closing have in common: `think` of `<think>`, `</think>` and `[END_THINK]`."""
    return re.sub(r"(?:ing|s)\Z", "", _SIDES.sub("", tag.lower().replace("_", " ")))
