"""One worker: a model in a process of its own, which computes the parts that it is given. It needs no workbench."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import torch

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.lane import Job, Stopped
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.learnt import Fact, learn
from steering.parts.part import Part
from steering.store import Carried


@dataclass(frozen=True)
class About:
    """What a worker has, which must be what the driver has."""

    fingerprint: str
    """See `steering.model.fingerprint`."""
    versions: dict[str, str]
    """Of the library and what it computes with."""


@dataclass(frozen=True)
class Answer:
    """What came of a part."""

    kept: dict[str, dict[str, Any]]
    """What it would have kept, by key: all of it, or as much as was done when it was stopped or failed."""
    n: int
    """Units that were done."""
    notes: tuple[str, ...]
    error: SteeringError | Stopped | None = None


@dataclass(frozen=True)
class Work:
    """Everything that workers need to know of some parts, sent to each of them once."""

    chat: ChatSettings
    facts: tuple[Fact, ...]
    """What the driver knows of the model, such as strengths in nats."""
    pieces: tuple[Part, ...]


class Worker:
    """The actor. One part at a time; `stop` may be called meanwhile."""

    def __init__(self) -> None:
        self._host: Host
        self._kept = Carried({})
        self._work: tuple[str, Work] | None = None
        self._job: Job[Any] | None = None
        self._stopped = -1

    def load(self, name: str, options: LoadOptions, threads: int) -> About | SteeringError:
        """Load the model by its path or name; gives what it is, or why it is not."""
        try:
            self._host = Host.load(name, options=options)
        except SteeringError as error:
            return error
        self._host.run(lambda job: torch.set_num_threads(threads), title="Setting threads")
        return About(fingerprint(self._host), versions())

    def compute(self, number: int, sent: Sequence[Any], index: int) -> Answer:
        """Compute a part.

        Args:
            number: Of this call, among all of the driver's, ascending.
            sent: A reference to the packed `Work`, in a list, so that it is read once and not at every call.
            index: Of the part among those of the work.
        """
        work, found, done = self._read(sent[0]), dict[str, dict[str, Any]](), 0
        self._kept.tell = found.__setitem__

        def compute(job: Job[None]) -> None:
            nonlocal done
            for n in work.pieces[index].compute(job, self._host.under(work.chat), self._kept):
                done += n
                job.check()

        self._job = job = self._host.submit(compute, title="Computing a part")
        if number <= self._stopped:  # which came before there was a job
            job.stop()
        error: SteeringError | Stopped | None = None
        try:
            job.result()
        except (SteeringError, Stopped) as ended:
            error = ended
        return Answer(found, done, tuple(job.notes), error)

    def stop(self, number: int) -> None:
        """End the part of a call, or of any before it, at its next step."""
        self._stopped = number
        if self._job is not None:
            self._job.stop()

    def _read(self, reference: Any) -> Work:
        import ray

        if self._work is None or self._work[0] != reference.hex():
            work: Work = pickle.loads(ray.get(reference))
            learn(self._host, work.facts)
            # What was found for others the driver may not have: of these parts alone, all is told.
            self._work, self._kept = (reference.hex(), work), Carried({})
        return self._work[1]


def packed(work: Work) -> bytes:
    """Work as bytes that any worker reads, whatever device it has."""
    file = io.BytesIO()
    _Pickler(file).dump(work)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, torch.Tensor) and thing.device.type != "cpu":
            return thing.cpu().__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        return super().reducer_override(thing)
