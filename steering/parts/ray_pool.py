"""Parts computed by workers: a pool of Ray actors, here or on a cluster, each with the same model.

What a worker finds comes back and is kept here, so that a study that has been computed by workers goes on, and ends, as
if one process had computed it all. Ray is an extra and imported only here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.lane import Job, note
from steering.loading.loader import DTYPES
from steering.loading.options import LoadOptions
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.learnt import facts
from steering.numbers import counted
from steering.parts.part import Alone, Part, Told, here, spread_over
from steering.parts.ray_cluster import Workers, cluster
from steering.parts.ray_worker import About, Answer, Work, Worker, packed
from steering.store import Kept


BEAT = 0.1
"""Seconds between two looks for a stop."""
PATIENCE = 60.0
"""Seconds that workers have to end a step when they are to stop."""
MOST_LOST = 3
"""How often a part may be lost with its worker, and a worker be replaced."""


@contextmanager
def spread(host: Host, workers: Workers) -> Iterator[None]:
    """Have the parts of studies on this model computed by Ray actors meanwhile. They load it while one goes on here.

    Raises:
        SteeringError: Ray is not installed, no cluster is at the address, or it has no room for a worker. Later, from
            the study: a worker that cannot load the model or has another one, or workers that are lost.
    """
    with cluster(workers):
        pool = RayPool(host, workers)
        try:
            with spread_over(host, pool):
                yield
        finally:
            pool.close()


class RayPool:
    """Workers on a running Ray. What they compute is asked for on the model thread, one study at a time."""

    def __init__(self, host: Host, workers: Workers) -> None:
        import ray

        self._ray, self._workers, self._host = ray, workers, host.base
        self._about = About(fingerprint(host.base), versions())
        self._loading: dict[Any, Any] = {}
        """Actors by the reference to what they will say of themselves."""
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int]] = {}
        """Actors, and the pieces that they compute, by the reference to what will come of it."""
        self._calls = self._lost = 0
        self._at_work = False
        for _ in range(workers.count):
            self._start()

    def parts(self, job: Job[Any], host: Host, items: Sequence[Part], kept: Kept) -> Iterator[Told]:
        """As `steering.parts.part.parts`; of a part that is lost with its worker, another computes the rest. A study
        that is let in while another's parts are computed has its own computed by this process.
        """
        if self._at_work:
            yield from here(job, host, items, kept)
            return
        self._at_work = True
        try:
            yield from self._spread(job, host, items, kept)
        finally:
            self._at_work = False

    def _spread(self, job: Job[Any], host: Host, items: Sequence[Part], kept: Kept) -> Iterator[Told]:
        owners, pieces = [], list[Part]()
        for index, item in enumerate(items):
            own = item.pieces(host)
            pieces += own
            owners += [index] * len(own)
        left = Counter(owners)
        yield from (Told(index, ended=True) for index in range(len(items)) if not left[index])
        if not pieces:
            return
        sent = _Sent(self._ray, host, pieces)
        waiting, tries, begun = deque(range(len(pieces))), Counter[int](), set[int]()
        try:
            while waiting or self._busy:
                for index in self._hand_out(waiting, sent):
                    if owners[index] not in begun:
                        begun.add(owners[index])
                        yield Told(owners[index])
                job.check()
                for reference in self._ready():
                    actor, index = self._busy.pop(reference)
                    answer = self._answer(reference)
                    if answer is None:
                        tries[index] += 1
                        self._replace(tries[index])
                        waiting.appendleft(index)
                        continue
                    self._idle.append(actor)
                    _take(answer, kept)
                    left[owners[index]] -= 1
                    yield Told(owners[index], answer.n)
                    if not left[owners[index]]:
                        yield Told(owners[index], ended=True)
        finally:
            self._stop(kept)

    def close(self) -> None:
        """End the workers."""
        for actor in self._actors():
            self._ray.kill(actor)
        self._loading, self._idle, self._busy = {}, [], {}

    def _actors(self) -> list[Any]:
        return [*self._loading.values(), *self._idle, *(actor for actor, _ in self._busy.values())]

    def _start(self) -> None:
        """Begin another worker, which is told to load the model."""
        workers, host = self._workers, self._host
        threads = {name: str(workers.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=workers.threads,
                num_gpus=workers.gpus,
                max_concurrency=2,  # so that a stop is heard while a part is computed
                runtime_env={"env_vars": {**threads, "TOKENIZERS_PARALLELISM": "false"}},
            )
            .remote()
        )
        self._loading[actor.load.remote(host.name, options_of(host, workers), workers.threads)] = actor

    def _hand_out(self, waiting: deque[int], sent: _Sent) -> Iterator[int]:
        """Give every idle worker a piece; gives their indices."""
        while self._idle and waiting:
            actor, index = self._idle.pop(0), waiting.popleft()
            self._calls += 1
            self._busy[actor.compute.remote(self._calls, *sent.of(index))] = actor, index
            yield index

    def _ready(self) -> list[Any]:
        """References to pieces that are done or lost; workers that have loaded the model are idle from here on."""
        found, _ = self._ray.wait([*self._loading, *self._busy], num_returns=1, timeout=BEAT)
        for reference in found:
            if reference in self._loading:
                self._welcome(self._loading.pop(reference), reference)
        return [reference for reference in found if reference in self._busy]

    def _welcome(self, actor: Any, reference: Any) -> None:
        """Let a worker take part that has what this process has.

        Raises:
            SteeringError: It has another model or other versions, or could not load it.
        """
        about = self._answer(reference)
        if about is None:
            self._replace(self._lost // self._workers.count)
            return
        if isinstance(about, SteeringError):
            raise SteeringError(f"A worker cannot load the model. {about.given}", about.expected, about.remedy)
        if about != self._about:
            raise _other(about, self._about, self._host.name)
        self._idle.append(actor)

    def _answer(self, reference: Any) -> Any:
        """What a worker says; None where it is gone."""
        gone = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except (gone.RayActorError, gone.WorkerCrashedError, gone.OutOfMemoryError, gone.NodeDiedError):
            return None

    def _replace(self, tries: int) -> None:
        """Begin another worker in place of one that is gone.

        Raises:
            SteeringError: That has happened too often.
        """
        self._lost += 1
        if tries >= MOST_LOST:
            raise SteeringError(
                f"Workers ended {self._lost} times, the last {MOST_LOST} on the same work.",
                "workers that have the memory for the model and a part.",
                "Start fewer workers on a machine, or give each more of a GPU. What was finished is kept.",
            )
        said = "was lost; what it had not finished was given to another"
        before = f"{counted(self._lost - 1, 'worker')} {said}." if self._lost > 1 else ""
        note(f"{counted(self._lost, 'worker')} {said}.", instead_of=before)
        self._start()

    def _stop(self, kept: Kept) -> None:
        """End what is still computed, at its next step, and keep what is done of it."""
        if not self._busy:
            return
        for actor, _ in self._busy.values():
            actor.stop.remote(self._calls)
        ended, late = self._ray.wait(list(self._busy), num_returns=len(self._busy), timeout=PATIENCE)
        for reference in ended:
            actor, _ = self._busy.pop(reference)
            answer = self._answer(reference)
            if answer is None:
                self._start()
                continue
            kept.update(answer.kept)
            self._idle.append(actor)
        for reference in late:
            actor, _ = self._busy.pop(reference)
            self._ray.kill(actor)
            self._start()


class _Sent:
    """What workers are sent: all pieces together, once, and each that is to be sent alone when one is given it."""

    def __init__(self, ray: Any, host: Host, pieces: Sequence[Part]) -> None:
        self._ray, self._host, self._pieces = ray, host, pieces
        self._place = {index: place for place, index in enumerate(self._together())}
        self._all = [self._put([pieces[index] for index in self._place])] if self._place else []

    def of(self, index: int) -> tuple[list[Any], int]:
        """A reference to what holds a piece, in a list, and the piece's place there."""
        if index in self._place:
            return self._all, self._place[index]
        return [self._put([self._pieces[index]])], 0

    def _together(self) -> Iterator[int]:
        return (index for index, piece in enumerate(self._pieces) if not isinstance(piece, Alone))

    def _put(self, pieces: Sequence[Part]) -> Any:
        return self._ray.put(packed(Work(self._host.chat, tuple(facts(self._host)), tuple(pieces))))


def options_of(host: Host, workers: Workers) -> LoadOptions:
    """How workers load the model: as it was loaded here and in the same precision, on what they have."""
    options = replace(host.options, device="cuda" if workers.gpus else "cpu")
    known = host.info.dtype in DTYPES and not host.info.quantisation
    return replace(options, dtype=host.info.dtype) if known else options


def _take(answer: Answer, kept: Kept) -> None:
    """Keep what a worker found, and say what it noticed.

    Raises:
        SteeringError: What stopped it.
    """
    kept.update(answer.kept)
    for text in answer.notes:
        note(text)
    if answer.error is not None:
        raise answer.error


def _other(about: About, here: About, name: str) -> SteeringError:
    """What a worker has that this process has not."""
    packages = [each for each in here.versions if about.versions.get(each) != here.versions[each]]
    if packages:
        first = packages[0]
        return SteeringError(
            f"A worker has {first} {about.versions.get(first, 'not at all')}; here it is {here.versions[first]}.",
            "the same versions on all machines, so that the numbers are the same.",
            "Install the same versions there.",
        )
    return SteeringError(
        f"A worker has other weights, or another chat template, under the name '{name}' than this process "
        f"(digests {about.fingerprint} and {here.fingerprint}).",
        "the same model on all machines.",
        "Name it by a path or a Hub revision that is the same everywhere.",
    )
