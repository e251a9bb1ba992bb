"""Which of several tensors, times which numbers, add up to what a block writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sum:
    """output = carry · input + Σ scale · term."""

    terms: Mapping[str, float]
    """Name of each term and its scale."""
    carry: float = 1.0


_MOST_PLAIN, _MOST_SCALED = 5, 3
"""How many terms are tried as they are, and times numbers (Longcat has five, Falcon-H1 three)."""
_MOST_CANDIDATES = 24
_TRIED = 8
"""Combinations of one size that are looked at in full, the best by least squares first."""
_CARRIES = (0.02, 50.0)
"""Outside, what looks like a carry is another term that holds the residual already."""


def find_sum(entered: Tensor, left: Tensor, values: Mapping[str, Tensor]) -> Sum | None:
    """The fewest terms that add up, as they are if they can and else times numbers that no token or channel changes.

    Args:
        entered: The block's input, (row, token, width).
        left: Its output.
        values: Candidates in the order in which a pass gives them, each like the stream.

    Returns:
        None where nothing adds up within rounding.
    """
    names = _distinct(entered, left, values)
    if not names:
        return None
    tensors = [_exact(values[name]) for name in names]
    start, end = _exact(entered), _exact(left)
    # Every element counts relative to its own size: some channels of large models are a thousand times the others.
    weight = 1 / (start.abs() + end.abs()).clamp(min=1e-12)
    columns = torch.stack([tensor * weight for tensor in (start, *tensors)])
    gram, goal = columns @ columns.T, columns @ (end * weight)
    whole = float(((end * weight) ** 2).sum())
    for scaled in (False, True):
        most = min(_MOST_SCALED if scaled else _MOST_PLAIN, len(names))
        for size in range(1, most + 1):
            for picked, numbers in _best(gram, goal, whole, size, scaled):
                terms = {names[index - 1]: number for index, number in zip(picked, numbers[1:], strict=True)}
                found = _rounded(Sum(terms, numbers[0]), entered, left, values)
                if found is not None:
                    return found
    return None


def holds(total: Sum, entered: Tensor, left: Tensor, values: Mapping[str, Tensor]) -> bool:
    """Whether a sum gives the block's output within the rounding of its precision.

    Every element's error is taken relative to the sizes that went into it. Two additions and a product round by half a
    unit in the last place each; 4 units of root mean square, and 64 at worst, leave room for a kernel's own order.
    """
    start, end = _exact(entered), _exact(left)
    made, size = total.carry * start, (total.carry * start).abs() + end.abs()
    for name, scale in total.terms.items():
        term = scale * _exact(values[name])
        made, size = made + term, size + term.abs()
    error = (made - end).abs() / size.clamp(min=1e-12)
    coarsest = max(torch.finfo(values[name].dtype).eps for name in total.terms)
    unit = max(coarsest, torch.finfo(left.dtype).eps, torch.finfo(entered.dtype).eps)
    return bool(error.square().mean().sqrt() <= _mean_units(unit) * unit and error.max() <= 64 * unit)


def _mean_units(unit: float) -> float:
    # In half precision a unit is near a hundredth, as large as what a block may add: less room is left.
    return 4.0 if unit < 1e-5 else 0.75


def _distinct(entered: Tensor, left: Tensor, values: Mapping[str, Tensor]) -> list[str]:
    """Names of candidates that differ from each other and from the stream; of equal ones the least deep, the first."""
    kept: dict[str, Tensor] = {}
    for name in sorted(values, key=lambda name: name.count(".")):
        value = values[name]
        known = any(torch.equal(value, other) for other in (entered, left, *kept.values()))
        if not known and value.isfinite().all() and bool(value.any()):
            kept[name] = value
    return [name for name in values if name in kept][-_MOST_CANDIDATES:]


def _exact(states: Tensor) -> Tensor:
    return states.detach().cpu().double().reshape(-1)


def _best(gram: Tensor, goal: Tensor, whole: float, size: int, scaled: bool) -> list[tuple[list[int], list[float]]]:
    """Combinations of a size with their numbers, carry first, the least squared error first."""
    picks = torch.tensor(list(combinations(range(1, len(goal)), size)))
    columns = torch.cat([torch.zeros(len(picks), 1, dtype=torch.long), picks], dim=1)
    grams, goals = gram[columns[:, :, None], columns[:, None, :]], goal[columns]
    if scaled:
        # A little of the diagonal keeps equal columns apart; it moves no number by more than 1e-12 of itself.
        ridge = 1e-13 * grams.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * torch.eye(size + 1).double()
        numbers = torch.linalg.solve(grams + ridge, goals)
    else:
        numbers = torch.ones_like(goals)
    error = whole - 2 * (numbers * goals).sum(1) + torch.einsum("ni,nij,nj->n", numbers, grams, numbers)
    order = error.argsort()[:_TRIED].tolist()
    return [(picks[index].tolist(), numbers[index].tolist()) for index in order]


def _rounded(total: Sum, entered: Tensor, left: Tensor, values: Mapping[str, Tensor]) -> Sum | None:
    """The sum if it holds, with numbers of exactly 1 where that holds as well."""
    if not _CARRIES[0] <= abs(total.carry) <= _CARRIES[1] or not all(total.terms.values()):
        return None
    if not holds(total, entered, left, values):
        return None
    for name in (None, *total.terms):  # numbers that may as well be 1 are 1
        number = total.carry if name is None else total.terms[name]
        plain = Sum(total.terms, 1.0) if name is None else Sum({**total.terms, name: 1.0}, total.carry)
        if abs(number - 1) < 0.01 and holds(plain, entered, left, values):
            total = plain
    return total
