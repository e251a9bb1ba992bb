"""Concepts x instructions x factors: every way to a concept on one scale, in the manner of AxBench.

After Wu et al. 2025, "AxBench: Steering LLMs? Even Simple Baselines Outperform Sparse Autoencoders", arXiv 2501.17148.
The protocol is theirs: what is asked names no concept, replies are sampled, a judge marks concept, instruction and
fluency from 0 to 2, the score is the harmonic mean, half of the instructions choose the factor of each concept and the
other half score it. The judges are local, and said in every title: these are not the published numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import render
from steering.recipes.nats import PERCENTILE, calibration_prompts, divergences, own_replies
from steering.store import Kept, kept_in
from steering.studies.axbench.chat_judge import ChatJudge, judge_at, judge_beside
from steering.studies.axbench.concepts import Concept, Instruction
from steering.studies.axbench.found import Found, Scored
from steering.studies.axbench.grammar_judge import GrammarJudge
from steering.studies.axbench.judging import Judge
from steering.studies.axbench.marks import PARTS, chosen, halves
from steering.studies.axbench.reading import BATCH, Asked, Writer
from steering.studies.axbench.rows import ROWS, Making, Row
from steering.studies.axbench.settings import AxBenchSettings
from steering.studies.axbench.tables import (
    concept_table,
    factor_table,
    findings,
    measures_of,
    method_table,
    reply_table,
)
from steering.studies.axbench.words_judge import WordsJudge
from steering.studies.size import Size, Work
from steering.studies.study import Result, Study
from steering.training.losses import LOSSES
from steering.writes.interventions import Plan


_FIXED = ("none", "prompt")
"""Rows that have no factor."""
_MEASURED = 20
"""Own replies on which KL is read."""


def run(host: Host, settings: AxBenchSettings, job: Job[Result]) -> Result:
    """Make every row of every concept, choose its factor on one half of the instructions, and score it on the other."""
    host = host.under(settings.chat)
    _ = settings.sweep  # said at once
    kept = kept_in(settings.kept)
    concepts = settings.concepts_on(host)
    if len(concepts) < 2:
        raise SteeringError("There is one concept.", "two at least: intervals resample concepts.", "Add concepts.")
    writer = Writer(host, kept, tokens=settings.reply_tokens, temperature=settings.temperature, seed=settings.seed)
    judge = _judge(host, settings, writer, concepts, kept)
    made, notes = _rows(host, settings, concepts, job)
    scored: dict[str, list[Scored]] = {key: [] for key in made[0]}
    for number, (concept, rows) in enumerate(zip(concepts, made, strict=True), start=1):
        for each in _scored(job, host, concept, rows, writer, judge, f"{concept.name} ({number} of {len(concepts)})"):
            scored[each.row.key].append(each)
    found = Found(judge.title, concepts, scored, settings.resamples, settings.seed)
    return Result.of(
        "axbench",
        host,
        settings,
        measures=measures_of(found),
        tables={
            "methods": method_table(found),
            "concepts": concept_table(found),
            "factors": factor_table(found),
            "replies": reply_table(found),
        },
        notes=(*findings(found), *notes, *_unmarked(judge), *chat_notes(host)),
    )


def _judge(host: Host, settings: AxBenchSettings, writer: Writer, concepts: Sequence[Concept], kept: Kept) -> Judge:
    if settings.judge.strip():
        return judge_beside(host, settings.judge.strip(), kept)
    if settings.judge_url.strip():
        return judge_at(settings, kept, _calls(settings, len(concepts)), settings.reply_tokens)
    return GrammarJudge() if concepts[0].manner else WordsJudge(host, writer, concepts)


def _unmarked(judge: Judge) -> Sequence[str]:
    if not isinstance(judge, ChatJudge) or not judge.missing:
        return ()
    return (f"{judge.missing} answers of the judge gave no mark, and count as 0.",)


def _rows(
    host: Host, settings: AxBenchSettings, concepts: Sequence[Concept], job: Job[Any]
) -> tuple[list[dict[str, Row]], list[str]]:
    """By concept, its rows by their keys; a row that some concept does not allow is left out of all."""
    made: list[dict[str, Row]] = []
    left_out: dict[str, str] = {}
    for number, concept in enumerate(concepts):
        job.report(number, len(concepts), "concepts' vectors")
        making = Making(
            host,
            concept,
            settings.methods,
            dictionary=settings.dictionary,
            block=settings.block,
            steps=settings.train_steps,
            seed=settings.seed,
        )
        rows: dict[str, Row] = {}
        for key in settings.methods:
            if key in left_out:
                continue
            try:
                rows[key] = ROWS[key].make(making, settings.sweep, job)
            except SteeringError as error:
                left_out[key] = error.left_out(f"{ROWS[key].title}, for '{concept.name}'")
        made.append(rows)
    if len(left_out) == len(settings.methods):
        raise SteeringError(
            "No row of the table can be made.", "one at least.", " ".join(dict.fromkeys(left_out.values()))
        )
    return [{key: row for key, row in rows.items() if key not in left_out} for rows in made], list(left_out.values())


def _scored(
    job: Job[Any], host: Host, concept: Concept, rows: dict[str, Row], writer: Writer, judge: Judge, what: str
) -> list[Scored]:
    """All rows of a concept: first the choosing half at every factor, then the scoring half at the chosen ones."""
    choosing, scoring = ([concept.instructions[n] for n in half] for half in halves(len(concept.instructions)))
    places = [(row, place) for row in rows.values() for place in range(len(row.factors))]
    said = writer.write(job, _asked(host, concept, places, choosing), f"replies: {what}")
    marks = judge.marks(job, concept, said)
    scores = np.array([each.score for each in marks]).reshape(len(places), len(choosing))
    by_row, start = dict[str, np.ndarray](), 0
    for row in rows.values():
        by_row[row.key] = scores[start : start + len(row.factors)]
        start += len(row.factors)
    taken = [(row, chosen(by_row[row.key])) for row in rows.values()]
    said = writer.write(job, _asked(host, concept, taken, scoring), f"replies to score: {what}")
    marks = judge.marks(job, concept, said)
    nats = _nats(host, [row.plans[place] for row, place in taken])
    n = len(scoring)
    return [
        Scored(
            row,
            concept,
            by_row[row.key],
            place,
            tuple(said[index * n : (index + 1) * n]),
            tuple(marks[index * n : (index + 1) * n]),
            float("nan") if row.prompted else nats[index],
        )
        for index, (row, place) in enumerate(taken)
    ]


def _asked(
    host: Host, concept: Concept, places: Sequence[tuple[Row, int]], instructions: Sequence[Instruction]
) -> list[Asked]:
    prompts = {
        (prompted, each): render(host, concept.prompted(each.messages) if prompted else each.messages)
        for each in instructions
        for prompted in {row.prompted for row, _ in places}
    }
    return [
        Asked(each, prompts[row.prompted, each], row.plans[place], row.identities[place])
        for row, place in places
        for each in instructions
    ]


def _nats(host: Host, plans: Sequence[Plan]) -> list[float]:
    """The 95th percentile over tokens of KL(unsteered || plan), on the model's own replies to everyday requests."""
    found = divergences(host, plans, own_replies(host, calibration_prompts()[:_MEASURED]))
    return [float(each) for each in np.percentile(found.numpy(), PERCENTILE, axis=1)]


def _replies(settings: AxBenchSettings, concepts: int) -> int:
    """The most that are written."""
    choosing, scoring = halves(settings.n_instructions)
    factors = sum(1 if name in _FIXED else len(settings.sweep) for name in settings.methods)
    return concepts * (len(choosing) * factors + len(scoring) * len(settings.methods))


def _calls(settings: AxBenchSettings, concepts: int) -> int:
    """The most that a judge at an address is asked: one mark a time, and once to try it out."""
    return len(PARTS) * _replies(settings, concepts) + 1


def size_of(host: Host, settings: AxBenchSettings) -> Size:
    """Replies to every instruction under every row.

    Raises:
        SteeringError: Factors that cannot be read.
    """
    n = settings.n_concepts
    replies = _replies(settings, n)
    trained = sum(name in LOSSES.own for name in settings.methods)
    return Size(
        (
            *([Work("steps", trained * n * settings.train_steps, settings.reply_tokens)] if trained else []),
            Work("readings", 2 * settings.texts_n * n, settings.reply_tokens),
            Work("replies", replies, settings.reply_tokens, batch=BATCH),
        ),
        keeps=True,
        beside="A judge that is asked takes its own time." if settings.judge or settings.judge_url else "",
    )


STUDY = Study(
    name="axbench",
    title="AxBench-like, local judges",
    summary="Concepts x instructions x factors: vectors of every method beside a prompt, scored as AxBench does.",
    settings=AxBenchSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={
        "n_concepts": 6,
        "n_instructions": 6,
        "factors": "0.5, 1, 2",
        "reply_tokens": 60,
        "texts_n": 60,
        "train_steps": 60,
    },
)
