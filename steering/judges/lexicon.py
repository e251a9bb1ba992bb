"""Tone, formality and topic of a text by counting words of each side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Literal, cast

import yaml

from steering.errors import SteeringError
from steering.resources import resource


Tone = Literal["cheerful", "gloomy", "neutral"]

LEXICONS = ("tone", "formality", "topic")
"""The names of the word lists in `presets/judges/`."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class LexiconCount:
    """How many words of each side a text has. It knows no negation: "not happy" counts as cheerful."""

    counts: Mapping[str, int]
    """Words found by side, every side of the lexicon named."""

    @property
    def label(self) -> str:
        """The side that has most words; `neutral` where two have as many or none has any."""
        most = max(self.counts.values())
        leading = [side for side, count in self.counts.items() if count == most]
        return leading[0] if most and len(leading) == 1 else "neutral"

    def score(self, side: str) -> float:
        """Words of a side less those of all others, over all of them: from -1 to 1, and 0 where there are none.

        Raises:
            SteeringError: The lexicon has no such side.
        """
        if side not in self.counts:
            raise SteeringError(f"This count has no side {side!r}.", f"one of {', '.join(self.counts)}")
        found = sum(self.counts.values())
        return (2 * self.counts[side] - found) / found if found else 0.0


@dataclass(frozen=True)
class ToneScore:
    """What the word counts say about the tone of one text.

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
        return LexiconCount(asdict(self)).score("cheerful")

    @property
    def label(self) -> Tone:
        """The side that has more words; `neutral` on a tie."""
        return cast(Tone, LexiconCount(asdict(self)).label)


@cache
def lexicon(name: str) -> dict[str, frozenset[str]]:
    """The word lists of `presets/judges/<name>.yaml` by side.

    Raises:
        SteeringError: No such lexicon.
    """
    if name not in LEXICONS:
        raise SteeringError(f"There is no lexicon {name!r}.", f"one of {', '.join(LEXICONS)}")
    table = yaml.safe_load(resource("presets", "judges", f"{name}.yaml").read_text(encoding="utf-8"))
    return {side: frozenset(words) for side, words in table.items()}


def judge_lexicon(text: str, name: str) -> LexiconCount:
    """Count the words of each side of a lexicon in a text, without regard to case.

    Raises:
        SteeringError: No such lexicon.
    """
    lists, found = lexicon(name), _WORD.findall(text.lower())
    return LexiconCount({side: sum(word in words for word in found) for side, words in lists.items()})


def judge_tone(text: str) -> ToneScore:
    """Count the cheerful and gloomy words of a text, without regard to case."""
    return ToneScore(**judge_lexicon(text, "tone").counts)


def tone_score(text: str) -> float:
    """Cheerful minus gloomy words over both, from -1 to 1; 0 where there are none."""
    return judge_tone(text).score
