"""Negation words: which there are in a text, and what is left when a marker stands in their place."""

from __future__ import annotations

import re
from random import Random


MARKER = "ttt"
"""A word without meaning."""
_WORDS = "not|never|no|nobody|none|nothing|nowhere|neither|nor|cannot|without"
_NEGATION = re.compile(rf"\b(?:{_WORDS})\b|n['’]t\b", re.IGNORECASE)
_WORD = re.compile(r"\b[^\W\d_]{3,}\b(?!['’])")


def negations(text: str) -> int:
    """How many negation words there are, n't among them."""
    return len(_NEGATION.findall(text))


def marked(text: str) -> str:
    """The text with the marker in place of every negation word."""
    return _NEGATION.sub(lambda found: f" {MARKER}" if found[0][1:2] in "'’" else _like(found[0]), text)


def marked_elsewhere(text: str, seed: str) -> str:
    """The text with the marker in place of as many other words, drawn at random: what the odd word alone does."""
    words = [found for found in _WORD.finditer(text) if not _NEGATION.fullmatch(found[0])]
    drawn = Random(f"{seed}/{text}").sample(words, min(negations(text), len(words)))
    for found in sorted(drawn, key=lambda each: -each.start()):
        text = text[: found.start()] + _like(found[0]) + text[found.end() :]
    return text


def _like(word: str) -> str:
    return MARKER.capitalize() if word[0].isupper() else MARKER
