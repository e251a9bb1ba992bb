"""What a part of a study's work is, and the one place where parts are computed.

A study names its parts, in the order in which it wants them; each puts what it finds where finished work is kept, by
its content. Who computes them makes no difference to what is kept: this process, one part after the other, or workers
that each have the same model, several at a time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from steering.lane import Job
from steering.model.host import Host
from steering.store import Kept


class Part(Protocol):
    """A piece of work: plain data, plans and vectors, so that it can be sent to another process."""

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Compute what is not kept yet and keep it; gives how many more units are done, as they come.

        Call on the model thread.
        """

    def pieces(self, host: Host) -> Sequence[Part]:
        """The same work in smaller parts, for several workers; none where nothing is to be done.

        They go through the same passes over the model, so that the numbers are those of the whole to the last digit.
        """


class Alone:
    """A part whose pieces hold or find so much that each is sent by itself, once a worker is free for it, and goes from
    there with the next one. Pieces of other parts are sent all together, so that what they share is sent once.
    """


@dataclass(frozen=True)
class Told:
    """How far one of several parts is."""

    part: int
    """Its index."""
    n: int = 0
    """Units that are done since it was told last; all that they gave is kept."""
    ended: bool = False
    """Whether all of it is done."""


class Pool(Protocol):
    """Workers that have the same model."""

    def parts(self, job: Job[Any], host: Host, items: Sequence[Part], kept: Kept) -> Iterator[Told]:
        """As `parts`."""


_POOLS: WeakKeyDictionary[Host, Pool] = WeakKeyDictionary()
"""Who computes parts for a model, where it is not this process."""


def parts(job: Job[Any], host: Host, items: Sequence[Part], kept: Kept) -> Generator[Told, None, None]:
    """Compute parts; tells when one begins, how far it is, and when it has ended.

    Call on the model thread, and close it (`contextlib.closing`) where it is left early, so that workers stop.

    Args:
        job: Checked for a stop; what is done is kept.
        host: The model, under the chat settings that the parts are about.
        items: The parts, in the order in which they are wanted; workers may end them in another.
        kept: Where what they find is kept.

    Raises:
        SteeringError: Whatever a part raises, or workers that are lost.
    """
    pool = _POOLS.get(host.base)
    if pool is not None:
        yield from pool.parts(job, host, items, kept)
        return
    yield from here(job, host, items, kept)


def here(job: Job[Any], host: Host, items: Sequence[Part], kept: Kept) -> Generator[Told, None, None]:
    """As `parts`, by this process, whoever else might."""
    for index, item in enumerate(items):
        yield Told(index)
        for n in item.compute(job, host, kept):
            yield Told(index, n)
        yield Told(index, ended=True)


def spreads(host: Host) -> bool:
    """Whether workers compute parts for this model."""
    return host.base in _POOLS


def ahead(job: Job[Any], host: Host, items: Sequence[Part], kept: Kept, what: str) -> None:
    """Have workers compute parts that a study comes to one by one afterwards, and finds kept. Where there are none, it
    comes to them all the same.

    Args:
        job: Told how many units are done.
        host: As for `parts`.
        items: The parts.
        kept: As for `parts`.
        what: What the units are.
    """
    if not spreads(host):
        return
    done = ended = 0
    with closing(parts(job, host, items, kept)) as told:
        for each in told:
            done, ended = done + each.n, ended + each.ended
            job.report(done, None, what, share=ended / len(items))


@contextmanager
def spread_over(host: Host, pool: Pool) -> Iterator[None]:
    """Have the parts of studies on this model computed by a pool meanwhile."""
    _POOLS[host.base] = pool
    try:
        yield
    finally:
        del _POOLS[host.base]
