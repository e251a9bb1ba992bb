"""Steering: one prompt, or the next message of a conversation, answered with and without recipes in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from steering.lane import Job
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import render
from steering.names import short_name
from steering.passes.company import Coming
from steering.passes.decoding import check, generate, streamed
from steering.passes.replies import DecodeSettings, Replies, Reply
from steering.passes.rows import Row
from steering.recipes.nats import search_ahead
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.studies.grid import load_vectors
from steering.studies.size import Size, Work, tokens_of
from steering.studies.steer.chat import Chat
from steering.studies.study import Measure, Result, Study, origin
from steering.vectors.second_pass import desk_of, wanted_of
from steering.vectors.token_readings import TokenReading
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


MOST_RECIPES = 3
EVERY = 0.1
"""Seconds between two states of replies that are shown while they are written."""
LETTERS = "abc"
"""The recipes' names on screen and in results, in order."""


class Turn(BaseModel):
    """An answered message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(description="The user's message.")
    replies: dict[str, str] = Field(
        description='What each column replied: the unsteered model under "", recipes under a, b and c.'
    )

    @model_validator(mode="after")
    def _unsteered_replied(self) -> Self:
        if "" not in self.replies:
            raise ValueError('a turn needs the unsteered reply, under ""')
        return self


class SteerSettings(BaseModel):
    """What to ask, and what to apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field("Write a note to my boss about the meeting.", description="The user's message.")
    system: str = Field("", description="The system message; none where empty.")
    recipes: tuple[Recipe, ...] = Field(
        (Recipe(),),
        min_length=1,
        max_length=MOST_RECIPES,
        description="One to three recipes: what to apply, where and how strongly; vectors by their shelf name. All are "
        "decoded in one batch, as the first one says.",
    )
    turns: tuple[Turn, ...] = Field((), max_length=200, description="What was said before, each column in its words.")
    vectors: str = Field("", description="Folder with the vectors' files, named as the recipes name them.")

    @model_validator(mode="after")
    def _decoded_alike(self) -> Self:
        if len({recipe.decode for recipe in self.recipes}) > 1:
            raise ValueError("recipes that are compared need the same decode settings")
        return self

    @property
    def conversation(self) -> Chat:
        """What was said before, and the message."""
        answered = Chat(
            self.system, tuple(turn.user for turn in self.turns), tuple(turn.replies for turn in self.turns)
        )
        return answered.ask(self.user)

    def under(self, chat: ChatSettings) -> Self:
        """The same with chat settings for the recipes that have none."""
        recipes = [each if each.chat else each.model_copy(update={"chat": chat}) for each in self.recipes]
        return self.model_copy(update={"recipes": tuple(recipes)})


def asked_of(chat: Chat, recipes: Mapping[str, Recipe]) -> SteerSettings:
    """A conversation whose last message is open, and the recipes that answer it, as settings."""
    turns = tuple(
        Turn(user=user, replies=dict(replies)) for user, replies in zip(chat.users, chat.replies, strict=False)
    )
    return SteerSettings(user=chat.users[-1], system=chat.system, recipes=tuple(recipes.values()), turns=turns)


def rows_for(
    host: Host, chat: Chat, recipes: Mapping[str, Recipe], vectors: Mapping[str, SteeringVector]
) -> tuple[Row, ...]:
    """The unsteered row and one row a recipe, compared with it.

    Args:
        host: The model.
        chat: With its last user message open.
        recipes: By their letters.
        vectors: By the names that the recipes use.

    Raises:
        SteeringError: An empty prompt, or a recipe that does not go with the model or the vectors.
    """
    steered = [
        Row(render(recipe.on(host), chat.messages(letter)), plan_of(recipe, host, vectors), against=0)
        for letter, recipe in recipes.items()
    ]
    first = next(iter(recipes.values()), Recipe())
    return (Row(render(first.on(host), chat.messages())), *steered)


def steer_size(user: str, system: str, recipes: Sequence[Recipe]) -> Size:
    """What a run does: a reply unsteered and one a recipe, all in one batch, and two readings of each reply.

    Finding a strength in nats is told and not counted: how many passes it takes depends on the model, and what it found
    is kept.
    """
    tokens = next(iter(recipes), Recipe()).decode.max_new_tokens
    rows = 1 + len(recipes)
    return Size(
        (
            Work("replies", rows, tokens, batch=rows),
            Work("readings", 2 * rows, tokens_of([f"{system}{user}"]) + tokens),
        ),
        beside=search_ahead(recipes),
    )


def measure_strengths(
    host: Host, recipes: Iterable[Recipe], vectors: Mapping[str, SteeringVector]
) -> Job[list[Plan]] | None:
    """The job that finds the recipes' strengths in nats, so that its progress can be shown; None where none has any.

    What it finds is remembered: the recipes' plans are made at once afterwards.
    """
    measured = [recipe for recipe in recipes if any(each.unit == "nats" for each in recipe.interventions)]
    if not measured:
        return None
    return host.submit(
        lambda job: [plan_of(recipe, host, vectors) for recipe in measured], title="Measuring the strength in nats"
    )


@dataclass(frozen=True)
class Steered:
    """What a run on the page gives."""

    replies: tuple[Reply, ...]
    readings: tuple[tuple[TokenReading, ...], ...]
    """Per reply, of each of its tokens."""


def steer(host: Host, rows: Sequence[Row], decode: DecodeSettings, vector: SteeringVector | None) -> Job[Steered]:
    """Queue a run and return its job at once: it emits a `Step` every so often, then reads the tokens again.

    Raises:
        SteeringError: As `steering.passes.decoding.stream`, here and not in the job.
    """
    check(host, rows)
    if vector is not None:
        vector.check(host)

    def work(job: Job[Steered]) -> Steered:
        desk = desk_of(host)

        def ended(replies: Replies) -> None:
            desk.ask(job, wanted_of(rows, [reply.ids for reply in replies], vector))

        with desk.waiting(job):
            return Steered(streamed(job, host, rows, decode, ended, every=EVERY), desk.read(host, job))

    return host.submit(work, title=f"Steering {short_name(host.name)}", joins=Coming(host, rows, decode))


def cautions(host: Host, vectors: Mapping[str, SteeringVector]) -> list[str]:
    """Why some of the vectors may mean nothing on this model."""
    return [caution for vector in vectors.values() if (caution := vector.caution(host))]


def run(host: Host, settings: SteerSettings, job: Job[Result]) -> Result:
    """Generate all replies and tabulate them with what was really modified."""
    recipes = settings.recipes
    vectors = load_vectors({name for recipe in recipes for name in recipe.vectors}, settings.vectors)
    job.report(0, 1, "replies")
    rows = rows_for(host, settings.conversation, dict(zip(LETTERS, recipes, strict=False)), vectors)
    replies = generate(host, rows, recipes[0].decode)
    job.report(1, 1, "replies")
    return steer_result(host, settings, replies, vectors)


def steer_result(
    host: Host, settings: SteerSettings, replies: Sequence[Reply], vectors: Mapping[str, SteeringVector]
) -> Result:
    """Replies as a table, the unsteered one first, with what was modified."""
    recipes = settings.recipes
    names = ("unsteered", *(recipe_name(letter) for letter, _ in zip(LETTERS, recipes, strict=False)))
    measures = tuple(_modified(name, reply) for name, reply in zip(names[1:], replies[1:], strict=True))
    return Result(
        **origin("steer", host, settings),
        measures=measures,
        tables={"replies": pd.DataFrame([_row(name, reply) for name, reply in zip(names, replies, strict=True)])},
        headline="replies",
        notes=chat_notes(recipes[0].on(host)),
        vectors=vectors,
    )


def recipe_name(letter: str) -> str:
    """ "recipe A" for "a"."""
    return f"recipe {letter.upper()}"


def _modified(name: str, reply: Reply) -> Measure:
    written = reply.written
    return Measure(f"modified by {name}", written.prompt + written.generated, None, None, 1, "positions")


def _row(name: str, reply: Reply) -> dict[str, object]:
    return {
        "row": name,
        "text": reply.text,
        "thought": reply.thought,
        "answer": reply.answer,
        "finished": reply.finished,
        "tokens": reply.answer_tokens,
        "thought_tokens": reply.thought_tokens,
        "finish": reply.finish,
        "modified_prompt": reply.written.prompt,
        "modified_generated": reply.written.generated,
    }


STEER = Study(
    name="steer",
    title="Steer",
    summary="One prompt answered with and without recipes, side by side.",
    settings=SteerSettings,
    run=run,
    size=lambda host, settings: steer_size(settings.user, settings.system, settings.recipes),
)
