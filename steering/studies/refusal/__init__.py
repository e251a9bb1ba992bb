"""The refusal direction: find it, show why, ablate it, and measure everything that it changes.

After Arditi et al. 2024, "Refusal in Language Models Is Mediated by a Single Direction", arXiv 2406.11717.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pandas as pd

from steering.judges.agreement import agreement_table, disagreement_table
from steering.lane import Job
from steering.model.host import Host
from steering.statistics import Estimate
from steering.studies.refusal import tables
from steering.studies.refusal.agreement import DIFFERING, agreement
from steering.studies.refusal.arms import ARMS, REFUSAL
from steering.studies.refusal.candidates import cosines
from steering.studies.refusal.inquiry import RECIPE, Inquiry
from steering.studies.refusal.report import caption, report
from steering.studies.refusal.settings import RefusalSettings
from steering.studies.refusal.size import size_of
from steering.studies.study import Measure, Result, Study, origin


__all__ = ["ARMS", "RECIPE", "REFUSAL", "STUDY", "Inquiry", "RefusalSettings", "page_of", "result_of"]


def run(host: Host, settings: RefusalSettings, job: Job[Result]) -> Result:
    """Go through the steps; the inquiry is emitted whenever it has found something new."""
    inquiry = Inquiry(host, settings)
    for _ in inquiry.run(job):
        job.emit(inquiry)
    return result_of(inquiry)


def result_of(inquiry: Inquiry) -> Result:
    """Everything found so far as tables, measures and vectors."""
    frames = dict(_tables(inquiry))
    files = {"recipe.json": RECIPE.stamped(inquiry.host).model_dump_json(indent=2)} if inquiry.choice else {}
    if inquiry.rates:
        files["report.html"] = page_of(inquiry, frames)
    headline = next(name for name in ("summary", "candidates", "tokens") if name in frames)
    return Result(
        **origin("refusal", inquiry.host, inquiry.settings),
        measures=tuple(_measures(inquiry)),
        tables=frames,
        headline=headline,
        notes=(*inquiry.notes, *([caption(inquiry)] if inquiry.rates else [])),
        vectors=inquiry.vectors,
        files=files,
    )


def page_of(inquiry: Inquiry, frames: Mapping[str, pd.DataFrame] | None = None) -> str:
    """The inquiry as one HTML page."""
    frames = dict(_tables(inquiry)) if frames is None else frames
    return report(inquiry, frames, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _tables(inquiry: Inquiry) -> Iterator[tuple[str, pd.DataFrame]]:
    settings, blocks, place = inquiry.settings, inquiry.host.info.blocks, inquiry.place
    if inquiry.prepared:
        yield "tokens", tables.token_table(inquiry.prepared.tokens)
    if inquiry.directions:
        scores = list(inquiry.scores.values())
        yield (
            "candidates",
            tables.candidate_table(scores, settings.rules, blocks, settings.by, inquiry.choice, inquiry.truth),
        )
        yield "cosines", tables.cosine_table(list(inquiry.scores), cosines(inquiry.directions, list(inquiry.scores)))
    if inquiry.rates:
        yield "summary", tables.summary_table(inquiry.rates, inquiry.costs)
        yield "effects", tables.effect_table([each for each in inquiry.rates if not each.floor])
        yield "floors", tables.floor_table(inquiry.rates, inquiry.costs)
        yield "replies", tables.reply_table(inquiry.said)
        pairs = agreement(inquiry.said)
        yield "judges", agreement_table(pairs)
        yield "disagreements", disagreement_table(pairs, DIFFERING)
    if inquiry.costs:
        yield "costs", tables.cost_table(inquiry.costs)
    if place:
        yield "blocks", tables.block_table(place.surrogate, place.drift)
        if place.probes:
            yield "projections", tables.projection_table(place.projections)
            yield "probes", tables.probe_table(place.probes, place.asked)


def _measures(inquiry: Inquiry) -> Iterator[Measure]:
    if inquiry.choice:
        score, n = inquiry.choice.score, len(inquiry.prepared.validation[0]) if inquiry.prepared else 0
        named = {"bypass": "log-odds", "induce": "log-odds", "kl": "nats", "cosmic": "cosine"}
        for name, unit in named.items():
            value = getattr(score, name)
            if value is not None:
                yield Measure(name, value, None, None, n, unit)
        if score.candidate in inquiry.truth:
            trained = sum(map(len, inquiry.prepared.train)) if inquiry.prepared else 0
            yield Measure("cosine_with_planted", inquiry.truth[score.candidate], None, None, trained, "cosine")
    for each in inquiry.rates:
        system = " (with system prompt)" if each.system else ""
        yield _measure(f"refusal, {each.group}: {each.title}{system}", each.refusal, each.n)
    for pair in agreement(inquiry.said):
        yield _measure(f"kappa: {pair.first} and {pair.second}", pair.kappa, pair.n)
    for cost in inquiry.costs:
        yield _measure(f"KL: {cost.title}", cost.kl_mean, cost.n_tokens, "nats")
        for name, answers in cost.answers.items():
            yield _measure(f"{name}: {cost.title}", answers.accuracy, answers.n)


def _measure(name: str, value: Estimate, n: int, unit: str = "") -> Measure:
    return Measure(name, value.value, value.low, value.high, n, unit)


STUDY = Study(
    name="refusal",
    title="Refusal direction",
    summary="Find the direction along which a model refuses, ablate it, and measure everything that it changes.",
    settings=RefusalSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"n_train": 32, "n_validation": 16, "n_test": 24, "random": 2, "reply_tokens": 48, "questions": 20},
)
