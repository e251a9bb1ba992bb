"""The tour: the main job on the demo model in one command, with numbers and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from steering.contrast import ContrastSet
from steering.controls import random_control
from steering.decoding import DecodeSettings, Reply, generate
from steering.extraction.extract import extract
from steering.host import Host
from steering.judges.lexicon import tone_score
from steering.lane import Job
from steering.prompts import render
from steering.recipes import Intervention, Recipe
from steering.statistics import mean_interval
from steering.tracing import Row
from steering.vectors import SteeringVector
from workbench.console import OUT, follow, interval, table


PROMPTS = (
    "Write a review of the hotel.",
    "Write a review of the cafe.",
    "Write a review of the film.",
    "Write a review of the park.",
    "Write a review of the book.",
    "Write a review of the museum.",
    "Write a review of the train.",
    "Write a review of the garden.",
)
LENGTH = 40


def tour(host: Host) -> None:
    """Extract the sentiment vector, add it both ways, ablate it, compare with a random one, and print all of it."""
    job = host.submit(lambda job: _measure(host, job), title="Tour")
    vector, frame, texts = follow(job)
    auroc = "not measured" if vector.best_auroc is None else f"{vector.best_auroc:.2f}"
    OUT.print(
        f"\nExtracted [bold]{vector.name}[/] from {sum(vector.provenance.n_train)} prompts: held-out AUROC {auroc} "
        f"at block {vector.default_block} ({vector.default_block_reason}).\n",
        highlight=False,
    )
    OUT.print(table(frame, "Cheerful minus gloomy words, from -1 to 1"))
    OUT.print(f"n = {len(PROMPTS)} prompts, greedy; mean with 95 % bootstrap interval over prompts.\n", style="dim")
    for condition, text in texts.items():
        OUT.print(f"[bold]{condition}[/]")
        OUT.print(f"  {text}\n", markup=False, highlight=False)
    OUT.print("Next: [bold]workbench serve[/] opens the same on a page.")


def _measure(host: Host, job: Job[Any]) -> tuple[SteeringVector, pd.DataFrame, dict[str, str]]:
    vector = extract(host, ContrastSet.load("sentiment"))
    recipes = _recipes(vector)
    vectors = {v.name: v for v in (vector, random_control(vector))}
    rows, texts = [], {}
    for done, (condition, recipe) in enumerate(recipes.items()):
        job.report(done, len(recipes), condition)
        replies = _replies(host, recipe, vectors)
        estimate = mean_interval(np.array([tone_score(reply.text) for reply in replies]))
        rows.append(
            {"condition": condition, "score": interval(estimate), "tokens written per prompt": _written(replies)}
        )
        texts[condition] = replies[0].text
    return vector, pd.DataFrame(rows), texts


def _recipes(vector: SteeringVector) -> Mapping[str, Recipe]:
    strength = vector.suggested_strength
    random = random_control(vector).name

    def recipe(name: str, **fields: object) -> Recipe:
        return Recipe(interventions=(Intervention.model_validate({"vector": name, **fields}),))

    return {
        "unsteered": Recipe(),
        f"{vector.name} added, {strength:+g} × mean difference": recipe(vector.name, strength=strength),
        f"{vector.name} added, {-strength:+g} × mean difference": recipe(vector.name, strength=-strength),
        f"{vector.name} ablated at every block": recipe(vector.name, mode="ablate", blocks="everywhere"),
        f"random direction added, {strength:+g} × as long": recipe(random, strength=strength),
    }


def _replies(host: Host, recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> tuple[Reply, ...]:
    plan = recipe.plan(host, vectors)
    return generate(
        host, [Row(render(host, prompt), plan) for prompt in PROMPTS], DecodeSettings(max_new_tokens=LENGTH)
    )


def _written(replies: tuple[Reply, ...]) -> str:
    total = sum(reply.written.prompt + reply.written.generated for reply in replies)
    return f"{total / len(replies):.0f}"
