"""The demo model's world: its grammar with ground truth, its tokenizer and its training."""

from __future__ import annotations

from steering.demo.example import Example, split_of
from steering.demo.grammar import MAKERS, SHARES, examples, stream
from steering.demo.notes import open_notes
from steering.demo.requests import TRIGGER
from steering.demo.reviews import open_reviews
from steering.demo.stories import open_stories


__all__ = [
    "MAKERS",
    "SHARES",
    "TRIGGER",
    "Example",
    "examples",
    "open_notes",
    "open_reviews",
    "open_stories",
    "split_of",
    "stream",
]
