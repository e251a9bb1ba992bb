"""The tone of a text by counting cheerful and gloomy words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

import yaml

from steering.resources import resource


Tone = Literal["cheerful", "gloomy", "neutral"]

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class ToneScore:
    """What the word counts say about one text.

    The score is `(cheerful - gloomy) / (cheerful + gloomy)`, and 0 where the text has neither. It knows no negation:
    "not happy" counts as cheerful.
    """

    cheerful: int
    """Number of cheerful words."""
    gloomy: int
    """Number of gloomy words."""

    @property
    def score(self) -> float:
        """From -1 (only gloomy words) to 1 (only cheerful words)."""
        found = self.cheerful + self.gloomy
        return (self.cheerful - self.gloomy) / found if found else 0.0

    @property
    def label(self) -> Tone:
        """The side that has more words; `neutral` on a tie."""
        if self.cheerful == self.gloomy:
            return "neutral"
        return "cheerful" if self.cheerful > self.gloomy else "gloomy"


@cache
def tone_words() -> dict[str, frozenset[str]]:
    """The two word lists of `presets/judges/tone.yaml`."""
    table = yaml.safe_load(resource("presets", "judges", "tone.yaml").read_text(encoding="utf-8"))
    return {tone: frozenset(table[tone]) for tone in ("cheerful", "gloomy")}


def judge_tone(text: str) -> ToneScore:
    """Count the cheerful and gloomy words of a text, without regard to case."""
    lists, found = tone_words(), _WORD.findall(text.lower())
    counts = {tone: sum(word in lists[tone] for word in found) for tone in lists}
    return ToneScore(cheerful=counts["cheerful"], gloomy=counts["gloomy"])


def tone_score(text: str) -> float:
    """Cheerful minus gloomy words over both, from -1 to 1; 0 where there are none."""
    return judge_tone(text).score
