"""Where an operation is written: at which block and site, on which tokens, and under which condition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.sites import READ_SITES, SITES, Site
from steering.writes.operations import Operation, check_finite, check_unit
from steering.writes.plan_words import plan_words
from steering.writes.scopes import SCOPES, Scope


GateSide = Literal["above", "below"]
GateUnit = Literal["prompt", "token"]


def in_prompt(scope: Scope) -> bool:
    """Whether a scope touches any prompt token; known in advance, so that no mask has to be read back from a GPU."""
    return scope != "generated"


def in_reply(scope: Scope) -> bool:
    """Whether a scope touches any generated token."""
    return scope in ("all", "reply", "generated")


@dataclass(frozen=True, eq=False)
class Gate:
    """A condition on a write: it applies where the projection u·x on another direction is above, or below, a threshold.

    Conditional activation steering: Lee et al. 2024, arXiv 2409.05907.
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    threshold: float
    """Raw units of the projection."""
    block: int
    """Where x is read, 0-based; not behind what is gated."""
    site: Site
    side: GateSide = "above"
    per: GateUnit = "prompt"
    """`prompt`: decided once a row, at its last prompt token, for the whole reply. `token`: at every token, for it."""

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.threshold)
        for given, known in ((self.side, GateSide), (self.per, GateUnit)):
            if given not in get_args(known):
                raise SteeringError(f"A gate '{given}' was asked for.", f"one of {', '.join(get_args(known))}.")

    def opens(self, states: Tensor) -> Tensor:
        """Where the condition holds, boolean, the leading shape of `states` (..., width)."""
        along = states.float() @ self.direction.to(states.device, torch.float32)
        return along > self.threshold if self.side == "above" else along < self.threshold


@dataclass(frozen=True, repr=False)
class Write:
    """One operation at one place of the model."""

    operation: Operation
    block: int
    """0-based decoder block."""
    site: Site
    scope: Scope = "all"
    gate: Gate | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scope, tuple):
            if not self.scope or not all(isinstance(place, int) and place >= 0 for place in self.scope):
                raise SteeringError(
                    f"The token positions {self.scope} were asked for.",
                    "whole numbers from 0, counted from the prompt's first token.",
                    "Choose at least one token of the prompt.",
                )
        elif self.scope not in SCOPES:
            raise SteeringError(
                f"The token scope '{self.scope}' was asked for.",
                f"one of {', '.join(SCOPES)}, or positions of the prompt.",
                "Choose one of these.",
            )
        gate = self.gate
        decided_late = gate is not None and gate.per == "prompt" and self.scope == "generated"
        if gate and not decided_late and (gate.block, SITES.index(gate.site)) > (self.block, SITES.index(self.site)):
            raise SteeringError(
                f"A write at block {self.block} depends on a gate that is read at block {gate.block}, {gate.site}.",
                "a gate that is read before what it decides on, or a write of generated tokens only.",
                "Read the gate at an earlier block.",
            )
        reads = self.operation.reads
        if reads and (reads[0], READ_SITES.index(reads[1])) >= (self.block, READ_SITES.index(self.site)):
            raise SteeringError(
                f"A write at block {self.block}, {self.site}, needs the states at block {reads[0]}, {reads[1]}.",
                "a write behind the place whose states it needs.",
                "Write where its dictionary gives its states.",
            )

    def __repr__(self) -> str:
        return f"<{plan_words((self,))[0]}>"


Plan = tuple[Write, ...]
"""What is written for one row of a batch; writes at the same place apply in the order given."""


def covered(scopes: Iterable[Scope], length: int) -> list[bool]:
    """Which of a prompt's tokens any of some scopes covers."""
    real, last = torch.ones(1, length, dtype=torch.bool), torch.tensor([length - 1])
    masks = [scope_mask(scope, real, last)[0] for scope in scopes]
    return torch.stack([torch.zeros(length, dtype=torch.bool), *masks]).any(dim=0).tolist()


def scope_mask(scope: Scope, real: Tensor, last: Tensor) -> Tensor:
    """The positions of a batch that a scope covers.

    Args:
        scope: Which tokens.
        real: True where a position holds a token and not padding, (batch, position).
        last: Index of each row's last prompt token, (batch,); tokens behind it belong to the reply.

    Returns:
        Boolean mask, (batch, position).
    """
    place, end = torch.arange(real.shape[1])[None], last[:, None]
    if isinstance(scope, tuple):
        first = real.int().argmax(dim=1, keepdim=True)
        return torch.isin(place - first, torch.tensor(scope)) & real & (place <= end)
    masks = {
        "all": real,
        "prompt": place <= end,
        "reply": place >= end,
        "last": place == end,
        "generated": place > end,
    }
    return masks[scope] & real
