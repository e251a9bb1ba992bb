"""A batch that is being decoded: rows leave it when they end, and others may come in between two tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from steering.model.device_memory import if_it_fits
from steering.model.host import Host
from steering.model.pace import note_step
from steering.passes.cache_room import GROWING, with_room, without_room
from steering.passes.captured import Captured, captured
from steering.passes.replies import DecodeSettings
from steering.passes.row_states import RowState, most_left, states_of, take
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_again, read_prompts, read_token


MOST = 1_000_000
"""Rows, where nothing was too large yet."""
_KEPT = ("keys", "values")
"""Of a layer of a cache."""


@dataclass(eq=False)
class Running:
    """Rows between two tokens. Call everything on the model thread."""

    host: Host
    states: list[RowState]
    """One a row."""
    schedule: Schedule
    seen: Tensor
    """True at every position that is no padding, boolean, (row, position)."""
    cache: Any
    """Of all positions."""
    steps: int = 0
    """Tokens that were read one by one."""
    together: int = 0
    """Of these, those since rows came or went."""
    at_once: int = MOST
    """Rows of a pass at most, since there was no room for more."""

    @classmethod
    def begin(cls, host: Host, rows: Sequence[Row], settings: Sequence[DecodeSettings]) -> Running:
        """Read the prompts and take the first token of each reply.

        Raises:
            SteeringError: As `steering.passes.decoding.next_token_logits`.
        """
        return cls._read(host, Schedule(host, [row.plan for row in rows]), states_of(rows, settings))

    @classmethod
    def _read(cls, host: Host, schedule: Schedule, states: list[RowState]) -> Running:
        batch = Batch.of(host, [state.row.prompt for state in states])
        forward = read_prompts(host, batch, schedule)
        for state, written in zip(states, forward.written, strict=True):
            state.prompt_written = written
        take(host, states, forward.logits)
        return cls(host, states, schedule, batch.real, forward.cache)

    @classmethod
    def begin_each(cls, host: Host, asked: Sequence[tuple[Sequence[Row], Sequence[DecodeSettings]]]) -> list[Running]:
        """Begin several batches with one pass over all their prompts; only the first of them where what was read
        together cannot be parted.

        Raises:
            SteeringError: As `begin`.
        """
        if len(asked) == 1:
            return [cls.begin(host, *asked[0])]
        schedule = Schedule(host, [row.plan for rows, _ in asked for row in rows])
        states = [states_of(rows, settings) for rows, settings in asked]
        whole = cls._read(host, schedule, [state for each in states for state in each])
        if not whole.is_plain:
            return [cls.begin(host, *asked[0])]
        ends = [0, *accumulate(map(len, states))]
        return [whole._parted(range(start, end)) for start, end in pairwise(ends)]

    def _parted(self, rows: Sequence[int]) -> Running:
        """Some of the rows by themselves, while this batch, which has just begun, stays as it is."""
        cache = copy(self.cache)
        cache.layers = [copy(layer) for layer in self.cache.layers]
        part = replace(self, cache=cache, states=list(self.states))
        part.keep(rows)
        return part

    def step(self) -> float:
        """Read one token of every row and take the next one; gives the seconds that it took.

        Raises:
            Stopped: Somebody asked the job at hand to end; all is as before.
        """
        seen = torch.cat([self.seen, torch.ones(len(self.states), 1, dtype=torch.bool)], dim=1)
        tokens = torch.tensor([state.next for state in self.states])
        if self.together == 1:  # the rows have come to stay, and the way of a step is shown
            room = max(most_left(self.host, state) for state in self.states)
            launched = captured(self.host, self.cache, self.schedule, self.seen, room)
            self.cache = launched or with_room(self.cache, room) or self.cache
        began = time.perf_counter()
        forward = if_it_fits(lambda: read_token(self.host, tokens, seen, self.cache, self.schedule))
        if forward is None:
            self.cache = None  # which the step may have grown in part
            self.at_once = (min(self.at_once, len(self.states)) + 1) // 2
            forward = read_again(self.host, self._text(seen), self.schedule, self._written, self.at_once)
        taken = time.perf_counter() - began
        if self.steps:  # the first one may still be setting something up
            note_step(self.host, len(self.states), taken)
        self.seen, self.cache = seen, forward.cache
        self.steps, self.together = self.steps + 1, self.together + 1
        for state, written in zip(self.states, forward.written, strict=True):
            state.generated_written += 0 if state.finish else written
        take(self.host, self.states, forward.logits)
        return taken

    @property
    def _written(self) -> list[int]:
        """How many positions of each row were written so far."""
        return [state.prompt_written + state.generated_written for state in self.states]

    def _text(self, seen: Tensor) -> Batch:
        """The prompts with all that was read behind them; what rows read after their end is anything."""
        ids, first = torch.zeros(seen.shape, dtype=torch.long), seen.int().argmax(dim=1)
        for row, state in enumerate(self.states):
            n = int(seen[row].sum())
            ids[row, seen[row]] = torch.tensor([*state.row.prompt.ids, *state.ids, *[0] * n][:n])
        prompts = torch.tensor([len(state.row.prompt) for state in self.states])
        return Batch(ids, seen, first + prompts - 1)

    @property
    def is_plain(self) -> bool:
        """Whether rows can come and go: the cache is keys and values by position, and padding leaves a row alone."""
        return isinstance(self.cache, Captured) or (
            self.host.abilities.shares
            and type(self.cache) is DynamicCache
            and all(type(layer) in GROWING for layer in self.cache.layers)
        )

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows, without the positions at which all that are left have padding."""
        if len(rows) == len(self.states):
            return
        self._loosen()
        seen = self.seen[rows]
        first = int(seen.any(dim=0).int().argmax())
        for layer in self.cache.layers:
            layer.keys, layer.values = (each[rows, :, first:] for each in (layer.keys, layer.values))
        self.seen, self.states = seen[:, first:], [self.states[row] for row in rows]
        self.schedule = Schedule.joined([(self.schedule, rows)])

    def take_in(self, other: Running) -> bool:
        """Go on with the rows of another batch beside one's own; the shorter texts get padding in front. Gives True,
        for `if_it_fits`: where there is no room, both are as they were.
        """
        for each in (self, other):
            each._loosen()
        length = max(self.seen.shape[1], other.seen.shape[1])
        both = [(each, length - each.seen.shape[1]) for each in (self, other)]
        made = []
        for layers in zip(self.cache.layers, other.cache.layers, strict=True):
            parts = [(layer, n) for layer, (_, n) in zip(layers, both, strict=True)]
            made.append([torch.cat([_longer(getattr(layer, name), n) for layer, n in parts]) for name in _KEPT])
        for own, (keys, values) in zip(self.cache.layers, made, strict=True):  # all of them, or none for want of room
            own.keys, own.values = keys, values
        self.seen = torch.cat([pad(each.seen, (n, 0)) for each, n in both])
        rows = [(each.schedule, range(len(each.states))) for each, _ in both]
        self.schedule, self.states = Schedule.joined(rows), [*self.states, *other.states]
        return True

    def _loosen(self) -> None:
        """Go on from the model's own cache, since other rows are to be decoded together from here on."""
        self.together = 0
        self.cache = self.cache.loosened() if isinstance(self.cache, Captured) else without_room(self.cache)


def _longer(part: Tensor, n: int) -> Tensor:
    """Keys or values, (row, head, position, width), with `n` empty positions in front."""
    return pad(part, (0, 0, n, 0)) if n else part
