"""The loop that every training goes through: steps, checkpoints, and the curve of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from steering.job import Stopped
from steering.studies.dictionaries.course import Course
from steering.training.checkpoints import SECONDS, read_checkpoint, save_checkpoint
from steering.training.order import shuffled


Report = Callable[[int, float], None]
"""Called after each step with the number of steps done and the share of the batch's variance left unexplained."""
POINTS = 20
"""Points of the curve."""


class Learner(Protocol):
    """A dictionary on its way."""

    def step(self, rows: Tensor) -> float:
        """One step of the optimiser on these states; gives the share of their variance left unexplained."""

    def state(self) -> dict[str, Any]:
        """All that changes from step to step, as `torch.load` reads it with weights only."""

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""

    def save(self, folder: Path) -> None:
        """Write the finished dictionary into an empty folder. Nothing is learnt afterwards."""


def learn(
    learner: Learner,
    n: int,
    course: Course,
    *,
    checkpoint: Path | None = None,
    key: str = "",
    report: Report = lambda step, left: None,
) -> list[list[float]]:
    """Train to the end, from the checkpoint on where there is one of the same training.

    What a step sees depends on its number and the seed alone, so an interrupted training ends as it would have.

    Args:
        learner: What is trained.
        n: How many states there are.
        course: How.
        checkpoint: File that holds the training on its way; removed by whoever keeps the result. None: nothing is kept.
        key: Digest of all that the training depends on; a checkpoint of another one is ignored.
        report: Told of every step; what it raises ends the training.

    Returns:
        The curve: [step, share of the batch's variance left unexplained].
    """
    curve, start = _resumed(checkpoint, key, learner)
    batches = shuffled(n, course.batch, course.seed, start=start)
    every, saved = max(1, course.steps // POINTS), time.monotonic()
    for done in range(start + 1, course.steps + 1):
        left = learner.step(next(batches))
        if done % every == 0 or done == 1:
            curve.append([done, round(left, 4)])
        try:
            report(done, left)
        except (Stopped, KeyboardInterrupt):
            save_checkpoint(checkpoint, key, _content(done, curve, learner))
            raise
        if time.monotonic() - saved > SECONDS and done < course.steps:
            save_checkpoint(checkpoint, key, _content(done, curve, learner))
            saved = time.monotonic()
    return curve


def _content(done: int, curve: list[list[float]], learner: Learner) -> dict[str, Any]:
    return {"done": done, "curve": curve, "state": learner.state()}


def _resumed(checkpoint: Path | None, key: str, learner: Learner) -> tuple[list[list[float]], int]:
    """The curve so far and the number of steps done; the learner stands where it stood."""
    content = read_checkpoint(checkpoint, key)
    if content is None:
        return [], 0
    learner.resume(content["state"])
    return content["curve"], content["done"]
