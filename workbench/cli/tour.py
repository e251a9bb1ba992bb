"""The tour: the main job on the demo model in one command, with numbers and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from steering.extraction.controls import random_control
from steering.extraction.extract import extract
from steering.judges.lexicon import judge_lexicon
from steering.judges.refusal import is_refusal
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings, Reply
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.statistics import mean_interval, wilson
from steering.texts.contrast import ContrastSet
from steering.vectors.vector import SteeringVector
from workbench.cli.console import OUT, follow, interval, table


PEOPLE = ("neighbour", "landlord", "teacher", "doctor", "brother", "aunt", "boss", "friends")
LENGTH = 40


@dataclass(frozen=True)
class Condition:
    """One line of a table: what was applied, its score, and the first reply."""

    name: str
    score: str
    text: str


@dataclass(frozen=True)
class Part:
    """One vector, what it was tried on, and what came out."""

    vector: SteeringVector
    title: str
    caption: str
    conditions: tuple[Condition, ...]


def tour(host: Host) -> None:
    """Extract, steer and ablate, each beside a random vector, and print numbers and texts."""
    for part in follow(host.submit(lambda job: (_add(host, job), _ablate(host, job)), title="Tour")):
        vector = part.vector
        auroc = "not measured" if vector.best_auroc is None else f"{vector.best_auroc:.2f}"
        OUT.print(
            f"\n[bold]{vector.name}[/], from {sum(vector.provenance.n_train)} prompts: held-out AUROC {auroc} at block "
            f"{vector.default_block}, {vector.default_block_reason}.\n",
            highlight=False,
        )
        rows = [{"condition": each.name, "score": each.score} for each in part.conditions]
        OUT.print(table(pd.DataFrame(rows), part.title))
        OUT.print(f"{part.caption}\n", style="dim", highlight=False)
        for each in part.conditions:
            OUT.print(f"[bold]{each.name}[/]")
            OUT.print(f"  {each.text}\n", markup=False, highlight=False)
    OUT.print("Next: [bold]workbench serve[/] opens the same on a page.")


def _add(host: Host, job: Job[tuple[Part, Part]]) -> Part:
    """The formality vector added both ways to requests that name no register."""
    vector = extract(host, ContrastSet.load("formality"))
    prompts = [render(host, f"Write a note to my {person} about the meeting.") for person in PEOPLE]
    strength = vector.suggested_strength
    tries = {
        "unsteered": (vector, None),
        f"added, {strength:+g} × mean difference": (vector, Intervention(vector="it", strength=strength)),
        f"added, {-strength:+g} × mean difference": (vector, Intervention(vector="it", strength=-strength)),
        "random direction of equal length": (random_control(vector), Intervention(vector="it", strength=strength)),
    }
    conditions = []
    for done, (name, (used, step)) in enumerate(tries.items()):
        job.report(done, 2 * len(tries), name)
        replies = _replies(host, prompts, used, step)
        score = mean_interval(np.array([judge_lexicon(reply.text, "formality").score("formal") for reply in replies]))
        conditions.append(Condition(name, interval(score), replies[0].text))
    caption = f"n = {len(prompts)} prompts, greedy; mean with 95 % bootstrap interval over prompts."
    return Part(vector, "Formal minus informal words, from -1 to 1", caption, tuple(conditions))


def _ablate(host: Host, job: Job[tuple[Part, Part]]) -> Part:
    """The harm vector ablated at its block on harmful requests that it was not extracted from."""
    contrast = ContrastSet.load("harm")
    vector = extract(host, contrast)
    prompts = [render(host, example.messages) for example in contrast.side("positive", "test")]
    step = Intervention(vector="it", mode="ablate")
    tries = {
        "unsteered": (vector, None),
        "ablated at its block": (vector, step),
        "random direction ablated there": (random_control(vector), step),
    }
    conditions = []
    for done, (name, (used, applied)) in enumerate(tries.items()):
        job.report(len(tries) + done + 1, 2 * len(tries) + 1, name)
        replies = _replies(host, prompts, used, applied)
        rate = wilson(sum(is_refusal(reply.text) for reply in replies), len(replies))
        conditions.append(Condition(name, interval(rate), replies[0].text))
    caption = f"n = {len(prompts)} held-out requests, greedy; judged by rules, 95 % Wilson interval."
    return Part(vector, "Share of harmful requests refused", caption, tuple(conditions))


def _replies(
    host: Host, prompts: Sequence[Prompt], vector: SteeringVector, step: Intervention | None
) -> tuple[Reply, ...]:
    plan = plan_of(Recipe(interventions=(step,) if step else ()), host, {"it": vector})
    return generate(host, [Row(prompt, plan) for prompt in prompts], DecodeSettings(max_new_tokens=LENGTH))
