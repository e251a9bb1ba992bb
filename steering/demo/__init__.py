"""The demo model's world: its grammar with ground truth, its tokenizer and its training."""

from __future__ import annotations

from steering.demo.example import Example, split_of
from steering.demo.grammar import MAKERS, examples, open_reviews, stream


__all__ = ["MAKERS", "Example", "examples", "open_reviews", "split_of", "stream"]
