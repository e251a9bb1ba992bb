"""Operations of many rows as one: a sweep of strengths, or a screen of directions, in a single product a place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.writes.operations import Ablate, Add, Operation


@dataclass(frozen=True, eq=False)
class AddRows(Operation):
    """x_i + o_i: every row with an offset of its own, or all with one."""

    offsets: Tensor
    """(row or 1, 1, width)"""

    def __call__(self, states: Tensor) -> Tensor:
        return states + self.offsets.to(states.dtype)


@dataclass(frozen=True, eq=False)
class AblateRows(Operation):
    """x_i - k_i u_i (u_i·x_i): every row with a direction and a share of its own."""

    directions: Tensor
    """u, unit rows, (row, 1, width)."""
    shares: Tensor
    """k, (row, 1, 1)."""

    def __call__(self, states: Tensor) -> Tensor:
        directions = self.directions.to(states.dtype)
        along = torch.linalg.vecdot(states, directions).unsqueeze(-1)
        return torch.addcmul(states, self.shares.to(states.dtype) * along, directions, value=-1)


class Stacks:
    """Puts operations of one kind together; what one schedule asks for twice is made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[tuple[int, int], ...], Operation] = {}

    def of(self, of_rows: Sequence[tuple[int, Operation]]) -> list[tuple[list[int], Operation]]:
        """Rows and the one operation that does to them what each one's own does.

        Args:
            of_rows: (row, operation), rows ascending, each once.
        """
        kinds: dict[Hashable, list[tuple[int, Operation]]] = defaultdict(list)
        for row, operation in of_rows:
            kinds[_kind(operation)].append((row, operation))
        return [([row for row, _ in members], self._one(members)) for members in kinds.values()]

    def _one(self, members: list[tuple[int, Operation]]) -> Operation:
        first = members[0][1]
        alike = all(operation is first for _, operation in members)
        if alike and not _is_product(first):
            return first
        apart = members[:1] if alike else members
        key = tuple((row, id(operation)) for row, operation in apart)
        if key not in self._made:
            self._made[key] = _stack([operation for _, operation in apart])
        return self._made[key]


def _kind(operation: Operation) -> Hashable:
    """What can be stacked says with what, or has its type as its kind; anything else is of its own."""
    if operation.stacks_with is not None:
        return operation.stacks_with
    stackable = type(operation) is Add or (type(operation) is Ablate and operation.directions.ndim == 1)
    return type(operation) if stackable else id(operation)


def _is_product(operation: Operation) -> bool:
    """Whether it multiplies at every use what could be multiplied once: a step of one row is as short as that."""
    return type(operation) is Add and not operation.direction.requires_grad


def _stack(operations: Sequence[Operation]) -> Operation:
    if operations[0].stacks_with is not None:
        return operations[0].stacked(operations)
    device = operations[0].device
    if isinstance(operations[0], Add):
        offsets = [each.strength * each.direction.to(device) for each in operations if isinstance(each, Add)]
        return AddRows(torch.stack(offsets)[:, None])
    ablations = [each for each in operations if isinstance(each, Ablate)]
    shares = torch.tensor([each.share for each in ablations], device=device)
    return AblateRows(torch.stack([each.directions.to(device) for each in ablations])[:, None], shares[:, None, None])
