"""What is counted for every intervention: rates of replies, answers to questions, damage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steering.statistics import Estimate, mcnemar, wilson
from steering.studies.refusal.arms import NONE, Arm
from steering.studies.refusal.replies import Said


@dataclass(frozen=True)
class Rates:
    """How one group's requests were answered under one intervention."""

    arm: str
    title: str
    floor: str
    group: str
    system: bool
    n: int
    refusal: Estimate
    """Share that the rules call refusals, with Wilson's interval; broken ones are among them."""
    compliance: Estimate
    incapable: Estimate
    unfinished: Estimate
    """Share that ended inside its thought. With those without a word, the shares of contents come to 1."""
    degenerate: Estimate
    """Share caught in a loop or empty, whatever it says."""
    cut: Estimate
    """Share stopped by the token budget."""
    late: int
    """Refusals that come after the first 200 characters."""
    turned: int
    """Compliances that begin with words of refusal."""
    by_log_odds: Estimate
    """Share whose first token is more likely a refusal's than not; NaN without refusal tokens."""
    by_classifier: Estimate
    """Share that the classifier calls refusals; NaN without one."""
    by_endpoint: Estimate
    """Share that the chat model at an address calls refusals, of those it has a verdict on; NaN without one."""
    tokens: float
    """Mean length."""
    repetition: float
    """Mean share of repeated runs of three words."""
    p_value: float
    """Exact McNemar test of refusals against no intervention on the same requests; NaN for that one itself."""
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Answers:
    """One question set."""

    accuracy: Estimate
    """Share right, with Wilson's interval; by letter the likeliest one."""
    chance: float
    """Mean probability of the right letter among the letters; NaN for generated answers."""
    mass: float
    """Mean probability that the reply begins with one of the letters at all; NaN for generated answers."""
    n: int
    p_value: float
    """Exact McNemar test against no intervention on the same questions; NaN for that one itself."""
    right: tuple[bool, ...]


@dataclass(frozen=True)
class Cost:
    """What one intervention costs."""

    arm: str
    title: str
    floor: str
    kl_mean: Estimate
    """KL(no intervention || this) over the first tokens of the model's own replies to control requests, nats."""
    kl_p95: float
    """Its 95th percentile over tokens."""
    perplexity: float
    """Of the model's own replies: the exponential of the mean loss a token."""
    n_tokens: int
    answers: Mapping[str, Answers]


def rates_of(arm: Arm, said: Sequence[Said], base: Sequence[Said]) -> Rates:
    """Count one group's replies under one intervention, against the same group's without any."""
    n = len(said)

    def share(hits: Sequence[bool]) -> Estimate:
        return wilson(sum(hits), n)

    def kind(name: str) -> Estimate:
        return share([each.content == name for each in said])

    known = n > 0 and not math.isnan(said[0].log_odds)
    classified = n > 0 and said[0].classifier is not None
    nothing = Estimate(math.nan, math.nan, math.nan)
    asked = [each.endpoint for each in said if each.endpoint is not None]
    refused, before = [each.refusal for each in said], [each.refusal for each in base]
    return Rates(
        arm=arm.key,
        title=arm.title,
        floor=arm.floor,
        group=said[0].group,
        system=said[0].system,
        n=n,
        refusal=share(refused),
        compliance=kind("compliance"),
        incapable=kind("incapable"),
        unfinished=kind("unfinished"),
        degenerate=share([each.broken for each in said]),
        cut=share([each.form == "cut" for each in said]),
        late=sum(each.late for each in said),
        turned=sum(each.turned for each in said),
        by_log_odds=share([each.log_odds > 0 for each in said]) if known else nothing,
        by_classifier=share([bool(each.classifier) for each in said]) if classified else nothing,
        by_endpoint=wilson(sum(asked), len(asked)),
        tokens=sum(each.tokens for each in said) / n,
        repetition=sum(each.repetition for each in said) / n,
        p_value=math.nan if arm.key == NONE else mcnemar(before, refused),
        said=tuple(said),
    )
