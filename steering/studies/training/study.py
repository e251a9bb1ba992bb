"""The study: preferences split by prompt, every row made, and all compared on prompts that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from steering.demo.planted import planted_vector
from steering.errors import SteeringError
from steering.judges.marks import load_marks
from steering.lane import Job, Stopped
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.pace import seconds_per_example
from steering.names import safe_name
from steering.store import kept_in
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Result, Study
from steering.studies.training.comparing import UNJUDGED, Compared, HeldOut
from steering.studies.training.recipes import recipe_file, recipe_text
from steering.studies.training.rows import Data, Rows
from steering.studies.training.settings import TrainSettings
from steering.studies.training.tables import COLUMNS, curve_table, findings, measures_of, replies_table, rows_table
from steering.studies.training.watching import WATCHED, Watched
from steering.texts.preferences import load_labelled, load_preferences
from steering.training.course import check_together, find_loss, split
from steering.training.followers import SELDOM
from steering.training.loop import LOOKS
from steering.training.readings import Readings
from steering.training.texts import check
from steering.vectors.vector import SteeringVector


@dataclass(frozen=True, eq=False)
class Parts:
    """Preferences by what they are for; no prompt is in two parts."""

    train: Data
    validation: Data
    held_out: Data


def run(host: Host, settings: TrainSettings, job: Job[Result]) -> Result:
    """Train a vector by each loss, and hold it against what costs as much."""
    host = host.under(settings.chat)
    source, trainee = settings.source_on(host), settings.trainee_on(host)
    for name in settings.losses:
        loss = find_loss(name)
        loss.settings(settings.numbers_of(name))
        check_together(loss, trainee)
    parts = parts_of(settings, source)
    judge, kept, readings = settings.judge_of(source), kept_in(settings.kept), Readings()
    marks = load_marks(host, judge) if judge else None
    held_out = HeldOut(
        host,
        parts.held_out,
        trainee,
        marks=marks,
        judge=judge,
        replies=settings.replies,
        tokens=settings.reply_tokens,
        sampling=settings.sampling if settings.rewarded else None,
        seed=settings.seed,
        kept=kept,
        readings=readings,
        job=job,
    )
    name = short_source(source)
    watched = None
    if marks is not None:
        watched = Watched(host, parts.validation or parts.train, marks, judge, tokens=settings.reply_tokens, job=job)
    rows = Rows(
        host, settings, parts.train, parts.validation, name=name, kept=kept, readings=readings, job=job, on_look=watched
    )
    found: list[Compared] = []
    so_far = partial(_result, host, settings, found, rows.left_out, held_out, parts, name)
    try:
        for row in rows.make():
            found.append(held_out.compared(row, job))
            if row.kind == "trained":
                job.emit(so_far())  # kept where somebody stops it
    except Stopped:
        if rows.stopped is not None and rows.stopped.key not in [each.row.key for each in found]:
            found.append(held_out.uncompared(rows.stopped))
            job.emit(so_far())
        raise
    return so_far()


def _result(
    host: Host,
    settings: TrainSettings,
    found: Sequence[Compared],
    left_out: Sequence[str],
    held_out: HeldOut,
    parts: Parts,
    name: str,
) -> Result:
    """What was found, perhaps so far."""
    judge = settings.judge_of(settings.source_on(host))
    said = ["\n".join(turn.content for turn in messages) for messages in held_out.prompts]
    trained = {
        each.row.key: each.row.trained for each in found if each.row.kind == "trained" and each.row.trained is not None
    }
    return Result.of(
        "train",
        host,
        settings,
        measures=measures_of(found, settings.seed),
        tables={
            "methods": rows_table(found, settings.seed, _planted(host)),
            "curve": curve_table(found),
            "replies": replies_table(found, said),
        },
        notes=(
            *findings(found, judge, settings.budget, settings.seed),
            *left_out,
            *no_control(settings),
            _split_note(parts, name),
            *chat_notes(host),
        ),
        vectors={vector.name: vector for each in trained.values() for vector in each.vectors.values()},
        files={recipe_file(key): recipe_text(each, host) for key, each in trained.items()},
    )


def parts_of(settings: TrainSettings, source: str) -> Parts:
    """The data, read and split.

    Raises:
        SteeringError: As `load_preferences`, data that a loss cannot take, or too few prompts for three parts.
    """
    labelled = all(find_loss(name).kind in ("labelled", "wanted") for name in settings.losses)
    try:
        data: Data = load_preferences(source)[: settings.n]
    except SteeringError:
        if not labelled:
            raise
        data = load_labelled(source)[: settings.n]
    for name in settings.losses:
        check(data, find_loss(name).kind)
    rest, held_out = split(data, settings.held_out, settings.seed)
    share = settings.validation / (1 - settings.held_out)
    train, validation = split(rest, share, settings.seed + 1)
    return Parts(train, validation, held_out)


def short_source(source: str) -> str:
    """A source as vectors are called by it."""
    return safe_name(source.rpartition("/")[2].partition("::")[0].removesuffix(".jsonl")) or "preferences"


def _planted(host: Host) -> SteeringVector | None:
    """The direction that refusal was planted along in the demo family; None for any other model."""
    planted = planted_vector("demo") if host.info.demo else None
    return planted if planted is not None and planted.misfit(host) is None else None


def no_control(settings: TrainSettings) -> Iterator[str]:
    """Why there is no control on shuffled labels, where one was asked for."""
    if settings.shuffled and not settings.control:
        titles = " and ".join(find_loss(name).title for name in settings.losses)
        yield (
            f"No control on shuffled labels: of {titles} none is told which replies are not wanted, so that with sides "
            "exchanged at random half of what is learnt would stay right. Add a loss that takes pairs or labels."
        )


def _split_note(parts: Parts, name: str) -> str:
    return (
        f"{name}: trained on {len(parts.train)} examples, the step chosen on {len(parts.validation)}, compared on "
        f"{len(parts.held_out)}; no prompt is in two parts."
    )


def size_of(host: Host, settings: TrainSettings) -> Size:
    """Texts that are read, steps, and replies for the judge.

    Raises:
        SteeringError: As `load_preferences`.
    """
    source = settings.source_on(host)
    trainings = len(settings.losses) + bool(settings.control)
    rows = 1 + 1 + settings.random + trainings
    texts, example = _texts(settings, source), seconds_per_example(host)
    looks = trainings * min(SELDOM, settings.steps) * WATCHED
    judged = bool(settings.judge_of(source))
    replies = rows * (settings.replies if judged else min(settings.replies, UNJUDGED)) + looks * judged
    drawn = _drawn(settings, len(texts) // 2, rows) if settings.rewarded else 0
    return Size(
        (
            Work("readings", round((1 + rows * settings.held_out) * len(texts)), tokens_of(texts)),
            Work("steps", trainings * settings.steps, 0, each=example and example * settings.batch),
            Work("replies", replies + drawn, settings.reply_tokens),
        ),
        keeps=True,
        beside="Holding a budget in nats takes passes of its own." if settings.budget else "",
    )


def _drawn(settings: TrainSettings, prompts: int, rows: int) -> int:
    """Replies that are drawn for a reward: at every step, at every look at validation prompts, and to compare rows."""
    own = [name for name in settings.losses if find_loss(name).sampled]
    steps = (len(own) + (settings.control in own)) * settings.steps * settings.batch
    looks = len(own) * (min(LOOKS, settings.steps) + 1) * round(settings.validation * prompts)
    return settings.samples * (steps + looks + rows * round(settings.held_out * prompts))


def _texts(settings: TrainSettings, source: str) -> list[str]:
    try:
        return [
            f"{''.join(turn.content for turn in pair.messages)}{reply}"
            for pair in load_preferences(source)[: settings.n]
            for reply in (pair.chosen, pair.rejected)
        ]
    except SteeringError:
        return [
            f"{''.join(turn.content for turn in each.messages)}{each.completion}"
            for each in load_labelled(source)[: settings.n]
        ]


STUDY = Study(
    name="train",
    title="Train a vector",
    summary="A steering vector trained on preferences, several losses side by side at equal KL.",
    settings=TrainSettings,
    run=run,
    size=size_of,
    quick={"n": 100, "steps": 60, "replies": 16, "random": 1},
    columns={"title": "method", **COLUMNS},
)
