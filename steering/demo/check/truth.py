"""Whether a linear probe tells true statements from false ones about facts that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from steering.demo.bars import Measure
from steering.demo.check.direction import POOLINGS
from steering.demo.example import one
from steering.demo.facts import facts
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.passes.pooling import Pooling
from steering.statistics import auroc, auroc_intervals


_MOST_STEPS = 2000
_CHANCE = 0.5
"""A baseline under chance must not make the margin easier."""


def statements(seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """One true and one false statement of every fact, and half of each relation's facts to fit on.

    Returns:
        The statements, the true one of each fact first; whether each is true, (2 facts,); and whether its fact is for
        fitting, (2 facts,).
    """
    rng, texts, fitted = Random(f"truth probe/{seed}"), list[str](), list[bool]()
    for relation in sorted({fact.relation for fact in facts()}):
        of_relation = [fact for fact in facts() if fact.relation == relation]
        rng.shuffle(of_relation)
        for place, fact in enumerate(of_relation):
            texts += [fact.statement(), fact.statement(one(rng, fact.others()))]
            fitted += [place < len(of_relation) / 2] * 2
    return texts, np.arange(len(texts)) % 2 == 0, np.array(fitted)


def demo_truth(host: Host, say: Callable[[str], None]) -> dict[str, Measure]:
    """The best AUROC of a logistic probe over blocks and poolings, and how far it lies above a bag of words.

    States are read after `True or false: ...` in the chat template. Blocks and poolings are compared on the held-out
    facts themselves: the bar asks whether some block carries truth.
    """
    # These take seconds to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    say("truth of statements")
    texts, true, fitted = statements()
    prompts = [render(host, f"True or false: {text}") for text in texts]
    scores: dict[tuple[Pooling, int], np.ndarray] = {}
    for pooling in POOLINGS:
        states = read_states(host, prompts, pooling=pooling).numpy()
        for block in range(host.info.blocks):
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
            probe.fit(states[fitted, block], true[fitted])
            scores[pooling, block] = probe.decision_function(states[~fitted, block])
    found = {place: _auroc(score, true[~fitted]) for place, score in scores.items()}
    pooling, block = max(found, key=lambda place: found[place])
    low, high = auroc_intervals(*_sides(scores[pooling, block], true[~fitted]), paired=True)
    baseline = _bag_of_words(texts, true, fitted)
    best, n = found[pooling, block], int((~fitted).sum())
    return {
        "truth": Measure(best, n, float(low[0]), float(high[0]), f"block {block}, {pooling}"),
        "truth_above": Measure(best - max(baseline, _CHANCE), n, note=f"a bag of words has {baseline:.2f}"),
    }


def _bag_of_words(texts: list[str], true: np.ndarray, fitted: np.ndarray) -> float:
    # These take seconds to import.
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    counts = CountVectorizer(binary=True).fit(text for text, used in zip(texts, fitted, strict=True) if used)
    words = counts.transform(texts)
    probe = LogisticRegression(max_iter=_MOST_STEPS).fit(words[fitted], true[fitted])
    return _auroc(probe.decision_function(words[~fitted]), true[~fitted])


def _sides(scores: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scores[true][:, None], scores[~true][:, None]


def _auroc(scores: np.ndarray, true: np.ndarray) -> float:
    return float(auroc(*_sides(scores, true))[0])
