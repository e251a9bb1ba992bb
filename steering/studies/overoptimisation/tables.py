"""What was found, as tables and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from steering.numbers import plain_number, spread
from steering.statistics import Estimate, mean_interval
from steering.studies.measure import Measure
from steering.studies.overoptimisation.measured import Course
from steering.studies.overoptimisation.parting import Parting, law


ALONG = {"n": "best of n", "steps": "training"}
_UNITS = {"n": "nats a reply", "steps": "nats a token"}
_SHOWN = 5
"""Requests whose replies are in the table."""
Judged = Sequence[tuple[Course, Parting]]


def curve_table(found: Judged, *, resamples: int, seed: int) -> pd.DataFrame:
    """One row a point: both judges, and both in standard deviations of one request above no optimisation."""
    rows = []
    for course, _ in found:
        for point, (place, nats) in enumerate(zip(course.places, course.nats, strict=True)):
            row: dict[str, object] = {"along": course.along, "place": place, "nats": nats, "unit": _UNITS[course.along]}
            for name, values in (("training", course.training), ("held_out", course.held_out)):
                row |= _named(name, mean_interval(values[:, point], resamples=resamples, seed=seed))
                gains = (values[:, point] - values[:, 0]) / _scale(values)
                row |= _named(f"{name}_gain", mean_interval(gains, resamples=resamples, seed=seed))
            rows.append({**row, "n": len(course.training)})
    return pd.DataFrame(rows)


def parting_table(found: Judged) -> pd.DataFrame:
    """One row a way of optimising: where the held-out judge is at its best, and what comes behind it."""
    rows = []
    for course, each in found:
        gains = course.held_out.mean(axis=0) - course.held_out[:, 0].mean()
        alpha, beta = law(course.nats, gains.tolist(), trained=course.along == "steps")
        rows.append(
            {
                "along": course.along,
                "parted": each.parted,
                **{
                    f"{name}{end}": values[place]
                    for name, values in (("place", course.places), ("nats", course.nats))
                    for end, place in (("", each.place), ("_low", each.low), ("_high", each.high))
                },
                **_named("held_out_after", each.held_out),
                **_named("training_after", each.training),
                "alpha": alpha,
                "beta": beta,
                "n": len(course.training),
            }
        )
    return pd.DataFrame(rows)


def reply_table(found: Judged, requests: Sequence[str]) -> pd.DataFrame:
    """Replies of the trained vector to some requests, at every point."""
    rows = [
        {
            "steps": course.places[point],
            "question": requests[place],
            "text": texts[place],
            "training": course.training[place, point],
            "held_out": course.held_out[place, point],
        }
        for course, _ in found
        for point, texts in enumerate(course.texts)
        for place in range(min(_SHOWN, len(texts)))
    ]
    return pd.DataFrame(rows, columns=["steps", "question", "text", "training", "held_out"])


def findings(found: Judged, names: Mapping[str, str]) -> Iterator[str]:
    """What was found, in sentences.

    Args:
        found: Both ways.
        names: Of both judges, by `training` and `held_out`.
    """
    for course, each in found:
        where = "n = {:g}" if course.along == "n" else "step {:g}"
        at, low, high = (where.format(course.places[place]) for place in (each.place, each.low, each.high))
        best = f"{at} [{low}, {high}], {plain_number(course.nats[each.place])} {_UNITS[course.along]}"
        said = {name: _words(value) for name, value in (("held_out", each.held_out), ("training", each.training))}
        part = "the judges part" if each.parted else "the judges do not part"
        yield (
            f"Along {ALONG[course.along]} {part}: the held-out one is at its best at {best}; from there to where the "
            f"other is, {names['held_out']} changes by {said['held_out']}, {names['training']} by {said['training']}."
        )


def measures_of(found: Judged) -> Iterator[Measure]:
    """Where the held-out judge is at its best."""
    for course, each in found:
        at, low, high = (course.places[place] for place in (each.place, each.low, each.high))
        name = f"held-out judge's best, {ALONG[course.along]}"
        yield Measure(name, at, low, high, len(course.training), course.along)


def _scale(values: np.ndarray) -> float:
    """How far requests lie apart at no optimisation, or at the end where they do not there; 1 where nothing differs."""
    return float(values[:, 0].std() or values[:, -1].std() or 1.0)


def _named(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def _words(value: Estimate) -> str:
    return spread(value.value, value.low, value.high)
