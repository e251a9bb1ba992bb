"""What was found, as tables and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from steering.numbers import counted, spread
from steering.statistics import Estimate
from steering.studies.axbench.found import Found
from steering.studies.axbench.marks import PARTS, title_of
from steering.studies.axbench.rows import FIRST, ROWS
from steering.studies.study import Measure


AGAINST = ("prompt", FIRST)
"""What every row is held against."""


def method_table(found: Found) -> pd.DataFrame:
    """One row a method, the best first: its score, what it is made of, and by how much it is ahead."""
    rows = []
    for key, scored in found.scored.items():
        row: dict[str, object] = {"method": key, "title": ROWS[key].title, **_spread("score", found.mean(key))}
        row |= {f"{part}_mark": float(np.mean([each.mean(part) for each in scored])) for part in PARTS}
        steered = any(each.row.block is not None for each in scored)
        row |= {
            "factor": float(np.median([each.factor for each in scored])) if steered else float("nan"),
            "nats": float(np.median([each.nats for each in scored])),
        }
        for other in AGAINST:
            known = other in found.scored and other != key
            value = found.ahead(key, other) if known else Estimate(*[float("nan")] * 3)
            row |= _spread(f"ahead_of_{other}", value)
        rows.append(row | {"n": len(scored), "judge": found.judge})
    return pd.DataFrame(rows).sort_values("score", ascending=False, kind="stable", ignore_index=True)


def concept_table(found: Found) -> pd.DataFrame:
    """One row a concept and method."""
    return pd.DataFrame(
        [
            {
                "concept": each.concept.name,
                "method": key,
                "score": each.score,
                **{f"{part}_mark": each.mean(part) for part in PARTS},
                "factor": each.factor if each.row.block is not None else float("nan"),
                "nats": each.nats,
                "block": float("nan") if each.row.block is None else each.row.block,
                "choosing_score": float(each.choosing[each.taken].mean()),
                "n": len(each.marks),
            }
            for key, scored in found.scored.items()
            for each in scored
        ]
    )


def factor_table(found: Found) -> pd.DataFrame:
    """One row a method and factor: the choosing half's score, over concepts."""
    rows = [
        {"method": key, "factor": factor, **_spread("score", found.at(key, place)), "n": len(scored)}
        for key, scored in found.scored.items()
        for place, factor in enumerate(scored[0].row.factors)
    ]
    return pd.DataFrame(rows)


def reply_table(found: Found) -> pd.DataFrame:
    """One row a reply of the scoring half."""
    return pd.DataFrame(
        [
            {
                "concept": each.concept.name,
                "method": key,
                "factor": each.factor,
                "question": said.instruction.text,
                "text": said.text,
                **{f"{part}_mark": getattr(marks, part) for part in PARTS},
                "score": marks.score,
            }
            for key, scored in found.scored.items()
            for each in scored
            for said, marks in zip(each.replies, each.marks, strict=True)
        ]
    )


def measures_of(found: Found) -> Iterator[Measure]:
    """The score of every row."""
    for key in found.scored:
        value = found.mean(key)
        yield Measure(f"score, {key}", value.value, value.low, value.high, len(found.concepts), "of 2")


def findings(found: Found) -> Iterator[str]:
    """What was found, in sentences."""
    yield (
        f"{title_of(found.judge)}. These are not AxBench's numbers: other judges, and "
        f"{counted(len(found.concepts), 'concept')}."
    )
    best, *others = sorted(found.scored, key=lambda key: -found.mean(key).value)
    yield f"Best: {ROWS[best].title}, {_words(found.mean(best))} of 2 ({_named(found, others)})."
    for other in AGAINST:
        if other in found.scored:
            yield from _ahead(found, other)


def _ahead(found: Found, other: str) -> Iterator[str]:
    for words, sign in (("Ahead of", 1), ("Behind", -1)):
        told = []
        for key in found.scored:
            value = found.ahead(key, other)
            if key != other and min(sign * value.low, sign * value.high) > 0:
                told.append(f"{ROWS[key].title} by {_words(Estimate(*sorted_by(value, sign)))}")
        if told:
            yield f"{words} {ROWS[other].title}, whatever concepts are drawn: {'; '.join(told)}."


def sorted_by(value: Estimate, sign: int) -> tuple[float, float, float]:
    """A difference as a size, with its interval in order."""
    low, high = sorted((sign * value.low, sign * value.high))
    return sign * value.value, low, high


def _named(found: Found, keys: Sequence[str]) -> str:
    return "; ".join(f"{ROWS[key].title} {found.mean(key).value:.2f}" for key in keys)


def _words(value: Estimate) -> str:
    return spread(value.value, value.low, value.high)


def _spread(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
