"""Interventions: pure functions on states, and where in the model and on which tokens each applies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.sites import Site


Scope = Literal["all", "reply", "prompt", "last", "generated"]
SCOPES: dict[Scope, str] = {
    "all": "every token, prompt and reply",
    "reply": "the last prompt token and every generated token",
    "prompt": "every prompt token",
    "last": "the last prompt token only",
    "generated": "generated tokens only",
}
# Which scopes touch anything in each phase of a generation; known in advance, so that no mask has to be read back from
# a GPU.
PROMPT_SCOPES: frozenset[Scope] = frozenset({"all", "reply", "prompt", "last"})
STEP_SCOPES: frozenset[Scope] = frozenset({"all", "reply", "generated"})


class Operation(Protocol):
    """A pure function on states, (batch, position, width) in and out, in the dtype it is given."""

    def __call__(self, states: Tensor) -> Tensor: ...

    def to(self, device: torch.device) -> Operation: ...


@dataclass(frozen=True, eq=False)
class Add:
    """x + c u.

    Activation addition (Turner et al. 2023, arXiv 2308.10248; Rimsky et al. 2023, arXiv 2312.06681).
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    strength: float
    """c, in raw units: the length of what is added."""

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.strength)

    def __call__(self, states: Tensor) -> Tensor:
        return states + (self.strength * self.direction).to(states.dtype)

    def to(self, device: torch.device) -> Add:
        return Add(self.direction.to(device), self.strength)


@dataclass(frozen=True, eq=False)
class Ablate:
    """x - k u (u . x).

    Directional ablation (Arditi et al. 2024, arXiv 2406.11717); with k = 1 the projection on u is zero afterwards.
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    share: float = 1.0
    """k in [0, 1]: the share of the projection that is removed."""

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.share)
        if not 0 <= self.share <= 1:
            raise SteeringError(
                f"An ablation of {self.share} was asked for.",
                "the share of the projection to remove, from 0 to 1.",
                "Choose 1 to remove the direction wholly.",
            )

    def __call__(self, states: Tensor) -> Tensor:
        direction = self.direction.to(states.dtype)
        return states - self.share * (states @ direction).unsqueeze(-1) * direction

    def to(self, device: torch.device) -> Ablate:
        return Ablate(self.direction.to(device), self.share)


@dataclass(frozen=True)
class Write:
    """One operation at one place of the model."""

    operation: Operation
    block: int
    """0-based decoder block."""
    site: Site
    scope: Scope = "all"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise SteeringError(
                f"The token scope '{self.scope}' was asked for.",
                f"one of {', '.join(get_args(Scope))}.",
                "Choose one of these.",
            )


Plan = tuple[Write, ...]
"""What is written for one row of a batch; writes at the same place apply in the order given."""


def check_finite(strength: float) -> float:
    """Return `strength`.

    Raises:
        SteeringError: It is NaN or infinite.
    """
    if not math.isfinite(strength):
        raise SteeringError(f"The strength {strength} was given.", "a finite number.", "Type a number such as 1.5.")
    return strength


def check_unit(direction: Tensor) -> Tensor:
    """Return `direction`.

    Raises:
        SteeringError: It is no vector, not finite, or its norm is not 1 within 1e-3 (a projection would be mis-scaled).
    """
    if direction.ndim != 1 or not torch.isfinite(direction).all() or abs(direction.float().norm().item() - 1) > 1e-3:
        raise SteeringError(
            f"A direction of shape {tuple(direction.shape)} and norm {direction.float().norm().item():.4g} was given.",
            "a finite unit vector of shape (width,).",
            "Divide the direction by its norm and pass the length as the strength.",
        )
    return direction


def scope_mask(scope: Scope, real: Tensor, last: Tensor) -> Tensor:
    """The prompt positions that a scope covers.

    Args:
        scope: Which tokens.
        real: True where a position holds a prompt token and not padding, (batch, position).
        last: True at each row's last prompt token, (batch, position).

    Returns:
        Boolean mask, (batch, position).
    """
    if scope in ("all", "prompt"):
        return real
    if scope in ("last", "reply"):
        return last
    return torch.zeros_like(real)
