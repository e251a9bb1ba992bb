"""Whether replies refuse, by each judge that was asked, and how far the judges agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steering.judges.agreement import Agreement, Judges, agreement_of
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.curves import UNSTEERED
from steering.studies.tradeoff.further import sorted_reply
from steering.studies.tradeoff.items import Treatment


@dataclass(frozen=True)
class Verdict:
    """What was said of one reply."""

    method: str
    strength: float
    measure: str
    item: str
    question: str
    text: str
    content: str
    """As the rules sort it."""
    classifier: bool | None
    """Whether the classifier calls it a refusal; None where it was not asked."""
    endpoint: bool | None
    """Whether the model at an address does; None where it was not asked, or has no verdict."""


JUDGES: Judges[Verdict] = {
    "rules": lambda said: said.content == "refusal",
    "classifier": lambda said: said.classifier,
    "model at an address": lambda said: said.endpoint,
}
DIFFERING = ("method", "strength", "measure", "item", "question", "text", "content")
"""What a table shows of a reply on which two judges differ."""


def agreement(found: Comparison) -> list[Agreement[Verdict]]:
    """Every two judges on the replies on which both have a verdict; none where the rules alone judged."""
    if found.second is None and not found.settings.classifier:
        return []
    return agreement_of(list(_verdicts(found)), JUDGES)


def _verdicts(found: Comparison) -> Iterator[Verdict]:
    """Replies to what counts refusals, under every treatment but random directions."""
    for role in found.counting_refusals:
        harmful = found.asked[role].measure.axis == "alignment"
        classified = bool(found.settings.classifier) and harmful
        for method, strength, treatment in _places(found):
            for item, seen, value in found.seen(role, treatment):
                question, text = item.messages[-1].content, seen["text"]
                yield Verdict(
                    method=method,
                    strength=strength,
                    measure=role,
                    item=item.id,
                    question=question,
                    text=text,
                    content=sorted_reply(seen, question if harmful else "").content,
                    classifier=value > 0 if classified else None,
                    endpoint=found.second.known(question, text) if found.second else None,
                )


def _places(found: Comparison) -> Iterator[tuple[str, float, Treatment]]:
    """Every treatment once, the unsteered one first."""
    yield "unsteered", 0.0, UNSTEERED
    done = {UNSTEERED.key}
    for curve in found.curves.curves:
        for strength, treatment in zip(curve.strengths, curve.treatments, strict=True):
            if not curve.floor and treatment.key not in done:
                done.add(treatment.key)
                yield curve.title, strength, treatment
