"""A judge that is optimised against one that is held out, along best of n and along a training.

After Gao, Schulman and Hilton 2022, "Scaling Laws for Reward Model Overoptimization", arXiv 2210.10760: what is chosen
or trained by one judge gains by another, too, until the two part.
"""

from __future__ import annotations

from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.store import kept_in
from steering.studies.overoptimisation.judges import load_judge
from steering.studies.overoptimisation.measured import Asking, along_n, along_training
from steering.studies.overoptimisation.parting import parting
from steering.studies.overoptimisation.settings import OveroptimisationSettings
from steering.studies.overoptimisation.tables import curve_table, findings, measures_of, parting_table, reply_table
from steering.studies.size import Size, Work
from steering.studies.study import Result, Study
from steering.studies.tradeoff.readings import BATCH, Reader
from steering.training.course import find_loss


def run(host: Host, settings: OveroptimisationSettings, job: Job[Result]) -> Result:
    """Sample, choose by the one judge and ask the other; train on the one's choices and ask both along the way."""
    host = host.under(settings.chat)
    requests, others = settings.asked(host)
    if settings.loss.strip():
        find_loss(settings.loss.strip())
    judges = load_judge(host, settings.judge), load_judge(host, settings.held_out)
    asking = Asking(host, Reader(host, kept_in(settings.kept)), judges, settings.reply_tokens)
    courses, vectors = [along_n(job, asking, requests, settings.samples)], {}
    if settings.loss.strip():
        course, vector = along_training(job, host, asking, requests, others, settings)
        courses.append(course)
        vectors = {"optimised": vector.renamed("optimised")}
    drawn = {"resamples": settings.resamples, "seed": settings.seed}
    found = [(course, parting(course.training, course.held_out, **drawn)) for course in courses]
    return Result.of(
        "overoptimisation",
        host,
        settings,
        measures=measures_of(found),
        tables={
            "parting": parting_table(found),
            "curve": curve_table(found, **drawn),
            "replies": reply_table(found, [each[-1].content for each in requests]),
        },
        vectors=vectors,
        notes=(*findings(found, {"training": settings.judge, "held_out": settings.held_out}), *chat_notes(host)),
    )


def size_of(host: Host, settings: OveroptimisationSettings) -> Size:
    """Samples of every request, and replies along the training."""
    trained = bool(settings.loss.strip())
    n = settings.n_requests * settings.samples
    n += (settings.n_train * settings.train_samples + settings.n_requests * (settings.points + 1)) * trained
    steps = [Work("steps", settings.steps, settings.reply_tokens)] if trained else []
    return Size((Work("replies", n, settings.reply_tokens, batch=BATCH), *steps), keeps=True)


STUDY = Study(
    name="overoptimisation",
    title="Over-optimisation",
    summary="A judge that is optimised against one that is held out, along best of n and along a training.",
    settings=OveroptimisationSettings,
    run=run,
    size=size_of,
    quick={"n_requests": 24, "samples": 16, "n_train": 24, "train_samples": 4, "steps": 80, "points": 5},
)
