"""What a pass gives, and batches that a model cannot take in one: rows of different lengths where it does not bear
padding, and replies where it keeps nothing to go on from.

`tracing.py` asks `Abilities` and falls back on these; nobody above it sees a difference but the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.model.sites import ReadPlace
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


class Reads:
    """States of the parts, put together to those of the batch; zeros at padding."""

    def __init__(self, batch: Batch) -> None:
        self._shape = batch.ids.shape
        self._found: dict[ReadPlace, Tensor] = {}

    def of(self, part: Part) -> Reader:
        """What takes the states of one part."""

        def read(place: ReadPlace, states: Tensor) -> None:
            if place not in self._found:
                self._found[place] = states.new_zeros(*self._shape, states.shape[-1])
            self._found[place][part.rows, part.columns] = states

        return read

    def give(self, read: Reader) -> None:
        """Hand on the states of the whole batch, in forward order."""
        for place, states in self._found.items():
            read(place, states)


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
