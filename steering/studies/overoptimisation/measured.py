"""What both judges say along n and along a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from steering.errors import SteeringError
from steering.judges.marks import Marks
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Message
from steering.recipes.nats import PERCENTILE, calibration_prompts, divergences, own_replies
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.store import digest
from steering.studies.overoptimisation.parting import best_of_means
from steering.studies.overoptimisation.settings import OveroptimisationSettings
from steering.studies.tradeoff.best_of import closed, counts_to, sample
from steering.studies.tradeoff.items import Chunk, Item, Treatment
from steering.studies.tradeoff.readings import Reader
from steering.texts.preferences import Preference
from steering.training.trainee import Trainee
from steering.training.training import train
from steering.vectors.vector import SteeringVector


Messages = tuple[Message, ...]
_FEWEST = 4
"""Pairs under which nothing is trained."""
_MEASURED = 20
"""Own replies on which KL is read."""


@dataclass(frozen=True, eq=False)
class Course:
    """What both judges say from no optimisation on, point by point."""

    along: str
    """`n` or `steps`."""
    places: tuple[float, ...]
    """n, or steps of the training."""
    nats: tuple[float, ...]
    """KL: a reply, in closed form, of best of n; a token, 95th percentile, of a vector."""
    training: np.ndarray
    """The judge that is optimised, (request, point)."""
    held_out: np.ndarray
    """The other one, (request, point)."""
    texts: tuple[tuple[str, ...], ...] = ()
    """Replies of a vector's points, by point."""


class Asking:
    """Asks the model and both judges. Call on the model thread."""

    def __init__(self, host: Host, reader: Reader, judges: tuple[Marks, Marks], tokens: int) -> None:
        self._host, self._reader, self._judges, self._tokens = host, reader, judges, tokens

    def replies(
        self, job: Job[Any], requests: Sequence[Messages], treatments: Sequence[Treatment], what: str
    ) -> list[list[str]]:
        """What is said under each treatment, by treatment."""
        items = [Item(digest([turn.content for turn in each]), each, "text", longest=self._tokens) for each in requests]
        chunk = Chunk(tuple(items))
        total = len(treatments) * len(items)
        done = sum(len(items) for each in treatments if self._reader.known(chunk, each))
        for n in self._reader.read(job, chunk, treatments):
            done += n
            job.report(done, total, what)
        found = []
        for each in treatments:
            seen = self._reader.seen(chunk, each)
            assert seen is not None  # it was read
            found.append([one["text"] for one in seen])
        return found

    def marks(self, requests: Sequence[Messages], replies: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """What both judges say of replies, (request, treatment) each."""
        both = []
        for judge in self._judges:
            said = [judge(requests, each) for each in replies]
            both.append(np.array(said, dtype=float).T)
        return both[0], both[1]


def along_n(job: Job[Any], asking: Asking, requests: Sequence[Messages], samples: int) -> Course:
    """Best of 1, 2, 4 … by the judge that is optimised."""
    replies = asking.replies(job, requests, [sample(number) for number in range(1, samples + 1)], "samples")
    by, of = asking.marks(requests, replies)
    counts = counts_to(samples)
    return Course(
        "n",
        tuple(map(float, counts)),
        tuple(closed(n) for n in counts),
        best_of_means(by, by, counts),
        best_of_means(by, of, counts),
    )


def along_training(
    job: Job[Any],
    host: Host,
    asking: Asking,
    requests: Sequence[Messages],
    others: Sequence[Messages],
    settings: OveroptimisationSettings,
) -> tuple[Course, SteeringVector]:
    """A vector that is trained on what the judge that is optimised prefers, in rounds, each of which begins where the
    last one ended; its last state.

    Raises:
        SteeringError: The judge prefers nothing, or as `train`.
    """
    pairs = _pairs(job, asking, others, settings.train_samples)
    block = host.info.blocks // 2 if settings.block is None else host.sites.check_block(settings.block)
    steps = np.unique(np.linspace(0, settings.steps, settings.points + 1).round().astype(int)).tolist()
    vectors, start = list[SteeringVector](), None
    for before, after in pairwise(steps):
        found = train(
            host,
            pairs,
            Trainee(blocks=(block,)),
            loss=settings.loss.strip(),
            steps=after - before,
            learning_rate=settings.learning_rate,
            seed=settings.seed + before,
            start=start or "mean_difference",
            name=f"optimised, step {after}",
            data_name=f"what {settings.judge} prefers",
        )
        start = found.vector
        vectors.append(start)
    recipes = [Recipe(interventions=(Intervention(vector=each.name),)) for each in vectors]
    plans = [plan_of(recipe, host, {each.name: each}) for recipe, each in zip(recipes, vectors, strict=True)]
    steered = [
        Treatment(plan, digest("sample 1 of", each.content), draw=1) for plan, each in zip(plans, vectors, strict=True)
    ]
    treatments = [sample(1), *steered]
    replies = asking.replies(job, requests, treatments, "replies along the training")
    kl = divergences(host, plans, own_replies(host, calibration_prompts()[:_MEASURED]))
    nats = (0.0, *(float(each) for each in np.percentile(kl.numpy(), PERCENTILE, axis=1)))
    course = Course("steps", tuple(map(float, steps)), nats, *asking.marks(requests, replies))
    return replace(course, texts=tuple(map(tuple, replies))), vectors[-1]


def _pairs(job: Job[Any], asking: Asking, requests: Sequence[Messages], samples: int) -> list[Preference]:
    """Of each request's samples the best and the worst by the judge that is optimised, where they differ."""
    replies = asking.replies(job, requests, [sample(n) for n in range(1, samples + 1)], "samples to train on")
    by, _ = asking.marks(requests, replies)
    found = []
    for place, messages in enumerate(requests):
        best, worst = int(by[place].argmax()), int(by[place].argmin())
        texts = replies[best][place], replies[worst][place]
        if by[place, best] > by[place, worst] and all(text.strip() for text in texts):
            found.append(Preference(messages, *texts))
    if len(found) < _FEWEST:
        raise SteeringError(
            f"The judge prefers one sample to another for {len(found)} of {len(requests)} requests.",
            f"{_FEWEST} at least, to train on.",
            "Take more samples (train_samples) or requests (n_train), or another judge.",
        )
    return found
