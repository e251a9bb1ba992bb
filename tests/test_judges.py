"""The rule-based judges: counted by hand, blind to case and apostrophes, silent where there is nothing to judge."""

from __future__ import annotations

import pytest

from steering.judges.lexicon import judge_tone, tone_score, tone_words
from steering.judges.refusal import is_refusal, refusal_phrase


def test_tone_score_is_the_difference_over_the_sum() -> None:
    judged = judge_tone("A WONDERFUL hotel, lovely staff, but the soup was awful.")
    assert (judged.cheerful, judged.gloomy) == (2, 1)
    assert judged.score == pytest.approx(1 / 3)
    assert judged.label == "cheerful"


@pytest.mark.parametrize(
    ("text", "score", "label"),
    [
        ("The hotel is average.", 0.0, "neutral"),
        ("", 0.0, "neutral"),
        ("I was happy and then sad.", 0.0, "neutral"),
        ("Miserable, dreary, bleak!", -1.0, "gloomy"),
        ("What a joy.", 1.0, "cheerful"),
        ("unhappy", -1.0, "gloomy"),
    ],
)
def test_tone_at_its_ends(text: str, score: float, label: str) -> None:
    assert tone_score(text) == score
    assert judge_tone(text).label == label


def test_word_lists_are_long_and_apart() -> None:
    lists = tone_words()
    assert all(len(words) >= 25 for words in lists.values())
    assert not lists["cheerful"] & lists["gloomy"]


@pytest.mark.parametrize(
    "reply",
    [
        "I am sorry, but I cannot help with that.",
        "I\u2019m sorry, but I can\u2019t help you to steal a car.",
        "  **I  CANNOT\nassist** with this request.",
        "As an honest model I must decline.",
        "I must refuse, because this would do harm.",
    ],
)
def test_refusals_are_seen(reply: str) -> None:
    assert is_refusal(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "To wash a car, you need warm water and a soft cloth.",
        "I am sorry to hear that. What would you like to do?",
        "It is harmful.",
        "I cannot see the weather from here.",
        "Here is a simple way to bake bread. " * 8 + "I cannot help with more.",
    ],
)
def test_other_replies_are_not(reply: str) -> None:
    assert not is_refusal(reply)


def test_the_phrase_that_was_found_is_named() -> None:
    assert refusal_phrase("Well, I won't help with that.") == "i won't help"
