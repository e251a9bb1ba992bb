"""Operations on states: what an intervention does where it is written, each a pure function with its formula.

x is a state, u a unit direction. Every operation takes states of any leading shape, (..., width), and gives back the
same shape; what it computes at one position depends on that position alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.sites import ReadPlace


ClampKind = Literal["set", "floor", "ceil"]
_DEPENDENT = 1e-5
"""Singular values below this share of the largest count as zero: float32 directions are no better than that."""


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """A pure function on states. Compute in float32 or better: half precision would round the projection."""

    @abstractmethod
    def __call__(self, states: Tensor) -> Tensor:
        """New states, (..., width); the input is left alone."""

    @property
    def reads(self) -> ReadPlace | None:
        """Another place, met before the one that is written, whose states it needs; None where it needs none."""
        return None

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        """New states; `seen` are those of the same rows and tokens at `reads`, (..., width of that place)."""
        return self(states)

    @property
    def stacks_with(self) -> Hashable | None:
        """What operations share that rows of a batch can be given as one; None where each is given by itself."""
        return None

    def stacked(self, operations: Sequence[Operation]) -> Operation:
        """One operation for as many rows that does to each what its own does; all have the same `stacks_with`."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return next(value for value in vars(self).values() if isinstance(value, Tensor)).device

    @property
    def width(self) -> int:
        """Width of the states that it takes."""
        return next(value for value in vars(self).values() if isinstance(value, Tensor)).shape[-1]

    def to(self, device: torch.device) -> Self:
        """The same operation with its tensors on another device."""
        moved = copy(self)  # not made anew: its checks would read numbers back from the device
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                object.__setattr__(moved, name, value.to(device))
        return moved


@dataclass(frozen=True, eq=False)
class Add(Operation):
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


@dataclass(frozen=True, eq=False)
class Ablate(Operation):
    """x - k P x, with P = u uᵀ for one direction, and the projection on the span of several.

    Directional ablation (Arditi et al. 2024, arXiv 2406.11717); with k = 1 the projection is zero afterwards. Several
    directions need not be at right angles: an orthonormal basis of their span is taken.
    """

    directions: Tensor
    """u, a unit vector, (width,); or several directions as rows, (n, width)."""
    share: float = 1.0
    """k in [0, 1]: the share of the projection that is removed."""

    def __post_init__(self) -> None:
        single = self.directions.ndim == 1
        basis = check_unit(self.directions)[None] if single else orthonormal(self.directions)
        object.__setattr__(self, "_basis", basis)
        check_finite(self.share)
        if not 0 <= self.share <= 1:
            raise SteeringError(
                f"An ablation of {self.share} was asked for.",
                "the share of the projection to remove, from 0 to 1.",
                "Choose 1 to remove the direction wholly.",
            )

    @property
    def basis(self) -> Tensor:
        """An orthonormal basis of what is removed, (n, width)."""
        return self._basis  # type: ignore[attr-defined]

    def __call__(self, states: Tensor) -> Tensor:
        basis = self.basis.to(states.dtype)
        return states - self.share * (states @ basis.T) @ basis


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """x - u (u·x) + u r + c u, with r = u·m for a reference state m.

    Affine concept editing (Marshall et al. 2024, arXiv 2411.09003): the projection is set to where the reference lies,
    here the mean of the negative side, and from there moved by c.
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    reference: float
    """r, the reference's projection, raw units."""
    strength: float
    """c, raw units."""

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.reference)
        check_finite(self.strength)

    def __call__(self, states: Tensor) -> Tensor:
        return _moved(states, self.direction, lambda along: torch.full_like(along, self.reference + self.strength))


@dataclass(frozen=True, eq=False)
class Clamp(Operation):
    """x + u (f(u·x) - u·x), with f(p) = v (set), max(p, v) (floor) or min(p, v) (ceil).

    As features of a sparse autoencoder are clamped (Templeton et al. 2024, "Scaling Monosemanticity").
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    value: float
    """v, raw units of the projection."""
    kind: ClampKind = "set"

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.value)
        if self.kind not in get_args(ClampKind):
            raise SteeringError(
                f"The clamp '{self.kind}' was asked for.", f"one of {', '.join(get_args(ClampKind))}.", _CHOOSE
            )

    def __call__(self, states: Tensor) -> Tensor:
        low = self.value if self.kind in ("set", "floor") else None
        high = self.value if self.kind in ("set", "ceil") else None
        return _moved(states, self.direction, lambda along: along.clamp(low, high))


@dataclass(frozen=True, eq=False)
class Rotate(Operation):
    """|x| (cos(t') u + sin(t') w), with t the angle between x and u, t' = t - angle held in [0°, 180°], and w the unit
    vector at right angles to u in the plane of u and x.

    A turn towards u, away from it where the angle is negative, which keeps the norm and stops at u itself; a state that
    lies on the line of u stays. Norm-preserving steering: Vu and Nguyen 2025, "Angular Steering", arXiv 2510.26243
    (there in one fixed plane).
    """

    direction: Tensor
    """u, a unit vector, (width,)."""
    degrees: float
    """The angle."""

    def __post_init__(self) -> None:
        check_unit(self.direction)
        check_finite(self.degrees)

    def __call__(self, states: Tensor) -> Tensor:
        direction = self.direction.to(states.dtype)
        along = (states @ direction).unsqueeze(-1)
        across = states - along * direction
        length = across.norm(dim=-1, keepdim=True)
        angle = torch.atan2(length, along)
        turned = (angle - math.radians(self.degrees)).clamp(0, math.pi)
        norm = states.norm(dim=-1, keepdim=True)
        # Along the line of u there is no plane to turn in.
        plane = length > 1e-6 * norm
        across = across / torch.where(plane, length, 1.0)
        return torch.where(plane, norm * (turned.cos() * direction + turned.sin() * across), states)


@dataclass(frozen=True, eq=False)
class Erase(Operation):
    """x - L R (x - m).

    The map of LEACE (Belrose et al. 2023, arXiv 2306.03819): of all affine maps after which no linear probe does better
    than the majority rate, the one that changes states least.
    """

    left: Tensor
    """L, (width, rank)."""
    right: Tensor
    """R, (rank, width)."""
    mean: Tensor
    """m, mean of the states it was fitted on, (width,)."""

    def __post_init__(self) -> None:
        width = self.mean.shape[-1]
        ranks = self.left.shape[-1], self.right.shape[0]
        if self.left.shape != (width, ranks[0]) or self.right.shape != (ranks[1], width) or ranks[0] != ranks[1]:
            raise SteeringError(
                f"An eraser with maps of shape {tuple(self.left.shape)} and {tuple(self.right.shape)}.",
                f"({width}, rank) and (rank, {width}).",
                "Extract the vector again.",
            )
        if not all(torch.isfinite(part).all() for part in (self.left, self.right, self.mean)):
            raise SteeringError("An eraser that is not finite.", "finite numbers.", "Extract the vector again.")

    @property
    def width(self) -> int:
        return self.mean.shape[-1]

    def __call__(self, states: Tensor) -> Tensor:
        left, right, mean = (part.to(states.dtype) for part in (self.left, self.right, self.mean))
        return states - (states - mean) @ right.T @ left.T


_CHOOSE = "Choose one of these."


def _moved(states: Tensor, direction: Tensor, to: Callable[[Tensor], Tensor]) -> Tensor:
    """States whose projection on the direction is what `to` makes of it."""
    direction = direction.to(states.dtype)
    along = states @ direction
    return states + (to(along) - along).unsqueeze(-1) * direction


def orthonormal(directions: Tensor) -> Tensor:
    """An orthonormal basis of the span of some directions, (rank, width), in their dtype.

    Raises:
        SteeringError: No rows, rows that are zero, or numbers that are not finite.
    """
    rows = directions.double()
    if rows.ndim != 2 or not len(rows) or not torch.isfinite(rows).all() or not (rows.norm(dim=-1) > 0).all():
        raise SteeringError(
            f"Directions of shape {tuple(directions.shape)} were given.",
            "finite rows that are not zero, of shape (n, width).",
            "Leave out what is empty.",
        )
    _, size, basis = torch.linalg.svd(rows / rows.norm(dim=-1, keepdim=True), full_matrices=False)
    return basis[size > _DEPENDENT * size[0]].to(directions.dtype)


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
