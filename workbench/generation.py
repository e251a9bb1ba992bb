"""The work behind the Steer panel without a screen: one prompt answered with and without a recipe, in one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from steering.decoding import Reply, generate
from steering.host import Host
from steering.interventions import Plan
from steering.lane import Job
from steering.prompts import conversation, render
from steering.recipes import Recipe
from steering.rows import Row
from steering.studies.study import Measure, Result
from steering.vectors import SteeringVector
from workbench.workspace import Workspace


class SteerSettings(BaseModel):
    """What to ask, and what to apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field("Write a note to my boss about the meeting.", description="The user's message.")
    system: str = Field("", description="The system message; none where empty.")
    recipe: Recipe = Field(Recipe(), description="What to apply, where and how strongly; vectors by their shelf name.")
    workspace: str = Field("", description="Folder of the workspace with the vectors; the user's own where empty.")


def rows_for(
    host: Host, user: str, system: str, recipe: Recipe, vectors: Mapping[str, SteeringVector]
) -> tuple[Row, Row]:
    """The unsteered row and the steered one, compared with it.

    Raises:
        SteeringError: An empty prompt, or a recipe that does not go with the model or the vectors.
    """
    prompt = render(host, conversation(user, system))
    return Row(prompt), Row(prompt, recipe.plan(host, vectors), against=0)


def measure_strengths(host: Host, recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> Job[Plan] | None:
    """The job that finds a recipe's strengths in nats, so that its progress can be shown; None where it has none.

    What it finds is remembered: the recipe's plan is made at once afterwards.
    """
    if all(intervention.unit != "nats" for intervention in recipe.interventions):
        return None
    return host.submit(lambda job: recipe.plan(host, vectors), title="Measuring the strength in nats")


def cautions(host: Host, vectors: Mapping[str, SteeringVector]) -> list[str]:
    """Why some of the vectors may mean nothing on this model."""
    return [caution for vector in vectors.values() if (caution := vector.caution(host))]


def vectors_of(recipe: Recipe, workspace: Workspace) -> dict[str, SteeringVector]:
    """The vectors that a recipe names, from the shelf.

    Raises:
        SteeringError: One of them is not there.
    """
    return {name: workspace.get(name).vector for name in recipe.vectors}


def run_steer(host: Host, settings: SteerSettings, job: Job[Result]) -> Result:
    """Generate both replies and tabulate them with what was really modified."""
    recipe = settings.recipe
    vectors = vectors_of(recipe, Workspace(settings.workspace or None)) if recipe.interventions else {}
    job.report(0, 1, "replies")
    replies = generate(host, rows_for(host, settings.user, settings.system, recipe, vectors), recipe.decode)
    job.report(1, 1, "replies")
    names = ("unsteered", "recipe A")
    modified = replies[1].written
    return Result(
        study="steer",
        settings=settings.model_dump(mode="json"),
        given=tuple(sorted(settings.model_fields_set)),
        model={**asdict(host.info), "sites": list(host.info.sites)},
        measures=(Measure("modified_positions", modified.prompt + modified.generated, None, None, 1, "positions"),),
        tables={"replies": pd.DataFrame([_row(name, reply) for name, reply in zip(names, replies, strict=True)])},
        headline="replies",
        vectors=vectors,
    )


def _row(name: str, reply: Reply) -> dict[str, object]:
    return {
        "row": name,
        "text": reply.text,
        "tokens": len(reply.ids),
        "finish": reply.finish,
        "modified_prompt": reply.written.prompt,
        "modified_generated": reply.written.generated,
    }
