"""Judges of text: rules that score a reply without any model."""

from __future__ import annotations

from steering.judges.lexicon import LexiconCount, ToneScore, judge_lexicon, judge_tone, tone_score
from steering.judges.refusal import is_refusal, refusal_phrase


__all__ = ["LexiconCount", "ToneScore", "is_refusal", "judge_lexicon", "judge_tone", "refusal_phrase", "tone_score"]
