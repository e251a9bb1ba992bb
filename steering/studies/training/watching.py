"""The judge along a training: how replies to a few requests are marked while a vector is on its way."""

from __future__ import annotations

from typing import Any

import numpy as np

from steering.judges.marks import Marks
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.passes.decoding import generate_each
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row as Asked
from steering.recipes.recipe import Intervention
from steering.recipes.writes import Vectors, writes_of
from steering.studies.training.rows import Data
from steering.studies.training.sides import signs_of
from steering.training.trained import Point


WATCHED = 8
"""Requests that are answered at every look, at most."""


class Watched:
    """Marks the replies of a vector as it stands. Call on the model thread."""

    def __init__(self, host: Host, data: Data, marks: Marks, judge: str, *, tokens: int, job: Job[Any]) -> None:
        """
        Args:
            host: The model.
            data: Whose requests are answered, the first ones; none that vectors are compared on.
            marks: Who judges replies.
            judge: The judge's name.
            tokens: The most of a reply.
            job: That trains.
        """
        self._host, self._marks, self._job = host, marks, job
        self._requests: list[tuple[Message, ...]] = list(dict.fromkeys(item.messages for item in data))[:WATCHED]
        self._signs = signs_of(marks, judge, data, self._requests)
        self._prompts = [render(host, each) for each in self._requests]
        self._settings = DecodeSettings(max_new_tokens=tokens)

    def __call__(self, intervention: Intervention, vectors: Vectors) -> Point:
        """The mean mark of its replies, as `mark`."""
        plan = tuple(writes_of(intervention, self._host, vectors))
        rows = [Asked(prompt, plan) for prompt in self._prompts]
        written = dict(generate_each(self._job, self._host, rows, [self._settings] * len(rows)))
        marks = self._marks(self._requests, [written[index].answer for index in range(len(rows))])
        return {"mark": float((np.array(marks) * self._signs).mean())}
