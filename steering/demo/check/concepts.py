"""Sentiment, formality and one topic: does a vector move its judge while facts stay?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steering.demo.bars import Measure, share
from steering.demo.check.replies import replies_under, single_plan
from steering.demo.check.sizes import Sizes
from steering.demo.example import Example
from steering.demo.held_out import TEST_SEED, held_out_prompts, validation_prompts
from steering.demo.notes import open_notes
from steering.demo.reviews import open_reviews
from steering.demo.scores import answers_fact
from steering.demo.stories import open_stories
from steering.extraction.extract import extract
from steering.judges.lexicon import judge_lexicon, judge_tone
from steering.model.host import Host
from steering.texts.contrast import ContrastSet
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


STRENGTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)
"""What is tried, in mean differences."""
FACTS_KEPT = 0.80
"""Facts that a strength must leave right to count."""
_LONGEST_TEXT, _LONGEST_FACT = 60, 32
"""Tokens that are judged; too much strength makes replies without end."""


@dataclass(frozen=True)
class Concept:
    """A contrast set, the open requests its vector is tried on, and the judge of their replies."""

    contrast: str
    requests: Callable[[int], list[Example]]
    """As many held-out requests as asked for, which name no side of the concept; fewer are the beginning of more."""
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
    """Each concept's share unsteered, and at the block and strength that bring out most of it while facts stay right.

    Both are chosen on other requests and questions than the shares are measured on.
    """
    measures: dict[str, Measure] = {}
    for concept in CONCEPTS:
        say(f"{concept.contrast} vector")
        measures |= _concept(host, concept, sizes)
    return measures


def _concept(host: Host, concept: Concept, sizes: Sizes) -> dict[str, Measure]:
    vector = extract(host, ContrastSet.load(concept.contrast))
    strengths = STRENGTHS[:: len(STRENGTHS) // sizes.strengths]
    tried = [(block, strength) for block in _near_default(vector) for strength in strengths]
    plans = [single_plan(host, vector, "add", blocks=(block,), strength=strength) for block, strength in tried]
    requests = concept.requests(sizes.open_prompts + sizes.validation)
    requests, validation = requests[: sizes.open_prompts], requests[sizes.open_prompts :]
    shares, facts = _held(host, concept, validation, validation_prompts("fact", sizes.validation), plans)
    chosen = best_strength(shares, facts)
    plain = share(_holding(host, concept, requests, ()))
    if chosen is None:
        note = f"no block and strength leave {100 * FACTS_KEPT:.0f} % of facts right"
        return {f"{concept.contrast}_plain": plain, f"{concept.contrast}_steered": Measure(0.0, note=note)}
    (right,) = _facts_right(host, held_out_prompts("fact", sizes.facts), [plans[chosen]])
    steered = _holding(host, concept, requests, plans[chosen]) if right >= FACTS_KEPT else [False] * len(requests)
    block, strength = tried[chosen]
    note = f"{strength:g} × mean difference at block {block}, {100 * right:.0f} % of facts right"
    return {f"{concept.contrast}_plain": plain, f"{concept.contrast}_steered": share(steered, note)}


def _near_default(vector: SteeringVector) -> list[int]:
    """The default block and its neighbours."""
    return [block for block in range(vector.n_blocks) if abs(block - vector.default_block) <= 1]


def _held(
    host: Host, concept: Concept, requests: list[Example], questions: list[Example], plans: Sequence[Plan]
) -> tuple[list[float], list[float]]:
    said = replies_under(host, requests, plans, longest=_LONGEST_TEXT)
    held = [sum(concept.holds(reply.text) for reply in replies) / len(requests) for replies in said]
    return held, _facts_right(host, questions, plans)


def _holding(host: Host, concept: Concept, requests: list[Example], plan: Plan) -> list[bool]:
    return [concept.holds(reply.text) for reply in replies_under(host, requests, [plan], longest=_LONGEST_TEXT)[0]]


def _facts_right(host: Host, questions: list[Example], plans: Sequence[Plan]) -> list[float]:
    return [
        sum(answers_fact(example, reply) for example, reply in zip(questions, replies, strict=True)) / len(questions)
        for replies in replies_under(host, questions, plans, longest=_LONGEST_FACT)
    ]


def best_strength(shares: Sequence[float], facts: Sequence[float]) -> int | None:
    """Index of the highest share where facts stay right, the first of equals; None where they never do."""
    kept = [index for index, right in enumerate(facts) if right >= FACTS_KEPT]
    return max(kept, key=lambda index: (shares[index], -index)) if kept else None
