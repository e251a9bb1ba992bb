"""How far the judges agree on the same replies, and the replies on which they do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from steering.statistics import Estimate, kappa, wilson
from steering.studies.refusal.replies import Said


def _by_log_odds(said: Said) -> bool | None:
    return None if math.isnan(said.log_odds) else said.log_odds > 0


JUDGES: Mapping[str, Callable[[Said], bool | None]] = {
    "rules": lambda said: said.refusal,
    "refusal-token log-odds": _by_log_odds,
    "classifier": lambda said: said.classifier,
    "model at an address": lambda said: said.endpoint,
}
"""What each judge says of a reply: whether it refuses, or None where it was not asked or has no verdict."""


@dataclass(frozen=True)
class Agreement:
    """How often two judges say the same of a reply."""

    first: str
    second: str
    n: int
    """Replies on which both have a verdict."""
    agree: Estimate
    kappa: Estimate
    """Cohen's kappa with its 95 % bootstrap interval over replies; NaN where both say the same of every reply."""
    differ: tuple[tuple[Said, bool], ...]
    """The replies on which they differ, and what the first says of each."""


def agreement(said: Sequence[Said]) -> list[Agreement]:
    """Every two judges on the replies on which both have a verdict."""
    return [found for one, other in combinations(JUDGES, 2) for found in _agreement(one, other, said)]


def _agreement(first: str, second: str, said: Sequence[Said]) -> Iterator[Agreement]:
    both = [(each, JUDGES[first](each), JUDGES[second](each)) for each in said]
    known = [(each, one, other) for each, one, other in both if one is not None and other is not None]
    if known:
        differ = tuple((each, one) for each, one, other in known if one != other)
        agree = wilson(len(known) - len(differ), len(known))
        verdicts = [one for _, one, _ in known], [other for *_, other in known]
        yield Agreement(first, second, len(known), agree, kappa(*verdicts), differ)
