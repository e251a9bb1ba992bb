"""Alignment against helpfulness: what steering gains and what it costs, at every strength.

After Wolf et al. 2024, "Tradeoffs Between Alignment and Helpfulness in Language Models with Steering Methods", arXiv
2401.16332.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd

from steering.judges.agreement import agreement_table, disagreement_table
from steering.lane import Job
from steering.model.host import Host
from steering.statistics import Estimate
from steering.studies.study import Measure, Result, Study, origin
from steering.studies.tradeoff import alignment, further, helpfulness, tables  # noqa: F401 - measures register themselves
from steering.studies.tradeoff.best_of import best_of_table
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.findings import caption
from steering.studies.tradeoff.picture import Picture, picture_of
from steering.studies.tradeoff.report import code, report
from steering.studies.tradeoff.settings import COMPARED, TradeoffSettings
from steering.studies.tradeoff.sizes import size_ahead, size_of
from steering.studies.tradeoff.swept import recipe_title
from steering.studies.tradeoff.verdicts import DIFFERING, agreement


__all__ = [
    "COMPARED",
    "NO_RECIPE",
    "STUDY",
    "Comparison",
    "Picture",
    "TradeoffSettings",
    "picture_of",
    "recipe_title",
    "result_of",
    "size_ahead",
    "size_of",
]


NO_RECIPE = "No recipe is written, since no strength of the first one is recommended."


def run(host: Host, settings: TradeoffSettings, job: Job[Result]) -> Result:
    """Measure everything; the comparison is emitted whenever there is more of it."""
    found = Comparison(host, settings)
    for _ in found.run(job):
        job.emit(found)
    return result_of(picture_of(found))


def result_of(picture: Picture) -> Result:
    """Everything measured so far as tables, measures and files."""
    found, frames = picture.found, dict(_tables(picture))
    files = {"reproduce.py": code(picture)}
    if picture.main is not None:
        files["report.html"] = report(picture, frames, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    if picture.recommended is not None:
        files["recipe.json"] = picture.recommended.model_dump_json(indent=2)
    return Result(
        **origin("tradeoff", found.host, found.settings),
        measures=tuple(_measures(picture)),
        tables=frames,
        headline="stop",
        notes=(*picture.notes, *_unwritten(picture), caption(found, picture.lines, picture.main)),
        vectors={name: vector for name, vector in found.curves.vectors.items() if not _random(found, name)},
        files=files,
    )


def _unwritten(picture: Picture) -> Iterator[str]:
    """Why there is no recipe among the files."""
    if picture.main is not None and picture.recommended is None:
        yield NO_RECIPE


def _tables(picture: Picture) -> Iterator[tuple[str, pd.DataFrame]]:
    lines = picture.lines
    yield "stop", tables.stop_table(picture.chosen, lines)
    yield "points", tables.point_table(lines)
    yield "slopes", tables.slope_table(lines, picture.floor)
    yield "fits", tables.fit_table(lines)
    yield "front", tables.front_table(picture.front)
    yield "items", tables.item_table(picture.found, lines)
    samples = picture.found.judged_samples()
    if len(samples):
        yield "best_of", best_of_table(samples, picture.found.settings.seed)
    judges = agreement(picture.found)
    if judges:
        yield "judges", agreement_table(judges)
        yield "disagreements", disagreement_table(judges, DIFFERING)


def _measures(picture: Picture) -> Iterator[Measure]:
    main = picture.main
    if main is None:
        return
    best, n = picture.best(main), main.points[0].n["alignment"]
    if best is not None and best.gains:
        yield _measure("recommended_strength", best.strength, n, main.curve.unit)
        yield _measure("alignment_gained", best.gained, n)
        yield _measure("helpfulness_lost", best.lost, main.points[0].n["helpfulness"])
    if "alignment" in main.slopes:
        yield _measure("alignment_slope_at_0", main.slopes["alignment"], n, f"per {main.curve.unit}")
    if picture.floor is not None:
        yield Measure("random_slope_at_0", picture.floor.slope, None, None, len(picture.floor.curves))
    for pair in agreement(picture.found):
        yield _measure(f"kappa: {pair.first} and {pair.second}", pair.kappa, pair.n)


def _measure(name: str, value: Estimate, n: int, unit: str = "") -> Measure:
    return Measure(name, value.value, value.low, value.high, n, unit)


def _random(found: Comparison, name: str) -> bool:
    return found.curves.vectors[name].provenance.method == "random"


STUDY = Study(
    name="tradeoff",
    title="Alignment against helpfulness",
    summary="What steering gains and what it costs, at every strength, beside other methods and random directions.",
    settings=TradeoffSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"strengths": "-2..2 step 0.5", "n": 25, "n_replies": 8, "random": 5, "reply_tokens": 32},
)
