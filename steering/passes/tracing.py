"""The only file that reads and writes the model through nnsight: one forward pass over a batch of rows, each with its
plan.

The traced body visits places in forward order (nnsight serves every value once, in that order). A generation is a
forward pass over the prompts and one more per token with the key-value cache; each is a trace of its own. Writes
therefore reach every decoding step, and a stop takes effect between two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import look_for_stop
from steering.model.caches import repeated
from steering.model.device_memory import fitting, note_fitted
from steering.model.host import Host
from steering.model.outputs import as_output
from steering.model.sites import ReadPlace
from steering.passes.captured import Captured
from steering.passes.checkpointed import Back, checkpointed
from steering.passes.frozen import frozen
from steering.passes.hooked import ends, one_step
from steering.passes.pass_inputs import accepted, inputs_of, inputs_of_step, options_of
from steering.passes.rows import Batch
from steering.passes.schedule import Coverage, Schedule
from steering.passes.split_batches import (
    Apart,
    Forward,
    Once,
    Part,
    Reader,
    Reads,
    Start,
    Text,
    apart,
    halves,
    in_order,
    joined,
    on_apart,
    parts_of,
)
from steering.passes.starting import tried_start
from steering.passes.stops import blocks_of
from steering.passes.visitor import Route, Visitor


__all__ = ["Forward", "Reader", "Start", "read_on", "read_prompts", "read_replies", "read_token", "starts"]


def read_prompts(
    host: Host,
    batch: Batch,
    schedule: Schedule,
    *,
    read: Reader | None = None,
    places: Sequence[ReadPlace] = (),
    start: Start | None = None,
    gradients: Back = False,
) -> Forward:
    """The pass over the prompts: writes by scope, reads at `places`. Call on the model thread.

    Args:
        host: The model.
        batch: The prompts.
        schedule: The plans.
        read: Gets the states at each of `places`.
        places: Where to read.
        start: Where to begin; nothing is written or read below, and what comes back has no cache to go on with.
        gradients: Whether logits can be gone back from to what a write has marked, and what is kept for that; see
            `passes.gradients`.

    Raises:
        SteeringError: A scope names a token behind a prompt's end.
    """
    return _read(host, batch, schedule, _Asked(read, places, start=start, gradients=gradients))


def read_replies(
    host: Host,
    batch: Batch,
    schedule: Schedule,
    *,
    n: int,
    read: Reader | None = None,
    places: Sequence[ReadPlace] = (),
    start: Start | None = None,
    gradients: Back = False,
) -> Tensor:
    """One pass over prompts with given replies, as if the model had written them. Call on the model thread.

    Args:
        host: The model.
        batch: Prompts and replies, padded on the left.
        schedule: The plans; tokens of the reply count as generated.
        n: How many positions to keep.
        read: Gets the states at each of `places`.
        places: Where to read.
        start: Where to begin; nothing is written or read below.
        gradients: Whether logits can be gone back from to tensors of the plans that require it, and what is kept for
            that.

    Returns:
        Logits at the last `n` positions, float32, (batch, n, vocabulary).

    Raises:
        torch.OutOfMemoryError: With gradients, the rows do not fit at once; without, fewer are read at a time.
    """
    logits = _read(host, batch, schedule, _Asked(read, places, n, start, gradients)).logits
    return logits if n > 1 else logits[:, None]


def read_on(
    host: Host,
    batch: Batch,
    schedule: Schedule,
    *,
    cache: Any = None,
    length: int = 0,
    keep: int = 0,
    read: Reader | None = None,
    places: Sequence[ReadPlace] = (),
    start: Start | None = None,
) -> tuple[Tensor, Any]:
    """A pass over a part of some texts that can be gone on from: their first tokens, or what stands behind tokens read
    before. Call on the model thread.

    Args:
        host: The model.
        batch: The part, padded on the right: a window of attention counts places, and padding between this part and
            what went before would fill it. Its `last` may lie before or behind it.
        schedule: The plans. A gate must be read where it decides, so plans have none.
        cache: Of what went before; it stays as it is.
        length: How many tokens went before.
        keep: How many positions' logits to keep; at least one is.
        read: Gets the states at each of `places`, of the batch's own tokens.
        places: Where to read.
        start: Where to begin.

    Returns:
        Logits at the last `keep` positions, float32, (batch, keep, vocabulary), and the cache to go on from.

    Raises:
        SteeringError: A cache was given, and one reading of this model cannot be gone on from (`Abilities.shares`).
    """
    if cache is not None and not host.abilities.shares:
        raise SteeringError(
            f"{host.name} was to go on from a text that it read before.",
            "a model whose key-value cache several rows can share.",
            "Read whole texts (`read_prompts`, `read_replies`).",
        )
    told = Once(read)

    def whole() -> Forward:
        own = None if cache is None else repeated(cache, 1)
        given = schedule.of_prompts(batch), batch.last, _Asked(told, places, keep, start)
        return _forward(host, inputs_of(batch, length), own, schedule, *given, use_cache=True)

    forward = fitting(host, batch.ids.shape, whole)
    if forward is not None:
        return forward.logits if keep > 1 else forward.logits[:, None], forward.cache
    on = partial(read_on, host, length=length, keep=keep, places=told.left(places))
    return on_apart(halves(batch, schedule), batch, on, cache=cache, read=read, start=start)


def read_token(host: Host, tokens: Tensor, seen: Tensor, cache: Any, schedule: Schedule) -> Forward:
    """One decoding step. Call on the model thread.

    Args:
        host: The model.
        tokens: The token that each row got last, (batch,).
        seen: True at every position that is no padding, the new token's included, (batch, position).
        cache: From the step before.
        schedule: The plans.
    """
    if isinstance(cache, Apart):
        steps = [
            read_token(host, tokens[part.rows], seen[part.rows, part.columns.start :], own, part.schedule)
            for part, own in cache.parts
        ]
        parts = [part for part, _ in cache.parts]
        return joined(parts, steps, torch.cat([step.logits for step in steps])[in_order(parts)])
    if isinstance(cache, Text):
        step = _read(host, cache.batch.longer(tokens), schedule)
        new = [after - before for after, before in zip(step.written, cache.written, strict=True)]
        return replace(step, written=new)
    if isinstance(cache, Captured):
        return cache.read(tokens, seen, lambda own: read_token(host, tokens, seen, own, schedule))
    inputs = inputs_of_step(tokens, seen)
    look_for_stop()
    taken, options = accepted(host, inputs, steps=True), options_of(host, inputs, cache, 1, use_cache=True)
    return one_step(host, taken, options, schedule, _traced, padded=not bool(seen.all()))


def read_again(host: Host, batch: Batch, schedule: Schedule, written: Sequence[int], at_once: int) -> Forward:
    """A decoding step from the text itself, for as many rows at once, where the cache of all leaves no room for it.
    Call on the model thread.

    Args:
        host: The model.
        batch: The prompts with all that was written so far.
        schedule: The plans.
        written: How many positions of each row were written before this step.
        at_once: Rows of a pass, from now on.

    Raises:
        NoRoom: One row alone does not fit.
    """
    forward = _read(host, batch, schedule, at_once=at_once)
    return replace(forward, written=[n - before for n, before in zip(forward.written, written, strict=True)])


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a pass is asked for; see `read_replies`."""

    read: Reader | None = None
    places: Sequence[ReadPlace] = ()
    keep: int = 1
    start: Start | None = None
    gradients: Back = False


_LOGITS = _Asked()


def _read(host: Host, batch: Batch, schedule: Schedule, asked: _Asked = _LOGITS, at_once: int = 0) -> Forward:
    """One pass over a batch, over each of the parts in which the model must be given it, or over both halves where all
    rows do not fit.
    """
    parts, reads, read, places = parts_of(batch, schedule, at_once), Reads(batch), asked.read, asked.places
    if not parts:
        told = Once(read)

        def whole() -> Forward:
            own = schedule.of_prompts(batch), batch.last, replace(asked, read=told)
            return _forward(host, inputs_of(batch), None, schedule, *own)

        forward = whole() if asked.gradients else fitting(host, batch.ids.shape, whole)
        if forward is not None:
            return forward if host.abilities.cache else replace(forward, cache=Text(batch, forward.written))
        parts, reads, places = halves(batch, schedule), Reads(batch, apart=True), told.left(places)

    def read_part(part: Part, reader: Reader | None, keep: int, start: Start | None) -> Forward:
        own = _Asked(reader, places, keep, start, asked.gradients)
        return _read(host, part.batch, part.schedule, own)

    return apart(parts, batch, read_part, reads=reads, read=read, keep=asked.keep, start=asked.start)


def _forward(
    host: Host,
    inputs: dict[str, Tensor],
    cache: Any,
    schedule: Schedule,
    coverage: Coverage,
    last: Tensor | None,
    asked: _Asked,
    use_cache: bool | None = None,
) -> Forward:
    look_for_stop()  # whatever loop the pass belongs to
    n_kept = max(1, asked.keep)  # none are wanted where keep is 0, but 0 would mean all
    start = asked.start if asked.start is not None and starts(host) else None
    taken = accepted(host, inputs, steps=last is None)
    # A way back goes on from nothing, and modules that are run again must not add to a cache a second time.
    use_cache = start is None and not asked.gradients if use_cache is None else use_cache
    options = options_of(host, inputs, cache, n_kept, use_cache)
    route = Route.of(host, schedule, coverage, asked.places)
    visitor = Visitor(route, coverage, len(inputs["input_ids"]), last, asked.read, frozenset(asked.places))
    output = _traced(host, taken, options, visitor, n_kept, start, asked.gradients)
    note_fitted(host, inputs["attention_mask"].shape[1])
    logits = output["logits"] if asked.keep > 1 else output["logits"][:, 0]
    return Forward(logits=logits, cache=output["cache"], written=schedule.written(coverage))


def _traced(
    host: Host,
    taken: dict[str, Tensor],
    options: dict[str, Any],
    visitor: Visitor,
    n_kept: int = 1,
    start: Start | None = None,
    gradients: Back = False,
) -> dict[str, Any]:
    """Logits at the last positions, (batch, n_kept, vocabulary), and the cache, of a pass that nnsight runs."""
    first = start.block if start is not None else 0
    skipped, met = blocks_of(host)[:first], [stop.module._module for stop in visitor.route.stops]
    stands_in = (
        [as_output(start.states, host.sites.blocks[n].entries) for n in range(start.block)] if start is not None else []
    )
    found: dict[str, Any] = {}
    blocks = [block._module for block in blocks_of(host)[first:]]
    kept_little = checkpointed(blocks, met, gradients)
    with torch.set_grad_enabled(bool(gradients)), frozen(host.model._module, bool(gradients)), kept_little:
        with host.model.trace(taken, **options):
            for module, output in zip(skipped, stands_in, strict=True):
                module.skip(output)
            for stop in visitor.route.stops:
                new = visitor.meet(stop, stop.module.input if stop.is_input else stop.module.output)
                if new is not None and stop.is_input:
                    stop.module.input = new
                elif new is not None:
                    stop.module.output = new
            found |= ends(host, host.model.output, n_kept)
    return found


def starts(host: Host) -> bool:
    """Whether passes may begin in the middle, which is tried once by some; see `tried_start`."""
    return tried_start(host, read_prompts)
