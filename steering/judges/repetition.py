"""Whether a text is whole, empty or caught in a loop, whatever it says."""

from __future__ import annotations

import re

import numpy as np


_LEAST_WORDS = 12
_REPEATED = 0.5
_GRAM = 3
_TAIL = 48
"""Words at the end of a long text that may loop on their own,"""
_TAIL_REPEATED = 0.75
"""where so large a share of their runs of three has been said in them before."""
_SHARE = 0.2
"""A word said again and again spoils a text of which it is so large a share,"""
_MANY = 8
"""or where it is said so often running."""
_READ = 20_000
_STUTTER = re.compile(r"\b([^\W_]{1,40})(?:\W{1,8}\1\b){3,}", re.IGNORECASE)
_LONGEST_UNIT, _TIMES = 20, 6
_LETTER = re.compile(r"[^\W\d_]")
# Scripts without spaces between words: each character stands for one.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff]"
    r"|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff]+(?:'[^\W_]+)?"
)


def degenerate(text: str) -> str:
    """Why a text is no whole one; empty where it may be one.

    That is a text without a word, one that says a word four times running or repeats up to twenty characters six times
    running (so that a fifth of it is that, or sixteen times), one of at least 12 words of which more than half the runs
    of three have been said before, and one that ends so. Of a very long text its first and last 20,000 characters are
    looked at.
    """
    if len(text) > 2 * _READ:
        return degenerate(text[:_READ]) or degenerate(text[-_READ:])
    if not re.search(r"[^\W_]", text):
        return "no word"
    for found in _STUTTER.finditer(text):
        if _LETTER.search(found[1]) and _spoils(len(found[0]), len(found[1]), text):
            return f"says '{found[1]}' again and again"
    unit = _looped(text)
    if unit:
        return f"loops over '{unit}'"
    words = _words(text)
    if len(words) >= _LEAST_WORDS and _repeated(words) > _REPEATED:
        return "repeats itself"
    if len(words) >= 2 * _TAIL and _repeated(words[-_TAIL:]) > _TAIL_REPEATED:
        return "ends in a loop"
    return ""


def repetition(text: str) -> float:
    """Share of a text's runs of three words that it has said before, from 0 to 1."""
    return _repeated(_words(text))


def _looped(text: str) -> str:
    """A piece of up to 20 characters, letters among them, that is said six times running; empty where there is none."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for size in range(1, min(_LONGEST_UNIT, len(codes) // _TIMES) + 1):
        breaks = np.flatnonzero(codes[size:] != codes[:-size])
        edges = np.concatenate([[-1], breaks, [len(codes) - size]])
        runs = np.diff(edges) - 1
        place = int(runs.argmax())
        start, length = int(edges[place]) + 1, int(runs[place]) + size
        unit = text[start : start + size]
        if length >= _TIMES * size and _LETTER.search(unit) and _spoils(length, size, text):
            return unit.strip()
    return ""


def _spoils(length: int, unit: int, text: str) -> bool:
    return length >= _SHARE * len(text.strip()) or length >= 2 * _MANY * unit


def _repeated(words: list[str]) -> float:
    grams = [tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
