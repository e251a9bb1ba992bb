"""The only file that reads and writes the model through nnsight: one forward pass over a batch of rows, each with its
plan.

The traced body visits places in forward order (nnsight serves every value once, in that order). A generation is a
forward pass over the prompts and one more per token with the key-value cache; each is a trace of its own. Writes
therefore reach every decoding step, and a stop takes effect between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steering.caches import repeated
from steering.host import Host
from steering.rows import Batch
from steering.schedule import Coverage, Place, Schedule
from steering.sites import Part


Reader = Callable[[Place, Tensor], None]
"""Receives the states at a place, (batch, position, width), after any write there."""


@dataclass(frozen=True)
class Forward:
    """What a forward pass gives back."""

    logits: Tensor
    """At the last position of each row, float32, (batch, vocabulary)."""
    cache: Any
    """Hugging Face key-value cache, to be passed to the next step."""
    written: Sequence[int]
    """How many positions of each row were written."""


@dataclass(frozen=True, eq=False)
class Start:
    """States that are known already, so that the blocks below need not run."""

    block: int
    """The first block that runs."""
    states: Tensor
    """At its input, (batch, position, width), as a pass over the same batch read them."""


def read_prompts(
    host: Host,
    batch: Batch,
    schedule: Schedule,
    *,
    read: Reader | None = None,
    places: Sequence[Place] = (),
    start: Start | None = None,
) -> Forward:
    """The pass over the prompts: writes by scope, reads at `places`. Call on the model thread.

    Args:
        host: The model.
        batch: The prompts.
        schedule: The plans.
        read: Gets the states at each of `places`.
        places: Where to read.
        start: Where to begin; nothing is written or read below, and what comes back has no cache to go on with.

    Raises:
        SteeringError: A scope names a token behind a prompt's end.
    """
    coverage = schedule.of_prompts(batch)
    return _forward(host, _inputs(batch), None, schedule, coverage, batch.last, read, places, start=start)


def read_replies(
    host: Host, batch: Batch, schedule: Schedule, *, n: int, read: Reader | None = None, places: Sequence[Place] = ()
) -> Tensor:
    """One pass over prompts with given replies, as if the model had written them. Call on the model thread.

    Args:
        host: The model.
        batch: Prompts and replies, padded on the left.
        schedule: The plans; tokens of the reply count as generated.
        n: How many positions to keep.
        read: Gets the states at each of `places`.
        places: Where to read.

    Returns:
        Logits at the last `n` positions, float32, (batch, n, vocabulary).
    """
    coverage = schedule.of_prompts(batch)
    return _forward(host, _inputs(batch), None, schedule, coverage, batch.last, read, places, keep=n).logits


def read_on(
    host: Host,
    batch: Batch,
    schedule: Schedule,
    *,
    cache: Any = None,
    length: int = 0,
    keep: int = 0,
    read: Reader | None = None,
    places: Sequence[Place] = (),
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
    """
    inputs = _inputs(batch)
    inputs["position_ids"] = inputs["position_ids"] + length
    before = torch.ones(len(batch.ids), length, dtype=torch.long)
    inputs["attention_mask"] = torch.cat([before, inputs["attention_mask"]], dim=1)
    own = None if cache is None else repeated(cache, 1)
    coverage = schedule.of_prompts(batch)
    forward = _forward(host, inputs, own, schedule, coverage, batch.last, read, places, keep, start, use_cache=True)
    return forward.logits if keep > 1 else forward.logits[:, None], forward.cache


def read_token(host: Host, tokens: Tensor, seen: Tensor, cache: Any, schedule: Schedule) -> Forward:
    """One decoding step. Call on the model thread.

    Args:
        host: The model.
        tokens: The token that each row got last, (batch,).
        seen: True at every position that is no padding, the new token's included, (batch, position).
        cache: From the step before.
        schedule: The plans.
    """
    positions = seen.long().sum(dim=1, keepdim=True) - 1
    inputs = {"input_ids": tokens[:, None], "attention_mask": seen.long(), "position_ids": positions}
    return _forward(host, inputs, cache, schedule, schedule.of_step(), None, None, ())


def _inputs(batch: Batch) -> dict[str, Tensor]:
    positions = (batch.real.long().cumsum(dim=1) - 1).clamp(min=0)
    return {"input_ids": batch.ids, "attention_mask": batch.real.long(), "position_ids": positions}


def _forward(
    host: Host,
    inputs: dict[str, Tensor],
    cache: Any,
    schedule: Schedule,
    coverage: Coverage,
    last: Tensor | None,
    read: Reader | None,
    places: Sequence[Place],
    keep: int = 1,
    start: Start | None = None,
    use_cache: bool | None = None,
) -> Forward:
    accepted = {k: v.to(host.device) for k, v in inputs.items() if k != "position_ids" or k in host.accepts}
    options = {"use_cache": start is None if use_cache is None else use_cache, "past_key_values": cache}
    if "logits_to_keep" in host.accepts and (keep == 0 or bool((inputs["attention_mask"][:, -1] == 1).all())):
        options["logits_to_keep"] = max(1, keep)  # none are wanted where keep is 0, but 0 would mean all
    visits, gates = schedule.active(coverage), schedule.gates
    stops = _in_forward_order(host, {*visits, *gates, *places})
    wanted, n_rows = frozenset(places), len(inputs["input_ids"])
    skipped = _blocks(host)[: start.block] if start is not None else []
    stands_in = [_as_output(host, block, start.states) for block in range(start.block)] if start is not None else []
    kept: dict[str, Any] = {}
    sums: dict[Place, Any] = {}
    with torch.no_grad():
        with host.model.trace(accepted, **options):
            for module, output in zip(skipped, stands_in, strict=True):
                module.skip(output)
            for place, module, part, is_last in stops:
                is_input = place[1] == "block_input"
                value = module.input if is_input else module.output
                states = own = hidden(value, n_rows)
                if part.scale != 1 or place in sums or not is_last:
                    states = sums.pop(place, 0) + part.scale * (own.float() if own.dtype.itemsize < 4 else own)
                if not is_last:
                    sums[place] = states
                    continue
                for gate in gates.get(place, ()):
                    coverage.decide(gate, states, last)
                if place in visits:
                    new = visits[place].write(states, coverage)
                    # The module gives what the model is yet to scale, or the last of several summands; what is not
                    # written stays as it is to the bit.
                    put = new if states is own else (own + (new - states) / part.scale).to(own.dtype)
                    states = new
                    if is_input:
                        module.input = with_hidden(value, put)
                    else:
                        module.output = with_hidden(value, put)
                if place in wanted and read is not None:
                    read(place, states)
            output = host.model.output
            kept["logits"] = output.logits[:, -max(1, keep) :].float()
            kept["cache"] = output.past_key_values
    logits = kept["logits"] if keep > 1 else kept["logits"][:, 0]
    return Forward(logits=logits, cache=kept["cache"], written=schedule.written(coverage))


class Stop(NamedTuple):
    """A module that a pass comes by."""

    place: Place
    module: Any
    part: Part
    last: bool
    """Whether the place's value is known behind it."""


def _in_forward_order(host: Host, places: set[Place]) -> list[Stop]:
    """Every module that makes up one of the places, in the order in which a pass meets them."""
    blocks, stops = _blocks(host), []
    for block, site in places:
        parts = host.sites.blocks[block].parts(site)
        for part in parts:
            module = reduce(getattr, part.path.split("."), blocks[block]) if part.path else blocks[block]
            stops.append(Stop((block, site), module, part, part is parts[-1]))
    # A block's input comes before all that is in it, its output behind.
    ends = {"block_input": 0, "block_output": 2}
    return sorted(stops, key=lambda stop: (stop.place[0], ends.get(stop.place[1], 1), stop.part.order))


def _as_output(host: Host, block: int, states: Tensor) -> Any:
    """States in the form in which a block gives them: mostly a tensor, in GPT-J the first entry of a tuple."""
    entries = host.sites.blocks[block].entries
    return (states, *[None] * (entries - 1)) if entries else states


def _blocks(host: Host) -> Any:
    return reduce(getattr, host.sites.blocks_path.split("."), host.model)


def hidden(value: Any, n_rows: int) -> Tensor:
    """The states in a module's output, (batch, position, width).

    Attention and some MoE modules give a tuple whose first entry they are, and OPT runs its MLP on all rows' tokens in
    one flat list, (batch * position, width).
    """
    states: Tensor = value[0] if isinstance(value, tuple) else value
    return states.reshape(n_rows, -1, states.shape[-1])


def with_hidden(value: Any, states: Tensor) -> Any:
    """A module's output with its states replaced, in the shape that the module gave them."""
    if isinstance(value, tuple):
        return (states.reshape(value[0].shape), *value[1:])
    return states.reshape(value.shape)
