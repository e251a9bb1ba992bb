"""The only file that reads and writes the model through nnsight: one forward pass over a batch of rows, each with its
plan.

Rows, not models, carry plans. The unsteered row, the steered row and a whole sweep of strengths are rows of one batch;
what each visit to a site does to which rows at which tokens is worked out before the pass, so that the traced body is a
plain loop in forward order (nnsight serves every value once, in that order).

A generation is a forward pass over the prompts and one more per token with the key-value cache; each is a trace of its
own. Writes therefore reach every decoding step, and a stop takes effect between two steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.host import Host
from steering.interventions import PROMPT_SCOPES, STEP_SCOPES, Operation, Plan, Scope, Write, scope_mask
from steering.prompts import Prompt
from steering.sites import SITES, Site


Place = tuple[int, Site]
"""A block and a site in it."""
Reader = Callable[[Place, Tensor], None]
"""Receives the states at a place, (batch, position, width), after any write there."""


@dataclass(frozen=True)
class Row:
    """One row of a batch: a prompt and what is written while the model reads and answers it."""

    prompt: Prompt
    plan: Plan = ()
    against: int | None = None
    """Index of the row of the same batch that this one is compared with, usually the unsteered one."""


@dataclass(frozen=True)
class Batch:
    """Token ids of several prompts, padded to one length."""

    ids: Tensor
    """(batch, position)"""
    real: Tensor
    """True where a position is no padding, (batch, position)."""
    last: Tensor
    """Index of each row's last prompt token, (batch,)."""

    @classmethod
    def of(cls, host: Host, prompts: Sequence[Prompt], padding_side: Literal["left", "right"] = "left") -> Batch:
        """Pad prompts to the longest of them.

        Raises:
            SteeringError: A prompt is longer than the model's context.
        """
        for prompt in prompts:
            check_length(host, prompt)
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        real = torch.zeros(len(prompts), longest, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            start = longest - len(prompt) if padding_side == "left" else 0
            ids[row, start : start + len(prompt)] = torch.tensor(prompt.ids)
            real[row, start : start + len(prompt)] = True
        last = (real * torch.arange(longest)).argmax(dim=1)
        return cls(ids=ids, real=real, last=last)

    @property
    def last_mask(self) -> Tensor:
        """True at each row's last prompt token, (batch, position)."""
        return torch.arange(self.ids.shape[1])[None, :] == self.last[:, None]

    @property
    def first(self) -> Tensor:
        """Index of each row's first prompt token, (batch,)."""
        return self.real.int().argmax(dim=1)


@dataclass
class Visit:
    """What one forward pass does at one place."""

    place: Place
    writes: list[tuple[Tensor, Operation, Scope]] = field(default_factory=list)
    """Rows (1-d indices), operation, scope; in the order in which they apply."""

    def write(self, states: Tensor, masks: Mapping[Scope, Tensor]) -> Tensor:
        """New states with every active write applied to its rows at its tokens; the input is left alone."""
        new = states.clone()
        for index, (rows, operation, scope) in enumerate(self.writes):
            if scope not in masks:
                continue
            if _differs(operation, states.device):  # the directions move to the block's device once, not every step
                operation = operation.to(states.device)
                self.writes[index] = (rows, operation, scope)
            old = new[rows]
            # Half precision would round the projection, and a large strength would overflow float16 on the way.
            steered = operation(old.float() if old.dtype.itemsize < 4 else old).to(old.dtype)
            new[rows] = torch.where(masks[scope][rows, :, None].to(states.device), steered, old)
        return new


def _differs(operation: Operation, device: torch.device) -> bool:
    direction = getattr(operation, "direction", None)
    return direction is not None and direction.device != device


class Schedule:
    """The plans of all rows, sorted into the visits that a forward pass makes."""

    def __init__(self, host: Host, plans: Sequence[Plan]) -> None:
        for plan in plans:
            for write in plan:
                host.sites.check(write.site)
                host.sites.check_block(write.block)
        self.n_rows = len(plans)
        self.visits = _visits(plans)
        self.scopes = [frozenset(write.scope for write in plan) for plan in plans]

    def active(self, scopes: frozenset[Scope]) -> dict[Place, Visit]:
        """The visits at which any of `scopes` is written."""
        return {p: v for p, v in self.visits.items() if any(scope in scopes for _, _, scope in v.writes)}


def _visits(plans: Sequence[Plan]) -> dict[Place, Visit]:
    """Group equal writes of several rows into one; the n-th write of a row at a place stays its n-th."""
    at_place: dict[Place, list[list[Write]]] = defaultdict(lambda: [[] for _ in plans])
    for row, plan in enumerate(plans):
        for write in plan:
            at_place[write.block, write.site][row].append(write)
    visits = {}
    for place, per_row in at_place.items():
        visit = Visit(place)
        for turn in range(max(map(len, per_row))):
            groups: dict[tuple[int, Scope], tuple[Operation, list[int]]] = {}
            for row, writes in enumerate(per_row):
                if turn < len(writes):
                    write = writes[turn]
                    groups.setdefault((id(write.operation), write.scope), (write.operation, []))[1].append(row)
            visit.writes += [(torch.tensor(rows), op, scope) for (_, scope), (op, rows) in groups.items()]
        visits[place] = visit
    return visits


@dataclass(frozen=True)
class Forward:
    """What a forward pass gives back."""

    logits: Tensor
    """At the last position of each row, float32, (batch, vocabulary)."""
    cache: Any
    """Hugging Face key-value cache, to be passed to the next step."""


def read_prompts(
    host: Host, batch: Batch, schedule: Schedule, *, read: Reader | None = None, places: Sequence[Place] = ()
) -> Forward:
    """The pass over the prompts: writes by scope, reads at `places`. Call on the model thread."""
    masks = {scope: scope_mask(scope, batch.real, batch.last_mask) for scope in PROMPT_SCOPES}
    positions = (batch.real.long().cumsum(dim=1) - 1).clamp(min=0)
    inputs = {"input_ids": batch.ids, "attention_mask": batch.real.long(), "position_ids": positions}
    return _forward(host, inputs, None, schedule.active(PROMPT_SCOPES), masks, read, places)


def read_token(host: Host, tokens: Tensor, seen: Tensor, cache: Any, schedule: Schedule) -> Forward:
    """One decoding step. Call on the model thread.

    Args:
        host: The model.
        tokens: The token that each row got last, (batch,).
        seen: True at every position that is no padding, the new token's included, (batch, position).
        cache: From the step before.
        schedule: The plans.
    """
    every = torch.ones(len(tokens), 1, dtype=torch.bool)
    masks: dict[Scope, Tensor] = dict.fromkeys(STEP_SCOPES, every)
    positions = seen.long().sum(dim=1, keepdim=True) - 1
    inputs = {"input_ids": tokens[:, None], "attention_mask": seen.long(), "position_ids": positions}
    return _forward(host, inputs, cache, schedule.active(STEP_SCOPES), masks, None, ())


def _forward(
    host: Host,
    inputs: dict[str, Tensor],
    cache: Any,
    visits: Mapping[Place, Visit],
    masks: Mapping[Scope, Tensor],
    read: Reader | None,
    places: Sequence[Place],
) -> Forward:
    accepted = {k: v.to(host.device) for k, v in inputs.items() if k != "position_ids" or k in host.accepts}
    options = {"use_cache": True, "past_key_values": cache}
    if "logits_to_keep" in host.accepts and bool((inputs["attention_mask"][:, -1] == 1).all()):
        options["logits_to_keep"] = 1
    stops = _in_forward_order(host, {*visits, *places})
    wanted, n_rows = frozenset(places), len(inputs["input_ids"])
    kept: dict[str, Any] = {}
    with torch.no_grad():
        with host.model.trace(accepted, **options):
            for place, module in stops:
                is_input = place[1] == "block_input"
                value = module.input if is_input else module.output
                states = hidden(value, n_rows)
                if place in visits:
                    states = visits[place].write(states, masks)
                    if is_input:
                        module.input = with_hidden(value, states)
                    else:
                        module.output = with_hidden(value, states)
                if place in wanted and read is not None:
                    read(place, states)
            output = host.model.output
            kept["logits"] = output.logits[:, -1].float()
            kept["cache"] = output.past_key_values
    return Forward(logits=kept["logits"], cache=kept["cache"])


def _in_forward_order(host: Host, places: set[Place]) -> list[tuple[Place, Any]]:
    ordered = sorted(places, key=lambda place: (place[0], SITES.index(place[1])))
    blocks = reduce(getattr, host.sites.blocks_path.split("."), host.model)
    modules = []
    for block, site in ordered:
        path = host.sites.paths[site]
        modules.append(((block, site), reduce(getattr, path.split("."), blocks[block]) if path else blocks[block]))
    return modules


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


def check_length(host: Host, prompt: Prompt) -> None:
    """Raise where a prompt leaves no room for one more token."""
    if len(prompt) >= host.info.context:
        raise SteeringError(
            f"The prompt is {len(prompt)} tokens long.",
            f"at most {host.info.context - 1}: {host.name} has a context of {host.info.context} tokens.",
            "Shorten the prompt, or load a model with a longer context.",
        )
