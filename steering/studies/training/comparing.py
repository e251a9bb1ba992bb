"""What each row gains on prompts that nothing was fitted to: how its replies are marked, which replies it finds the
likelier ones, and what it costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from steering.judges.marks import Marks
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate_each
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row as Asked
from steering.store import Kept, digest
from steering.studies.training.rows import Data, Row
from steering.studies.training.sides import signs_of
from steering.training.draws import Draws
from steering.training.readings import Readings
from steering.training.rewards import Sampling
from steering.training.scores import TOKENS
from steering.training.texts import Texts, texts_of
from steering.training.trainee import Trainee
from steering.writes.interventions import Plan


BATCH = 32
"""Replies that are written together."""
UNJUDGED = 8
"""Prompts that are answered at most where nobody judges: enough to read, and nothing is counted of them."""


@dataclass(frozen=True, eq=False)
class Compared:
    """What one row did on held-out prompts."""

    row: Row
    margins: np.ndarray
    """Nats by which it makes the chosen reply likelier than the rejected one, log π/π₀ of both, (example,); of labelled
    data log π/π₀, its sign turned where the reply is not wanted.
    """
    prefers: np.ndarray
    """Whether the chosen reply has the larger mean log-probability a token, (pair,); empty for labelled data."""
    marks: np.ndarray
    """Of its replies, (prompt,); empty where nobody judges."""
    signs: np.ndarray
    """Which way each mark counts, 1 or -1, (prompt,); see `signs_of`."""
    sampled: np.ndarray
    """Mean reward of replies that are drawn, (example,); empty where nothing is rewarded."""
    greedy: np.ndarray
    """Reward of the likeliest reply, (example,)."""
    replies: tuple[str, ...]
    nats: float
    """The 95th percentile over tokens of KL, on the model's own replies to everyday requests; 0 of nothing."""

    @property
    def signed(self) -> np.ndarray:
        """Marks that count against it where the behaviour is not wanted, (prompt,)."""
        return self.marks * self.signs


class HeldOut:
    """Held-out examples, and what rows make of them. Call on the model thread."""

    def __init__(
        self,
        host: Host,
        data: Data,
        trainee: Trainee,
        *,
        marks: Marks | None,
        judge: str,
        replies: int,
        tokens: int,
        sampling: Sampling | None,
        seed: int,
        kept: Kept,
        readings: Readings,
        job: Job[Any],
    ) -> None:
        """
        Args:
            host: The model.
            data: Held-out examples.
            trainee: Where rows write.
            marks: Who judges replies; nobody where None.
            judge: The judge's name.
            replies: How many prompts are answered, at most.
            tokens: The most of a reply.
            sampling: How replies are drawn and rewarded; none are where None.
            seed: Of these draws, the same for all rows.
            kept: Finished parts.
            readings: What is read of texts.
            job: Told how far that is.
        """
        self._host, self._marks, self._judge, self._kept = host, marks, judge, kept
        labelled = hasattr(data[0], "completion")
        self._texts: Texts = texts_of(host, data, "labelled" if labelled else "pairs")
        self._known = readings.of(host, self._texts.replied, places=trainee.places, job=job)
        self._everyday = readings.everyday(host, trainee.places)
        prompts = list(dict.fromkeys(item.messages for item in data))
        self.prompts = prompts[: replies if marks is not None else min(replies, UNJUDGED)]
        """That are answered."""
        self._signs = signs_of(marks, judge, data, self.prompts) if marks is not None else np.array([])
        self._settings = DecodeSettings(max_new_tokens=tokens)
        self._sampling, self._seed = sampling, seed
        asked = texts_of(host, data, "wanted") if sampling is not None else Texts((), ())
        self._asked = [asked.replied[each.chosen][0] for each in asked.examples]
        self._draws = None if sampling is None else Draws(host, self._asked, asked.items, sampling, seed)

    def compared(self, row: Row, job: Job[Any]) -> Compared:
        """What a row does."""
        plan = row.plan(self._host)
        margins, prefers = self._margins(plan)
        replies = self._replies(row, plan, job)
        marks = [] if self._marks is None else self._marks(self.prompts, replies)
        sampled, greedy = self._rewards(row, plan)
        nats = self._nats(row, plan)
        return Compared(row, margins, prefers, np.array(marks), self._signs, sampled, greedy, tuple(replies), nats)

    def _nats(self, row: Row, plan: Plan) -> float:
        if row.trained is None:
            return 0.0
        return self._everyday.cost(plan) if row.trained.kl is None else row.trained.kl

    def uncompared(self, row: Row) -> Compared:
        """A row that nothing is known of, since somebody stopped the run while it was made."""
        none = np.array([])
        return Compared(row, none, none, none, none, none, none, (), math.nan)

    def _margins(self, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
        ratios, means = torch.zeros(len(self._known.texts)), torch.zeros(len(self._known.texts))
        for part in self._known.parts(range(len(ratios)), TOKENS):
            scores = self._known.scored(part, lambda real: plan)
            ratios[part], means[part] = scores.ratios.cpu(), scores.means.cpu()
        examples = self._texts.examples
        if examples[0].rejected is None:
            signs = torch.tensor([1.0 if each.wanted else -1.0 for each in examples])
            return (signs * ratios[[each.chosen for each in examples]]).numpy(), np.array([])
        chosen, rejected = (
            [each.chosen for each in examples],
            [each.rejected for each in examples if each.rejected is not None],
        )
        return (ratios[chosen] - ratios[rejected]).numpy(), (means[chosen] > means[rejected]).float().numpy()

    def _rewards(self, row: Row, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
        """Of drawn replies in the mean and of the likeliest, (example,) each."""
        if self._draws is None or self._sampling is None:
            return np.array([]), np.array([])
        ids = [prompt.ids for prompt in self._asked]
        key = digest("train rewards", fingerprint(self._host), ids, _identity(row), self._sampling.plain, self._seed)
        if key not in self._kept:
            every = range(len(self._asked))
            _, rewards = self._draws.drawn(every, plan, "held out")
            greedy = self._draws.greedy(every, plan)
            self._kept[key] = {"sampled": rewards.mean(dim=1).tolist(), "greedy": greedy.tolist()}
        return np.array(self._kept[key]["sampled"]), np.array(self._kept[key]["greedy"])

    def _replies(self, row: Row, plan: Plan, job: Job[Any]) -> list[str]:
        identity, prompts = _identity(row), [render(self._host, messages) for messages in self.prompts]
        keys = [
            digest("train replies", fingerprint(self._host), prompt.ids, identity, self._settings.model_dump())
            for prompt in prompts
        ]
        missing = [place for place, key in enumerate(keys) if key not in self._kept]
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            rows = [Asked(prompts[place], plan) for place in part]
            written = generate_each(job, self._host, rows, [self._settings] * len(rows))
            for done, (index, reply) in enumerate(written, start=start + 1):
                self._kept[keys[part[index]]] = {"text": reply.answer}
                job.report(done, len(missing), f"replies: {row.title}")
        return [str(self._kept[key]["text"]) for key in keys]


def _identity(row: Row) -> str:
    """What a row writes, by content."""
    if row.trained is None:
        return ""
    written = row.trained.intervention.model_copy(update={"vector": "", "others": ()})
    return digest(written.model_dump(mode="json"), [vector.content for vector in row.trained.vectors.values()])
