"""Sentiment, formality and one topic: does a vector move its judge while facts stay?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steering.contrast import ContrastSet
from steering.demo.check.bars import Measure, share
from steering.demo.check.prompts import TEST_SEED, held_out_prompts
from steering.demo.check.replies import plan_of, replies_under
from steering.demo.check.sizes import Sizes
from steering.demo.example import Example
from steering.demo.notes import open_notes
from steering.demo.reviews import open_reviews
from steering.demo.scores import answers_fact
from steering.demo.stories import open_stories
from steering.extraction.extract import extract
from steering.host import Host
from steering.judges.lexicon import judge_lexicon, judge_tone


WITHIN = (0.25, 2.0)
"""Strengths that are tried, in mean differences."""
FACTS_KEPT = 0.80
"""Facts that a strength must leave right to count."""
_LONGEST_TEXT, _LONGEST_FACT = 60, 32
"""Tokens that are judged; too much strength makes replies without end."""


@dataclass(frozen=True)
class Concept:
    """A contrast set, the open requests its vector is tried on, and the judge of their replies."""

    contrast: str
    requests: Callable[[int], list[Example]]
    """As many held-out requests as asked for, which name no side of the concept."""
    holds: Callable[[str], bool]
    """Whether a text is on the positive side."""


CONCEPTS = (
    Concept(
        "sentiment", lambda n: open_reviews(n=n, seed=TEST_SEED), lambda text: judge_tone(text).label == "cheerful"
    ),
    Concept(
        "formality",
        lambda n: open_notes(n=n, seed=TEST_SEED),
        lambda text: judge_lexicon(text, "formality").label == "formal",
    ),
    Concept(
        "sea", lambda n: open_stories(n=n, seed=TEST_SEED), lambda text: judge_lexicon(text, "topic").label == "sea"
    ),
)


def demo_concepts(host: Host, sizes: Sizes, say: Callable[[str], None]) -> dict[str, Measure]:
    """Each concept's share unsteered, and at the strength that brings out most of it while facts stay right."""
    measures: dict[str, Measure] = {}
    for concept in CONCEPTS:
        say(f"{concept.contrast} vector")
        measures |= _concept(host, concept, sizes)
    return measures


def _concept(host: Host, concept: Concept, sizes: Sizes) -> dict[str, Measure]:
    vector = extract(host, ContrastSet.load(concept.contrast))
    strengths = np.linspace(WITHIN[0], WITHIN[1], 8)[:: 8 // sizes.strengths]
    plans = [(), *(plan_of(host, vector, "add", strength=float(strength)) for strength in strengths)]
    said = replies_under(host, concept.requests(sizes.open_prompts), plans, longest=_LONGEST_TEXT)
    holds = [[concept.holds(reply.text) for reply in replies] for replies in said]
    questions = held_out_prompts("fact", sizes.facts)
    facts = [
        sum(answers_fact(example, reply) for example, reply in zip(questions, replies, strict=True)) / len(questions)
        for replies in replies_under(host, questions, plans, longest=_LONGEST_FACT)
    ]
    held = [sum(each) / len(each) for each in holds]
    best = best_strength(held[1:], facts[1:])
    at = [f"{one:.2f}: {100 * h:.0f} / {100 * f:.0f}" for one, h, f in zip([0.0, *strengths], held, facts, strict=True)]
    note = f"at block {vector.default_block}, by strength, per cent of texts / facts: {', '.join(at)}"
    if best is None:
        steered = Measure(
            0.0, len(questions), note=f"no strength leaves {100 * FACTS_KEPT:.0f} % of facts right; {note}"
        )
    else:
        steered = share(holds[best + 1], f"{strengths[best]:.2f} × mean difference {note}")
    return {f"{concept.contrast}_plain": share(holds[0]), f"{concept.contrast}_steered": steered}


def best_strength(shares: Sequence[float], facts: Sequence[float]) -> int | None:
    """Index of the highest share where facts stay right, the weakest of equals; None where they never do."""
    kept = [index for index, right in enumerate(facts) if right >= FACTS_KEPT]
    return max(kept, key=lambda index: (shares[index], -index)) if kept else None
