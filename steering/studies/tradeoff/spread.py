"""A step of a trade-off as a part that any process can read that has the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Message
from steering.passes.many_plans import together
from steering.store import Kept
from steering.studies.tradeoff.items import Chunk, Treatment
from steering.studies.tradeoff.readings import BATCH, Reader


@dataclass(frozen=True, eq=False)
class Reading:
    """What some treatments make of a chunk of items."""

    chunk: Chunk
    treatments: tuple[Treatment, ...]
    """Each once."""

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """As `Reader.read`."""
        yield from Reader(host, kept).read(job, self.chunk, self.treatments)

    def pieces(self, host: Host) -> Sequence[Reading]:
        """Treatments that share their passes stay together."""
        groups: dict[tuple[Message, ...], list[Treatment]] = defaultdict(list)
        for treatment in self.treatments:
            groups[treatment.preface].append(treatment)
        return [
            Reading(self.chunk, tuple(piece))
            for preface, group in groups.items()
            for piece in self._pieces(host, group, behind=bool(preface))
        ]

    def _pieces(self, host: Host, group: Sequence[Treatment], *, behind: bool) -> Iterator[Sequence[Treatment]]:
        kind = self.chunk.items[0].kind
        if kind == "text":  # as many as fill whole batches, so that none is cut
            size = BATCH // gcd(BATCH, len(self.chunk))
            yield from (group[start : start + size] for start in range(0, len(group), size))
            return
        if kind == "own" and behind:  # which reads them all in one pass
            yield group
            return
        shared = [(block, [group[index] for index in each]) for block, each in together(host, [t.plan for t in group])]
        bare = [each for block, some in shared if block is None for each in some]  # read by every piece on its way
        steered = [some for block, some in shared if block is not None]
        yield from [[*bare, *steered[0]], *steered[1:]] if steered else [bare]


def unread(reader: Reader, steps: Sequence[tuple[Chunk, str, Sequence[Treatment]]]) -> list[Reading]:
    """What is to be read in every step: what is not kept, and no step before it reads."""
    asked, found = set[tuple[Any, ...]](), []
    for chunk, _, treatments in steps:
        new = [each for each in treatments if (chunk, each.key) not in asked and not reader.known(chunk, each)]
        asked |= {(chunk, each.key) for each in new}
        found.append(Reading(chunk, tuple(new)))
    return found
