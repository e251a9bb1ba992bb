"""What a pass gives, and batches that cannot be taken in one: rows of different lengths where the model does not bear
padding, replies where it keeps nothing to go on from, and more rows than the device has room for.

`tracing.py` asks `Abilities`, meets what does not fit, and falls back on these; nobody above it sees a difference but
the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.model.caches import selected, side_by_side
from steering.model.sites import ReadPlace
from steering.passes.exact import rows_at_once
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule


Reader = Callable[[ReadPlace, Tensor], None]
"""Receives the states at a place, (batch, position, width), after any write there."""


@dataclass(frozen=True)
class Forward:
    """What a forward pass gives back."""

    logits: Tensor
    """At the last position of each row, float32, (batch, vocabulary)."""
    cache: Any
    """What `read_token` goes on from: Hugging Face's own cache, or the text so far where the model has none."""
    written: Sequence[int]
    """How many positions of each row were written."""


@dataclass(frozen=True, eq=False)
class Start:
    """States that are known already, so that the blocks below need not run."""

    block: int
    """The first block that runs."""
    states: Tensor
    """At its input, (batch, position, width), as a pass over the same batch read them."""


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a batch that stand in the same columns, so that they can be read together without padding."""

    rows: Tensor
    """Indices in the batch, (n,)."""
    columns: slice
    """Where they stand in it."""
    batch: Batch
    schedule: Schedule
    """Of these rows; kept for all steps, since it remembers what gates decided."""

    def kept(self, batch: Batch, keep: int) -> int:
        """How many of the batch's last `keep` positions they have."""
        return max(0, self.columns.stop - max(self.columns.start, batch.ids.shape[1] - keep))

    def start(self, start: Start | None) -> Start | None:
        """Where a pass over them begins, of where one over the batch does."""
        return None if start is None else Start(start.block, start.states[self.rows, self.columns])


@dataclass(frozen=True, eq=False)
class Apart:
    """What parts that were read apart go on from."""

    parts: Sequence[tuple[Part, Any]]
    """Each with its own cache."""


@dataclass(frozen=True, eq=False)
class Text:
    """What was read and written so far, for a model that must read it again at every token."""

    batch: Batch
    written: Sequence[int]
    """Positions of each row that were written in it."""


def parts_of(batch: Batch, schedule: Schedule, at_once: int = 0) -> list[Part]:
    """The parts in which a model must be given a batch; none where it takes all of it.

    Args:
        batch: The whole.
        schedule: Of the whole.
        at_once: The most rows of a pass; no matter where 0.
    """
    can, (n, length) = schedule.host.abilities, batch.ids.shape
    # Where it gives logits at every token, they fill what there is room for.
    most = n if can.keeps is not None else rows_at_once(length * schedule.host.info.vocabulary, n)
    if not can.takes(batch.real):
        return split(batch, schedule, min(most, at_once or most))
    if at_once:
        return halves(batch, schedule, at_once)
    return [] if most == n else split(batch, schedule, most)


def split(batch: Batch, schedule: Schedule, at_once: int) -> list[Part]:
    """The rows of a batch by where they stand in it, at most so many together, or one by one."""
    at: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    starts, alone = batch.first, schedule.host.abilities.alone
    ends = starts + batch.real.sum(dim=1)
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        at[start, end, row if alone else 0].append(row)
    parts = []
    places = [
        (where, rows[first : first + at_once]) for where, rows in at.items() for first in range(0, len(rows), at_once)
    ]
    for (start, end, _), rows in places:
        index, columns = torch.tensor(rows), slice(start, end)
        own = Batch(batch.ids[index, columns], batch.real[index, columns], batch.last[index] - start)
        parts.append(Part(index, columns, own, Schedule(schedule.host, [schedule.plans[row] for row in rows])))
    return parts


def halves(batch: Batch, schedule: Schedule, at_once: int = 0) -> list[Part]:
    """The rows of a batch as they stand in it, padding included: half of them each, or at most so many."""
    n = len(batch.ids)
    at_once = at_once or (n + 1) // 2
    parts = []
    for first in range(0, n, at_once):
        rows = slice(first, min(n, first + at_once))
        own = Batch(batch.ids[rows], batch.real[rows], batch.last[rows])
        index = torch.arange(rows.start, rows.stop)
        parts.append(Part(index, slice(0, batch.ids.shape[1]), own, Schedule(schedule.host, schedule.plans[rows])))
    return parts


class Reads:
    """States of the parts, put together to those of the batch; zeros at padding."""

    def __init__(self, batch: Batch, *, apart: bool = False) -> None:
        """None are known yet.

        Args:
            batch: The whole.
            apart: Whether they lie on the CPU until they are handed on, since the device has no room for all of them.
        """
        self._shape, self._apart = batch.ids.shape, apart
        self._found: dict[ReadPlace, Tensor] = {}
        self._device = torch.device("cpu")

    def of(self, part: Part) -> Reader:
        """What takes the states of one part."""

        def read(place: ReadPlace, states: Tensor) -> None:
            self._device = states.device
            states = states.cpu() if self._apart else states
            if place not in self._found:
                self._found[place] = states.new_zeros(*self._shape, states.shape[-1])
            self._found[place][part.rows, part.columns] = states

        return read

    def give(self, read: Reader) -> None:
        """Hand on the states of the whole batch, in forward order."""
        while self._found:
            place = next(iter(self._found))
            read(place, self._found.pop(place).to(self._device))


class Once:
    """Hands states on, and knows which, so that a pass that was given up and is done in parts tells the rest."""

    def __init__(self, read: Reader | None) -> None:
        self._read = read
        self._told: set[ReadPlace] = set()

    def __call__(self, place: ReadPlace, states: Tensor) -> None:
        if self._read is not None:
            self._read(place, states)
        self._told.add(place)

    def left(self, places: Sequence[ReadPlace]) -> list[ReadPlace]:
        """Those of which nothing was told."""
        return [place for place in places if place not in self._told]


def apart(
    parts: Sequence[Part],
    batch: Batch,
    read_part: Callable[[Part, Reader | None, int, Start | None], Forward],
    *,
    reads: Reads,
    read: Reader | None,
    keep: int,
    start: Start | None,
) -> Forward:
    """What a pass over a batch gives, part after part.

    Args:
        parts: Of the batch.
        batch: The whole.
        read_part: Reads one of them: its reader, how many positions of logits to keep, and where it begins.
        reads: Puts states together.
        read: Gets them.
        keep: How many positions of the whole to keep.
        start: Where the whole begins.
    """
    forwards = []
    for part in parts:
        reader = None if read is None else reads.of(part)
        forwards.append(read_part(part, reader, max(2, part.kept(batch, keep)), part.start(start)))
    if read is not None:
        reads.give(read)
    logits = end_logits(parts, [forward.logits for forward in forwards], batch, max(1, keep))
    return joined(parts, forwards, logits if keep > 1 else logits[:, 0])


def end_logits(parts: Sequence[Part], logits: Sequence[Tensor], batch: Batch, keep: int) -> Tensor:
    """Logits of the parts at the last `keep` positions of the batch, (batch, keep, vocabulary); zeros at padding.

    Args:
        parts: The parts of `batch`.
        logits: Of each part, at the last positions that it has of these, (row, position, vocabulary).
        batch: The whole.
        keep: How many positions.
    """
    whole = logits[0].new_zeros(len(batch.ids), keep, logits[0].shape[-1])
    first = batch.ids.shape[1] - keep
    for part, own in zip(parts, logits, strict=True):
        n = part.kept(batch, keep)
        if n:
            end = part.columns.stop - first
            whole[part.rows, end - n : end] = own[:, -n:]
    return whole


def in_order(parts: Sequence[Part]) -> Tensor:
    """Where each row of the batch stands among the parts' rows one after the other, (batch,)."""
    return torch.cat([part.rows for part in parts]).argsort()


def joined(parts: Sequence[Part], forwards: Sequence[Forward], logits: Tensor) -> Forward:
    """What passes over the parts give together, with the logits put together already."""
    written = [n for forward in forwards for n in forward.written]
    apart = Apart([(part, forward.cache) for part, forward in zip(parts, forwards, strict=True)])
    return Forward(logits, apart, [written[row] for row in in_order(parts).tolist()])


def on_apart(
    parts: Sequence[Part],
    batch: Batch,
    read_on: Callable[..., tuple[Tensor, Any]],
    *,
    cache: Any,
    read: Reader | None,
    start: Start | None,
) -> tuple[Tensor, Any]:
    """What a pass that is gone on from gives, part after part: logits and the cache.

    Args:
        parts: Of the batch, which has no room for all.
        batch: The whole.
        read_on: Reads one of them.
        cache: Of what went before, of all rows.
        read: Gets the states.
        start: Where the whole begins.
    """
    reads, found = Reads(batch, apart=True), []
    for part in parts:
        own = None if cache is None else selected(cache, slice(int(part.rows[0]), int(part.rows[-1]) + 1))
        reader = None if read is None else reads.of(part)
        found.append(read_on(part.batch, part.schedule, cache=own, read=reader, start=part.start(start)))
    if read is not None:
        reads.give(read)
    return torch.cat([logits for logits, _ in found]), side_by_side([each for _, each in found])
