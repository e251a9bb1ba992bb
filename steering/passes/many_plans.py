"""Prompts, perhaps with given replies, read under many plans at once: what is alike is read once.

A sweep of strengths reads the same texts again and again. Three things in it are the same every time, and are not
computed again: the blocks below the lowest one that is written (their states are known from one unsteered pass), the
tokens that all prompts begin with (once a plan, not once a prompt and plan), and a prompt that has several replies
(once a plan, not once a reply and plan). What comes out equals one pass a plan over whole texts, up to float error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from steering.lane import Job
from steering.model.caches import repeated, selected, with_lower_blocks
from steering.model.device_memory import NoRoom, if_it_fits
from steering.model.host import Host
from steering.model.sites import ReadPlace
from steering.passes.exact import rows_at_once
from steering.passes.given import TOKENS, Given, buckets, check, shared, slices, taken_of
from steering.passes.rows import Batch
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import Start, read_on, read_replies
from steering.writes.interventions import Plan


_PLANS = 32
"""Plans whose reading of the shared beginning is kept at a time."""
_WORTH_IT = 4
"""A shared beginning of fewer tokens is read with every prompt."""


@dataclass(frozen=True, eq=False)
class Read:
    """What some plans make of some prompts."""

    plans: Sequence[int]
    """Indices into the plans."""
    items: Sequence[int]
    """Indices into what was given."""
    logits: Tensor
    """float32 on the model's device, (plan, item, reply, place, vocabulary). Place 0 is the prompt's last token,
    place k the reply's k-th; one reply and one place where none were given. Places behind a reply mean nothing.
    """
    base: Tensor
    """The unsteered model's, (item, reply, place, vocabulary)."""
    taken: Tensor
    """The token that the reply has next, (item, reply, place); -1 at its end and behind it. On the model's device."""
    lengths: Tensor
    """Tokens of every reply, (item, reply)."""


def read_many(job: Job[Any], host: Host, given: Sequence[Given], plans: Sequence[Plan]) -> Iterator[Read]:
    """Every prompt under every plan, in parts of similar plans and equal prompt length. Call on the model thread.

    Args:
        job: Checked for a stop between two passes.
        host: The model.
        given: Prompts with as many replies each.
        plans: What is written. A plan that writes nothing is taken from the unsteered pass.

    Raises:
        SteeringError: A prompt with a reply that is longer than the context, or plans as `Schedule`.
    """
    check(host, given)
    for indices in slices(host, given):
        for read in _read_slice(job, host, [given[index] for index in indices], plans):
            yield replace(read, items=[indices[index] for index in read.items])


def _read_slice(job: Job[Any], host: Host, given: Sequence[Given], plans: Sequence[Plan]) -> Iterator[Read]:
    moved = [from_next_block(host, plan) for plan in plans]
    groups = together(host, plans)
    stem = _Stem(host, shared(given), sorted({block for block, _ in groups if block is not None and block > 0}))
    parts = [_Part(stem, given, indices) for indices in buckets(given, len(stem.ids))]
    for block, chosen in groups:
        stem.take([moved[index] for index in chosen], block)
        for part in parts:
            yield from part.read(job, chosen, [moved[index] for index in chosen], block)


def together(host: Host, plans: Sequence[Plan]) -> list[tuple[int | None, list[int]]]:
    """Indices of plans that share passes, with the block from which they are read: None where nothing is written, and
    -1 where texts must be read whole. Each may be read without the others, with the same numbers.
    """
    groups: dict[int | None, list[int]] = defaultdict(list)
    for index, plan in enumerate(plans):
        groups[_first_block(host, from_next_block(host, plan))].append(index)
    return [
        (block, of_group[start : start + _PLANS])
        for block, of_group in groups.items()
        for start in range(0, len(of_group), _PLANS)
    ]


class _Stem:
    """What all prompts begin with: read once, and once under each plan."""

    def __init__(self, host: Host, ids: tuple[int, ...], blocks: Sequence[int]) -> None:
        self.host, self.blocks = host, blocks
        self.shared = host.abilities.shares
        self.ids = ids if self.shared and len(ids) >= _WORTH_IT else ()
        self.base: Any = None
        self._inputs: dict[int, Tensor] = {}
        if self.ids:
            _, self.base, self._inputs = _unsteered(host, _whole([self.ids]), blocks)
        self._cache: Any = None

    def take(self, plans: Sequence[Plan], block: int | None) -> None:
        """Read it under these plans, a row each."""
        if self.ids and block is not None and block >= 0:
            batch = _whole([self.ids] * len(plans), last=len(self.ids))  # the last prompt token comes later
            start = Start(block, self._inputs[block].expand(len(plans), -1, -1)) if block else None
            _, self._cache = read_on(self.host, batch, Schedule(self.host, plans), start=start)

    def under(self, rows: slice, block: int, times: int) -> Any:
        """The cache of some of the plans taken, each row `times` times; None where nothing is shared."""
        return repeated(with_lower_blocks(selected(self._cache, rows), block, self.base), times) if self.ids else None


class _Part:
    """Prompts of equal length, with the unsteered pass over them."""

    def __init__(self, stem: _Stem, given: Sequence[Given], indices: Sequence[int]) -> None:
        self._stem, self._host, self._indices = stem, stem.host, indices
        self._items = [given[index] for index in indices]
        self._prompts = [item.prompt.ids[len(stem.ids) :] for item in self._items]
        self._replies = [reply for item in self._items for reply in item.replies]
        self._n, self._each = len(self._items), max(1, len(self._items[0].replies))
        self._known: dict[str, dict[int, Tensor]] = {}
        self._cache: Any = None
        self._longest = max(map(len, self._replies), default=0)
        self._base = self._read_whole([()])[0] if not stem.shared else self._read_unsteered()
        taken, self._lengths = taken_of(self._items)
        self._taken = taken.to(self._base.device)

    def read(self, job: Job[Any], chosen: Sequence[int], plans: Sequence[Plan], block: int | None) -> Iterator[Read]:
        """Read under the plans that the stem took, as many at once as fit; `block` is the first one that they write,
        None where they write nothing and -1 where texts must be read whole.
        """
        whole = block is not None and (block < 0 or not self._stem.shared)
        at_once, start = self._at_once(), 0
        while start < len(plans):
            job.check()
            rows = slice(start, start + at_once)
            logits = if_it_fits(lambda: self._logits(plans[rows], block, whole, rows))  # noqa: B023 - called here
            if logits is None and len(plans[rows]) == 1:
                raise NoRoom(self._host, len(self._items[0].prompt) + self._longest)
            if logits is None:
                at_once = (at_once + 1) // 2
                continue
            start += at_once
            yield Read(chosen[rows], self._indices, logits, self._base, self._taken, self._lengths)

    def _logits(self, plans: Sequence[Plan], block: int | None, whole: bool, rows: slice) -> Tensor:
        """Under some of the plans, (plan, item, reply, place, vocabulary)."""
        if block is None:
            return self._base.expand(len(plans), *self._base.shape)
        return self._read_whole(plans) if whole else self._read_on(plans, block, rows)

    def _at_once(self) -> int:
        """How many plans a pass may have."""
        prompt = len(self._prompts[0])
        tokens = self._n * (prompt + self._each * self._longest)
        places = self._n * self._each * (self._longest + 1)
        return rows_at_once(places * self._host.info.vocabulary, max(1, TOKENS // tokens))

    def _read_unsteered(self) -> Tensor:
        host, blocks, known = self._host, self._stem.blocks, len(self._stem.ids)
        before = repeated(self._stem.base, self._n) if known else None
        logits, self._cache, inputs = _unsteered(host, _whole(self._prompts), blocks, cache=before, length=known)
        self._known["prompts"] = inputs
        if self._replies:
            cache, length = repeated(self._cache, self._each), known + len(self._prompts[0])
            further, _, inputs = _unsteered(host, _right(self._replies), blocks, cache=cache, length=length)
            self._known["replies"] = inputs
            logits = torch.cat([logits.repeat_interleave(self._each, dim=0), further], dim=1)
        return logits.unflatten(0, (self._n, self._each))

    def _read_on(self, plans: Sequence[Plan], block: int, rows: slice) -> Tensor:
        known, cache = len(self._stem.ids), self._stem.under(rows, block, self._n)
        logits, cache = self._pass("prompts", _whole(self._prompts), plans, block, cache, known)
        if self._replies:
            cache = repeated(with_lower_blocks(cache, block, self._cache), self._each)
            length = known + len(self._prompts[0])
            further, _ = self._pass("replies", _right(self._replies), plans, block, cache, length)
            logits = torch.cat([logits.repeat_interleave(self._each, dim=0), further], dim=1)
        return logits.unflatten(0, (len(plans), self._n, self._each))

    def _pass(
        self, what: str, batch: Batch, plans: Sequence[Plan], block: int, cache: Any, length: int
    ) -> tuple[Tensor, Any]:
        schedule = Schedule(self._host, [plan for plan in plans for _ in batch.ids])
        start = Start(block, self._known[what][block].repeat(len(plans), 1, 1)) if block else None
        keep = 1 if what == "prompts" else batch.ids.shape[1]
        many = batch.repeated(len(plans))
        return read_on(self._host, many, schedule, cache=cache, length=length, keep=keep, start=start)

    def _read_whole(self, plans: Sequence[Plan]) -> Tensor:
        prompts = [item.prompt for item in self._items for _ in range(self._each)] * len(plans)
        schedule = Schedule(self._host, [plan for plan in plans for _ in range(self._n * self._each)])
        batch = Batch.of(self._host, prompts, "right", replies=self._replies * len(plans) or None)
        n = max(map(len, self._replies), default=0) + 1
        return read_replies(self._host, batch, schedule, n=n).unflatten(0, (len(plans), self._n, self._each))


def _unsteered(
    host: Host, batch: Batch, blocks: Sequence[int], *, cache: Any = None, length: int = 0
) -> tuple[Tensor, Any, dict[int, Tensor]]:
    """An unsteered pass: logits at all positions of replies or the last one of prompts, the cache, and the states at
    the input of `blocks` by block.
    """
    kept: dict[int, Tensor] = {}

    def read(place: ReadPlace, states: Tensor) -> None:
        kept[place[0]] = states.clone()

    schedule = Schedule(host, [()] * len(batch.ids))
    places: list[Place] = [(block, "block_input") for block in blocks]
    keep = batch.ids.shape[1] if int(batch.last[0]) < 0 else 1
    logits, cache = read_on(host, batch, schedule, cache=cache, length=length, keep=keep, read=read, places=places)
    return logits, cache, kept


def from_next_block(host: Host, plan: Plan) -> Plan:
    """The plan with what it writes at its lowest block's output written at the next block's input instead, where that
    is the same place: so one block more lies below.
    """
    lowest = min((write.block for write in plan), default=0)
    at_end = [write for write in plan if write.block == lowest and write.site == "block_output"]
    others = any(write.operation.reads or (write.block == lowest and write not in at_end) for write in plan)
    if not at_end or others or not host.sites.linked or lowest + 1 >= host.info.blocks:
        return plan
    moved = {id(write): replace(write, block=lowest + 1, site="block_input") for write in at_end}
    return (*moved.values(), *(write for write in plan if id(write) not in moved))


def _first_block(host: Host, plan: Plan) -> int | None:
    """The first block that is written, or read for a write; None where nothing is, -1 where texts must be read whole.

    A gate is decided at the prompt's last token and holds for those before it; positions count from the first one.
    """
    if not plan:
        return None
    if any(write.gate is not None or isinstance(write.scope, tuple) for write in plan):
        return -1
    return min(write.operation.reads[0] if write.operation.reads else write.block for write in plan)


def _whole(rows: Sequence[Sequence[int]], last: int | None = None) -> Batch:
    """Rows of equal length; `last` is their last prompt token's index, the end where None."""
    ids = torch.tensor([list(row) for row in rows])
    end = ids.shape[1] - 1 if last is None else last
    return Batch(ids, torch.ones_like(ids, dtype=torch.bool), torch.full((len(rows),), end))


def _right(replies: Sequence[Sequence[int]]) -> Batch:
    """Replies, padded on the right; their prompts' last tokens lie before them."""
    longest = max(map(len, replies))
    ids = torch.tensor([[*reply, *[0] * (longest - len(reply))] for reply in replies])
    real = torch.arange(longest) < torch.tensor([len(reply) for reply in replies])[:, None]
    return Batch(ids, real, torch.full((len(replies),), -1))
