"""All that a training depends on, beside the model and its texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steering.training.beginnings import Start
from steering.training.course import Course
from steering.training.losses import Loss
from steering.training.rewards import Sampling
from steering.training.trainee import Trainee
from steering.vectors.vector import SteeringVector


@dataclass(frozen=True, eq=False)
class Asked:
    """All that a training depends on beside the model and its texts."""

    trainee: Trainee
    loss_name: str
    loss: Loss
    numbers: Mapping[str, float]
    course: Course
    nats: float | None
    start: Start | SteeringVector
    data: str
    """Digest of the examples."""
    held_out: str
    """Digest of those on which it is watched."""
    sampling: Sampling | None = None
    """Of a loss that samples."""

    @property
    def plain(self) -> dict[str, Any]:
        """As provenance and checkpoints have it."""
        start = self.start.content if isinstance(self.start, SteeringVector) else self.start
        trainee = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.trainee).items()}
        sampled = {} if self.sampling is None else {"sampling": self.sampling.plain}
        return {
            **sampled,
            "loss": self.loss_name,
            "numbers": dict(self.numbers),
            **trainee,
            **asdict(self.course),
            "budget": self.nats,
            "start": start,
            "data": self.data,
            "validation": self.held_out,
        }
