"""Preference pairs of the model's own replies, with the behaviour and without it, that a judge can tell apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.judges.fitting import judge_of_label
from steering.judges.marks import ASKED, NAMES, OWN, load_marks
from steering.lane import Job
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import Message, conversation
from steering.passes.replies import DecodeSettings
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.statistics import wilson
from steering.studies.setting_kinds import ContrastSource, LongText, TextSource, VectorName, WithVectors
from steering.studies.size import Size, Work
from steering.studies.study import Measure, Result, Study
from steering.texts.contrast import ContrastSet
from steering.texts.system_prompts import renderable
from steering.texts.text_lists import read_texts
from steering.training.pairs import WHY, Made, Side, Tried, make_pairs, requests_of
from steering.vectors.strength import Unit
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


FILE = "pairs.jsonl"
KEPT = "kept"
_TIMES = 2
"""As strong as what is first tried of a vector, where nobody says."""


class MakingSettings(WithVectors):
    """What is asked, how the behaviour comes into the chosen replies, and who judges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contrast: ContrastSource = Field(
        "formality", description="A contrast set: what it asks is answered, and what tells its sides apart is added."
    )
    requests: TextSource = Field("", description="A list of requests to answer in place of the set's.")
    side: Side = Field("negative", description="Whose requests of the set are answered.")
    way: Literal["steered", "prompted"] = Field(
        "steered", description="steered: a vector is added for the chosen reply. prompted: a system prompt asks for it."
    )
    vector: VectorName = Field("", description="steered: the vector; where empty, the set's own mean difference.")
    strength: float | None = Field(
        None,
        allow_inf_nan=False,
        description="steered: of the vector, in `unit`; where empty, twice its first one to try: requests may ask "
        "for the opposite.",
    )
    unit: Unit = Field("mean_difference", description="steered: unit of the strength.")
    system: LongText = Field("", description="prompted: the system prompt.")
    judge: str = Field(
        "",
        description=f"Who says whether the chosen reply has more of it: {NAMES}. Empty: the one that fits the side of "
        "the set, or of the vector that is named, towards which is steered.",
    )
    judge_label: str = Field("", description="The classifier's label; the one that means refusal where empty.")
    question: str = Field(ASKED, description=f"{OWN}: what the model is asked about a reply.")
    margin: float = Field(
        0.1, ge=0, allow_inf_nan=False, description="By how much the judge must mark the chosen reply higher."
    )
    n: int = Field(50, ge=1, le=5000, description="The most requests.")
    reply_tokens: int = Field(
        60, ge=4, le=1024, description="The most tokens of a reply; one that is cut off is dropped."
    )
    temperature: float = Field(0.0, ge=0, le=5, allow_inf_nan=False, description="0 takes the likeliest token.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of the replies, where they are drawn.")
    chat: ChatSettings | None = Field(None, description=CHAT)


def run(host: Host, settings: MakingSettings, job: Job[Result]) -> Result:
    """Answer, judge and tabulate; what is kept is a file that trains."""
    host = host.under(settings.chat)
    contrast, notes = renderable(host, ContrastSet.load(settings.contrast))
    judge = judge_of(host, settings, contrast)
    vectors = {} if settings.way == "prompted" else {"behaviour": _vector(host, settings, contrast)}
    marks = load_marks(host, judge, label=settings.judge_label, question=settings.question)
    made = make_pairs(
        host,
        asked(settings, contrast),
        marks,
        plan=_plan(host, settings, vectors),
        system=settings.system if settings.way == "prompted" else "",
        margin=settings.margin,
        decode=DecodeSettings(
            max_new_tokens=settings.reply_tokens, temperature=settings.temperature, seed=settings.seed
        ),
    )
    return Result.of(
        "pairs",
        host,
        settings,
        measures=[_kept(made)],
        tables={"outcomes": outcome_table(made), "pairs": pair_table(made, judge)},
        files={FILE: json_lines(made)},
        notes=(_told(settings, judge, vectors), *contrast.notes, *notes, *chat_notes(host)),
    )


def asked(settings: MakingSettings, contrast: ContrastSet) -> tuple[tuple[Message, ...], ...]:
    """The requests, each once."""
    if settings.requests.strip():
        return tuple(map(conversation, dict.fromkeys(read_texts(settings.requests))))[: settings.n]
    return requests_of(contrast, settings.side)[: settings.n]


def judge_of(host: Host, settings: MakingSettings, contrast: ContrastSet) -> str:
    """Who judges.

    Raises:
        SteeringError: Nobody is named, and no rule fits what is asked for.
    """
    sides, where = (contrast.positive_label, contrast.negative_label), f"the contrast set '{contrast.name}'"
    if settings.vector and settings.way == "steered":
        made = settings.vector_named(host, settings.vector).provenance
        sides, where = (made.positive_label, made.negative_label), f"the vector '{settings.vector}'"
    away = settings.way == "steered" and (settings.strength or 0) < 0
    return judge_of_label(sides[away], where, settings.judge)


def _vector(host: Host, settings: MakingSettings, contrast: ContrastSet) -> SteeringVector:
    if settings.vector:
        return settings.vector_named(host, settings.vector)
    return extract(host, contrast, split_half=False)


def _plan(host: Host, settings: MakingSettings, vectors: dict[str, SteeringVector]) -> Plan:
    added = [
        {"vector": name, "strength": strength_of(settings, vector), "unit": settings.unit}
        for name, vector in vectors.items()
    ]
    return plan_of(Recipe.model_validate({"interventions": added}), host, vectors)


def strength_of(settings: MakingSettings, vector: SteeringVector) -> float:
    """The strength that is taken: the given one, or one by the vector's own first, which is in mean differences.

    Raises:
        SteeringError: None was given, and another unit.
    """
    if settings.strength is not None:
        return settings.strength
    if settings.unit != "mean_difference":
        raise SteeringError(
            f"No strength was given, and the unit {settings.unit}.", "a strength in that unit.", "Give one."
        )
    return _TIMES * vector.suggested_strength


def _kept(made: Made) -> Measure:
    rate = wilson(len(made.pairs), len(made.tried))
    return Measure("pairs kept", rate.value, rate.low, rate.high, len(made.tried))


def _told(settings: MakingSettings, judge: str, vectors: dict[str, SteeringVector]) -> str:
    how = f"the system prompt '{settings.system[:80]}'"
    for vector in vectors.values():
        how = f"{settings.vector or 'the mean difference'} added at {strength_of(settings, vector):g} {settings.unit}"
    return f"Chosen: with {how}; rejected: plain. Judge: {judge}, by {settings.margin:g} at least."


def outcome_table(made: Made) -> pd.DataFrame:
    """How many requests became pairs, and why the others did not."""
    total = len(made.tried)
    return pd.DataFrame(
        [
            {"outcome": why or KEPT, "meaning": WHY[why], "n": n, "share": n / total, "of": total}
            for why, n in made.counts.items()
        ]
    )


def pair_table(made: Made, judge: str) -> pd.DataFrame:
    """Every request with both replies, the judge's marks and what became of it."""
    return pd.DataFrame(
        [
            {
                "prompt": said(each.messages),
                "chosen": each.chosen,
                "rejected": each.rejected,
                "chosen_mark": each.chosen_mark,
                "rejected_mark": each.rejected_mark,
                "judge": judge,
                "outcome": each.why or KEPT,
            }
            for each in made.tried
        ]
    )


def said(messages: Sequence[Message]) -> str:
    """A conversation in one text; a lone request without its role."""
    if len(messages) == 1:
        return messages[0].content
    return "\n".join(f"{each.role}: {each.content}" for each in messages)


def json_lines(made: Made) -> str:
    """The pairs as a file that `steering.texts.preferences` reads."""
    return "".join(json.dumps(_row(each), ensure_ascii=False) + "\n" for each in made.tried if not each.why)


def _row(each: Tried) -> dict[str, object]:
    turns = [{"role": turn.role, "content": turn.content} for turn in each.messages]
    prompt: object = each.messages[0].content if len(turns) == 1 else turns
    ends = {"chosen": each.chosen, "rejected": each.rejected}
    if isinstance(prompt, str):
        return {"prompt": prompt, **ends}
    return {"prompt": prompt} | {side: [{"role": "assistant", "content": text}] for side, text in ends.items()}


def size_of(host: Host, settings: MakingSettings) -> Size:
    """Two replies a request.

    Raises:
        SteeringError: As `ContrastSet.load` and `read_texts`.
    """
    n = len(asked(settings, ContrastSet.load(settings.contrast)))
    beside = "The vector is extracted before, where none is named." if settings.way == "steered" else ""
    return Size((Work("replies", 2 * n, settings.reply_tokens, batch=32),), beside=beside)


def uses(settings: BaseModel) -> set[str]:
    """The vectors that a run looks for."""
    assert isinstance(settings, MakingSettings)
    return {settings.vector} if settings.vector and settings.way == "steered" else set()


MAKING = Study(
    name="pairs",
    title="Make preference pairs",
    summary="The model's own replies with a behaviour and without it, kept where a judge tells them apart.",
    settings=MakingSettings,
    run=run,
    quick={"n": 8, "reply_tokens": 40},
    size=size_of,
    uses=uses,
)
