"""Self-rewarding rounds as a study: what replies are worth, how good the judge is, and whether they become alike."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pydantic import Field

from steering.bounds import LARGEST_SEED
from steering.judges.fitting import judge_of_preferences
from steering.judges.marks import ASKED, NAMES, OWN, Marks, load_marks
from steering.lane import Job
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.passes.replies import DecodeSettings
from steering.statistics import Estimate
from steering.studies.preferences.making import said
from steering.studies.preferences.pairs_asked import OfPairs
from steering.studies.size import Size, Work
from steering.studies.study import Measure, Result, Study
from steering.texts.preferences import Preference, load_preferences
from steering.training.rewarding import Rewarded, Round, Rounds, reward_rounds
from steering.training.trainee import Trainee
from steering.writes.interventions import Plan


class RewardingSettings(OfPairs):
    """What is asked (requests of the pairs; what is known of them says how good the judge is), who judges, and how the
    rounds go.
    """

    judge: str = Field("", description=f"Who marks replies: {NAMES}. Empty: the one that fits the data.")
    judge_label: str = Field("", description="The classifier's label; the one that means refusal where empty.")
    question: str = Field(ASKED, description=f"{OWN}: what the model is asked about a reply.")
    held_out_judge: str = Field("", description="Another judge, on whose marks nothing is trained; none where empty.")
    n: int = Field(24, ge=2, le=2000, description="Requests, the first ones of the data.")
    rounds: int = Field(3, ge=1, le=50, description="Trainings; replies are written once more after the last one.")
    replies: int = Field(4, ge=2, le=64, description="To each request in every round.")
    temperature: float = Field(1.0, gt=0, le=5, allow_inf_nan=False, description="At which they are drawn.")
    reply_tokens: int = Field(60, ge=1, le=1024, description="The most tokens of a reply.")
    block: int | None = Field(None, ge=0, description="Block that is written; the middle one where empty.")
    loss: str = Field("dpo", description="By which the vector is trained; one that takes pairs.")
    steps: int = Field(20, ge=1, le=10_000, description="Of each training.")
    batch: int = Field(8, ge=1, le=4096, description="Pairs a step.")
    budget: float | None = Field(
        0.5, gt=0, le=100, description="What each vector may cost, in nats; its length is free where empty."
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of replies and trainings.")
    chat: ChatSettings | None = Field(None, description=CHAT)


def run(host: Host, settings: RewardingSettings, job: Job[Result]) -> Result:
    """Write, judge and train in turn, and tabulate each round."""
    host, given, settings = host.under(settings.chat), settings, settings.on(host)
    judge = judge_of_preferences(settings.data, settings.judge)
    pairs = load_preferences(settings.data)[: settings.n]
    found = reward_rounds(
        host,
        [each.messages for each in pairs],
        lambda plan: _marks(host, settings, judge, plan),
        rounds_of(host, settings),
        held_out=load_marks(host, settings.held_out_judge) if settings.held_out_judge.strip() else None,
        known=pairs,
    )
    vector = found.trained[-1].vector
    return Result.of(
        "self_rewarding",
        host,
        given,
        measures=_measures(found),
        tables={"rounds": round_table(found.rounds), "replies": reply_table(found.rounds)},
        notes=(*_notes(settings, judge, found, pairs), *chat_notes(host)),
        vectors={vector.name: vector},
    )


def rounds_of(host: Host, settings: RewardingSettings) -> Rounds:
    """How the rounds go on a model."""
    block = host.info.blocks // 2 if settings.block is None else settings.block
    decode = DecodeSettings(max_new_tokens=settings.reply_tokens, temperature=settings.temperature, seed=settings.seed)
    return Rounds(
        Trainee((block,)).check(host),
        rounds=settings.rounds,
        replies=settings.replies,
        decode=decode,
        loss=settings.loss,
        steps=settings.steps,
        batch=settings.batch,
        budget=settings.budget,
        seed=settings.seed,
    )


def _marks(host: Host, settings: RewardingSettings, judge: str, plan: Plan) -> Marks:
    return load_marks(host, judge, label=settings.judge_label, question=settings.question, plan=plan)


def _measures(found: Rewarded) -> list[Measure]:
    ends = found.rounds[0], found.rounds[-1]
    n = len(ends[0].sampled)
    shown = [("mark", [each.mark for each in ends]), ("different replies", [each.different for each in ends])]
    if ends[0].sampled[0].held_out:
        shown.insert(1, ("held-out mark", [each.held_out for each in ends]))
    return [
        Measure(f"{title}, round {each.number}", value.value, value.low, value.high, n)
        for title, values in shown
        for each, value in zip(ends, values, strict=True)
    ]


def _notes(settings: RewardingSettings, judge: str, found: Rewarded, pairs: Sequence[Preference]) -> tuple[str, ...]:
    other = settings.held_out_judge or "nobody"
    return (
        f"Judge: {judge}, on {len(pairs)} known pairs of {settings.data}; held-out judge: {other}.",
        found.stopped,
    )


def round_table(rounds: Sequence[Round]) -> pd.DataFrame:
    """One row a round: marks, how good the judge is, and how different replies are."""
    rows = []
    for each in rounds:
        distinct = Estimate(*[each.distinct] * 3)
        row: dict[str, object] = {
            "round": each.number,
            "requests": len(each.sampled),
            "replies": len(each.sampled[0].replies),
            "pairs": len(each.pairs),
        }
        numbers = {
            "mark": each.mark,
            "held_out_mark": each.held_out,
            "spread": each.spread,
            "known": each.known,
            "agrees": each.agrees,
            "different": each.different,
            "distinct": distinct,
            "degenerate": each.degenerate,
        }
        for name, value in numbers.items():
            row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        rows.append(row)
    return pd.DataFrame(rows)


def reply_table(rounds: Sequence[Round]) -> pd.DataFrame:
    """One row a request and round: the best and the worst reply with their marks."""
    return pd.DataFrame(
        [
            {
                "round": each.number,
                "prompt": said(one.messages),
                "chosen": one.replies[one.best],
                "rejected": one.replies[one.worst],
                "chosen_mark": one.marks[one.best],
                "rejected_mark": one.marks[one.worst],
                "paired": one.pair is not None,
            }
            for each in rounds
            for one in each.sampled
        ]
    )


def size_of(host: Host, settings: RewardingSettings) -> Size:
    """Replies of every round, and the steps of every training."""
    replies = settings.n * settings.replies * (settings.rounds + 1)
    return Size(
        (
            Work("replies", replies, settings.reply_tokens, batch=32),
            Work("steps", settings.rounds * settings.steps, settings.reply_tokens),
        )
    )


REWARDING = Study(
    name="self_rewarding",
    title="Self-rewarding rounds",
    summary="The model writes, a judge marks, the best and the worst train the next vector: marks, judge and variety.",
    settings=RewardingSettings,
    run=run,
    quick={"n": 6, "rounds": 1, "steps": 8, "replies": 3, "reply_tokens": 40},
    size=size_of,
)
