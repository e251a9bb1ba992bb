"""What is trained: one direction a block, or a span of several, and the plan that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.sites import Place, Site
from steering.training.operations import AddGated, HoldAt, TakeOut
from steering.writes.interventions import Plan, Scope, Write
from steering.writes.operations import Operation
from steering.writes.stacking import AddRows


Mode = Literal["add", "gated_add", "ablate", "clamp"]


@dataclass(frozen=True)
class Trainee:
    """Which direction is trained, where it is written and how."""

    blocks: tuple[int, ...]
    """Blocks, each with a direction of its own; counted from 0."""
    mode: Mode = "add"
    """`add`: its length is trained, too. `gated_add`: how much of it is added is read in each text. `ablate`: it is
    taken out of the states. `clamp`: the states' projection on it is held at a value that is trained.
    """
    site: Site = "block_output"
    scope: Scope = "all"
    """Which tokens are written."""
    span: int = 1
    """Directions a block that are taken out together; only with `ablate`."""
    top: int = 8
    """Tokens that a gate counts; only with `gated_add`."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it is written."""
        return tuple((block, self.site) for block in self.blocks)

    @property
    def written(self) -> Literal["add", "ablate", "clamp"]:
        """The mode of a recipe that applies what was trained: a gate reads whole texts, so its mean is added."""
        return "add" if self.mode == "gated_add" else self.mode

    def check(self, host: Host) -> Trainee:
        """Return it.

        Raises:
            SteeringError: No block, one twice, a block or site that the model does not have, an unknown mode, a span
                where one direction is written, or more directions than a state has.
        """
        if not self.blocks or len(set(self.blocks)) < len(self.blocks):
            raise SteeringError(f"The blocks {list(self.blocks)} were to be trained.", "one or more, each once.")
        for block in self.blocks:
            host.sites.check(self.site, block)
        if self.mode not in get_args(Mode):
            raise SteeringError(f"The mode '{self.mode}' was to be trained.", f"one of {', '.join(get_args(Mode))}.")
        if self.span != 1 and (self.mode != "ablate" or not 1 <= self.span <= host.info.width):
            raise SteeringError(
                f"A span of {self.span} directions was to be trained with {self.mode}.",
                f"one direction, or 1 to {host.info.width} of them with ablate.",
                "Set span to 1, or choose ablate.",
            )
        if self.top < 1:
            raise SteeringError(f"A gate over {self.top} tokens.", "at least one token.")
        return self


class Parameters:
    """The live tensors behind a trainee."""

    def __init__(self, trainee: Trainee, rows: Tensor, scale: Tensor, low: Tensor, device: torch.device) -> None:
        """Begin at a direction.

        Args:
            trainee: What is trained.
            rows: Where to begin, raw units, (block, span, width).
            scale: A usual length of the direction in each block, raw units, (block,).
            low: Where states without the behaviour lie, raw units, (block, width): a clamp counts from there.
            device: Where they live.
        """
        self.trainee, self._device = trainee, device
        # A coordinate of usual size is 1, so that a learning rate means the same in every model and block.
        self._unit = (scale / rows.shape[-1] ** 0.5)[:, None, None].to(device)
        self._low = low.to(device)
        self.rows = (rows.to(device) / self._unit).requires_grad_()
        """(block, span, width), in units of `scale`."""
        self.values = torch.zeros(len(rows), device=device)
        """Of a clamp: how far from `low` the projection is held, in units of `scale`, (block,)."""
        self.amount = 1.0
        """Of a gate: what it is multiplied by; of an ablation: the share that is taken out."""
        if trainee.mode == "clamp":
            self.values = torch.ones(len(rows), device=device).requires_grad_()
        self._scale = scale.to(device)

    @property
    def live(self) -> list[Tensor]:
        """The tensors that an optimiser changes."""
        return [self.rows, *([self.values] if self.trainee.mode == "clamp" else [])]

    @property
    def vectors(self) -> Tensor:
        """Raw units, differentiable, (block, span, width)."""
        return self.rows * self._unit

    @property
    def lengths(self) -> Tensor:
        """Of what is added at each block, or how far from the negative side a clamp holds, raw units, (block,)."""
        if self.trainee.mode == "clamp":
            return (self.values * self._scale).detach()
        return self.vectors.detach().norm(dim=-1)[:, 0]

    @property
    def directions(self) -> Tensor:
        """Unit rows; of a span an orthonormal basis, (block, span, width)."""
        rows = self.vectors.detach()
        return (
            rows.transpose(1, 2).svd().U.transpose(1, 2)
            if self.trainee.span > 1
            else functional.normalize(rows, dim=-1)
        )

    @property
    def length(self) -> float:
        """What a budget holds: the length of all that is added, a gate's factor, the share of an ablation."""
        if self.trainee.mode in ("add", "clamp"):
            return float(self.lengths.norm())
        return self.amount

    def plan(self, real: Tensor, *, sign: float = 1.0, nulled: bool = False) -> Plan:
        """What is written, differentiable.

        Args:
            real: True where a position holds a token, (row, position).
            sign: -1 for the vector turned around.
            nulled: The direction is taken out of the states instead.
        """
        vectors, trainee = self.vectors, self.trainee
        return tuple(
            Write(self._operation(index, rows, real, sign, nulled), *place, trainee.scope)
            for index, (rows, place) in enumerate(zip(vectors, trainee.places, strict=True))
        )

    def _operation(self, index: int, rows: Tensor, real: Tensor, sign: float, nulled: bool) -> Operation:
        mode = self.trainee.mode
        if nulled:
            return TakeOut(functional.normalize(rows, dim=-1))
        if mode == "add":
            return AddRows(sign * rows[None])
        if mode == "gated_add":
            return AddGated(
                functional.normalize(rows[0], dim=-1), real.to(rows.device), self.trainee.top, sign * self.amount
            )
        if mode == "ablate":
            basis = torch.linalg.qr(rows.T).Q.T if len(rows) > 1 else functional.normalize(rows, dim=-1)
            return TakeOut(basis, self.amount)
        direction = functional.normalize(rows[0], dim=-1)
        return HoldAt(direction, self._low[index] @ direction + self.values[index] * self._scale[index])

    @torch.no_grad()
    def times(self, factor: float) -> None:
        """Make what a budget holds so many times as large; an ablation takes out all at most."""
        if self.trainee.mode == "add":
            self.rows *= factor
        elif self.trainee.mode == "clamp":
            self.values *= factor
        elif self.trainee.mode == "ablate":
            self.amount = min(1.0, self.amount * factor)
        else:
            self.amount *= factor

    @torch.no_grad()
    def hold(self, length: float) -> None:
        """Give what is added so long a length again."""
        if self.trainee.mode in ("add", "clamp") and self.length > 0:
            self.times(length / self.length)

    def state(self) -> dict[str, Any]:
        """All that changes, on the CPU."""
        return {
            "rows": self.rows.detach().cpu().clone(),
            "values": self.values.detach().cpu().clone(),
            "amount": self.amount,
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` gave."""
        self.rows.copy_(state["rows"])
        self.values.copy_(state["values"])
        self.amount = float(state["amount"])
