"""Judges of text: rules that score a reply without any model."""

from __future__ import annotations

from steering.judges.lexicon import LexiconCount, ToneScore, judge_lexicon, judge_tone, tone_score
from steering.judges.refusal import is_refusal, refusal_phrase
from steering.judges.repetition import degenerate
from steering.judges.sorting import Sorted, sort_reply


__all__ = [
    "LexiconCount",
    "Sorted",
    "ToneScore",
    "degenerate",
    "is_refusal",
    "judge_lexicon",
    "judge_tone",
    "refusal_phrase",
    "sort_reply",
    "tone_score",
]
