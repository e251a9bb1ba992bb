"""What the texts alone give away: a bag of words, the negation rule, and the word that a probe's verdicts follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steering.lane import look_for_stop
from steering.studies.probing.block import Scored
from steering.texts.negation import negations


NEGATION = "a negation word"
LENGTH = "length"
_FEWEST = 0.1
"""Share of statements that a word must be in, and be missing from, to count as a cue."""
_PRIOR = 2
"""Statements with either verdict that are counted in with those that have a word, so that few do not count for much."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True)
class Cue:
    """A property of texts, and how well it tells what a probe's verdicts are."""

    name: str
    agreement: float
    """Share of statements on which verdict and property agree, or disagree where that is more."""

    @property
    def says(self) -> str:
        """What a probe that follows it tells apart."""
        return "long statements from short ones" if self.name == LENGTH else f"statements with {self.name} from others"


def bag_of_words(texts: Sequence[str], harmful: np.ndarray, fold: np.ndarray) -> Scored:
    """Words and pairs of words, weighted by TF-IDF, logistic regression (C = 10), on the probes' own folds.

    Args:
        texts: Statements, (statement,).
        harmful: Boolean, (statement,).
        fold: (statement,).
    """
    # These take seconds to import.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    scores, words = np.zeros(len(texts)), np.array(texts, dtype=object)
    for each in np.unique(fold):
        look_for_stop()
        inside = fold != each
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=_WORD.pattern), LogisticRegression(C=10, max_iter=1000)
        )
        model.fit(words[inside], harmful[inside])
        scores[~inside] = model.decision_function(words[~inside])
    return Scored(scores, scores > 0)


def negation_rule(texts: Sequence[str], harmful: np.ndarray, fold: np.ndarray) -> Scored:
    """Whether there is a negation word; which way that points is taken from the training folds."""
    has = np.array([negations(text) > 0 for text in texts])
    called = np.zeros(len(texts), dtype=bool)
    for each in np.unique(fold):
        inside = fold != each
        called[~inside] = has[~inside] == ((has[inside] == harmful[inside]).mean() >= 0.5)
    return Scored(called.astype(float), called)


def cues_of(texts: Sequence[str], called: np.ndarray) -> list[Cue]:
    """What verdicts agree with most, best first: negation, length, and each word that many statements have.

    Agreement is counted on balance: the mean of the agreement among statements with the property and among those
    without it, drawn towards a half as if there were four more of each, two with either verdict. So a rare word, or a
    probe that gives one verdict, earns nothing.
    """
    lengths = np.array([len(text) for text in texts])
    marks = {NEGATION: np.array([negations(text) > 0 for text in texts]), LENGTH: lengths > np.median(lengths)}
    words = [{word.casefold() for word in _WORD.findall(text)} for text in texts]
    for word in sorted(set().union(*words)):
        marks.setdefault(f"the word '{word}'", np.array([word in each for each in words]))
    found = []
    for name, has in marks.items():
        if min(has.mean(), 1 - has.mean()) >= _FEWEST:
            agreement = (_share(called[has]) + _share(~called[~has])) / 2
            found.append(Cue(name, float(max(agreement, 1 - agreement))))
    return sorted(found, key=lambda cue: -cue.agreement)


def _share(called: np.ndarray) -> float:
    return float((called.sum() + _PRIOR) / (len(called) + 2 * _PRIOR))
