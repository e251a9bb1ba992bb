"""How far judges agree on the same replies, and the replies on which they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Generic, TypeVar

import pandas as pd

from steering.statistics import Estimate, kappa, wilson


T = TypeVar("T")
"""A judged reply."""
Judges = Mapping[str, Callable[[T], bool | None]]
"""By its name, what each judge says: whether it is a refusal, or None where it was not asked or has no verdict."""


@dataclass(frozen=True)
class Agreement(Generic[T]):
    """How often two judges say the same of a reply."""

    first: str
    second: str
    n: int
    """Replies on which both have a verdict."""
    agree: Estimate
    kappa: Estimate
    """Cohen's kappa with its 95 % bootstrap interval over replies; NaN where both say the same of every reply."""
    differ: tuple[tuple[T, bool], ...]
    """The replies on which they differ, and what the first says of each."""


def agreement_of(said: Sequence[T], judges: Judges[T]) -> list[Agreement[T]]:
    """Every two judges on the replies on which both have a verdict."""
    return [found for one, other in combinations(judges, 2) for found in _agreement(one, other, said, judges)]


def agreement_table(found: Sequence[Agreement[Any]]) -> pd.DataFrame:
    """One row a pair of judges."""
    return pd.DataFrame(
        [
            {"first": each.first, "second": each.second, "n": each.n}
            | _spread("agree", each.agree)
            | _spread("kappa", each.kappa)
            for each in found
        ]
    )


def disagreement_table(found: Sequence[Agreement[Any]], shown: Sequence[str]) -> pd.DataFrame:
    """One row a reply and pair of judges that differ on it, with some of the reply's fields."""
    rows = [
        {
            "first": each.first,
            "second": each.second,
            "refusal_by": each.first if refuses else each.second,
            **{name: getattr(said, name) for name in shown},
        }
        for each in found
        for said, refuses in each.differ
    ]
    return pd.DataFrame(rows, columns=["first", "second", "refusal_by", *shown])


def _agreement(first: str, second: str, said: Sequence[T], judges: Judges[T]) -> Iterator[Agreement[T]]:
    both = [(each, judges[first](each), judges[second](each)) for each in said]
    known = [(each, one, other) for each, one, other in both if one is not None and other is not None]
    if known:
        differ = tuple((each, one) for each, one, other in known if one != other)
        agree = wilson(len(known) - len(differ), len(known))
        verdicts = [one for _, one, _ in known], [other for *_, other in known]
        yield Agreement(first, second, len(known), agree, kappa(*verdicts), differ)


def _spread(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
