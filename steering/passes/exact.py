"""Distributions over the vocabulary in float64, a bounded piece at a time, on a device that has float64.

Logits are kept as the float32 that a pass gives; whatever is worked out from them (KL, log-probabilities, the mass on
some tokens) is worked out here, from pieces of `PIECE` numbers. So no float64 lies over a whole batch times the
vocabulary, and none on a device without it (Apple's MPS).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


PIECE = 2**20
"""Numbers that are float64 at a time: 8 MB, and a few times that with what is made of them."""
LOGITS = 2**25
"""Numbers in the logits of one pass, about: 134 MB as float32."""


def has_float64(device: torch.device) -> bool:
    """Whether a device can be relied on to have float64."""
    return device.type in ("cpu", "cuda")


def exact(tensor: Tensor) -> Tensor:
    """A tensor in float64, where there is float64: on its own device, else on the CPU."""
    return (tensor if has_float64(tensor.device) else tensor.cpu()).double()


def rows_at_once(numbers: int, most: int) -> int:
    """How many rows of so many logits each a pass may have: at least one, at most `most`."""
    return max(1, min(most, LOGITS // max(1, numbers)))


def mass_of(logits: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Total probability of each group of tokens.

    Args:
        logits: (..., vocabulary).
        groups: Token ids.

    Returns:
        float64 on the CPU, (..., group).
    """
    found = []
    for (piece,) in _pieces(logits):
        chances = torch.softmax(piece, dim=-1)
        found.append(torch.stack([chances[:, list(group)].sum(dim=-1) for group in groups], dim=-1).cpu())
    return torch.cat(found).reshape(*logits.shape[:-1], len(groups))


def sum_of_chances(logits: Tensor) -> Tensor:
    """The sum over rows of the probabilities of every token, float64 on the CPU, (vocabulary,).

    Args:
        logits: (row, vocabulary).
    """
    total = torch.zeros(logits.shape[-1], dtype=torch.float64)
    for (piece,) in _pieces(logits):
        total += torch.softmax(piece, dim=-1).sum(dim=0).cpu()
    return total


def losses_of(logits: Tensor, taken: Tensor) -> Tensor:
    """-log-probability of one token a place, nats.

    Args:
        logits: (..., vocabulary).
        taken: Token ids, (...).

    Returns:
        float64 on the CPU, (...).
    """
    picked = logits.gather(-1, taken.to(logits.device)[..., None])[..., 0]
    totals = torch.cat([piece.logsumexp(dim=-1).cpu() for (piece,) in _pieces(logits)])
    return totals.reshape(logits.shape[:-1]) - exact(picked).cpu()


def divergence(base: Tensor, other: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """KL(base || other) of every distribution, nats; with `smoothing` it is added to both within the logarithms.

    Args:
        base: Logits, (..., vocabulary).
        other: Logits of as many.
        smoothing: Of the published refusal code, 1e-6; then a value may be below 0.

    Returns:
        float64 on the CPU, (...).
    """
    found = []
    for p, q in _pieces(base, other):
        p, q = torch.log_softmax(p, dim=-1), torch.log_softmax(q, dim=-1)
        chances = p.exp()
        if smoothing:
            p, q = (chances + smoothing).log(), (q.exp_() + smoothing).log_()
        found.append((chances * (p - q)).sum(dim=-1).cpu())
    apart = torch.cat(found).reshape(base.shape[:-1])
    return apart if smoothing else apart.clamp(min=0)  # KL cannot be negative; its rounding can


class Compared(NamedTuple):
    """Next-token distributions beside those of a reference, a row each."""

    divergence: Tensor
    """KL(reference || own), nats, float64 on the CPU, (row,)."""
    change: Tensor
    """log-probability of the token that was taken, less that in the reference, nats, float64 on the CPU, (row,)."""
    tokens: Tensor
    """Ids, (row, n + 1): the one that was taken, then the likeliest in either, which may be it again."""
    chances: tuple[Tensor, Tensor]
    """Their probabilities in the reference and here, (row, n + 1) each."""


def compared(base: Tensor, own: Tensor, taken: Tensor, n: int) -> Compared:
    """All that is told of a reply's tokens, from one look at the logits.

    Args:
        base: The reference's, (row, vocabulary).
        own: Of as many; `base` itself where nothing else is the reference, and then nothing is apart.
        taken: Token ids, (row,).
        n: How many of the likeliest.
    """
    ids, n = taken.to(own.device)[:, None], min(n, own.shape[-1])
    if base is own:
        return _alone(own, ids, n)
    parts, start = [], 0
    for p, q in _pieces(base, own):
        p, q = torch.log_softmax(p, dim=-1), torch.log_softmax(q, dim=-1)
        of = ids[start : start + len(p)].to(p.device)
        start += len(p)
        shown = torch.cat([of, torch.maximum(p, q).topk(n, dim=-1).indices], dim=1)
        change = (q.gather(1, of) - p.gather(1, of))[:, 0]
        beside = p.gather(1, shown).exp(), q.gather(1, shown).exp()
        apart = (p.exp() * p.sub_(q)).sum(dim=-1).clamp(min=0)  # KL cannot be negative; its rounding can
        parts.append([each.cpu() for each in (apart, change, shown, *beside)])
    found = [torch.cat(each) for each in zip(*parts, strict=True)]
    return Compared(found[0], found[1], found[2], (found[3], found[4]))


def _alone(own: Tensor, ids: Tensor, n: int) -> Compared:
    """What is told of tokens that are compared with nothing else, in float32, which shows probabilities well."""
    rows, parts = max(1, PIECE // own.shape[-1]), []
    for logits, of in zip(own.split(rows), ids.split(rows), strict=True):
        shown = torch.cat([of, logits.topk(n, dim=-1).indices], dim=1)
        chances = (logits.gather(1, shown).float() - logits.float().logsumexp(dim=-1, keepdim=True)).exp()
        parts.append((shown.cpu(), chances.cpu()))
    tokens, chances = (torch.cat(each) for each in zip(*parts, strict=True))
    nothing = torch.zeros(len(own), dtype=torch.float64)
    return Compared(nothing, nothing, tokens, (chances, chances))


def _pieces(*logits: Tensor) -> Iterator[list[Tensor]]:
    """The same rows of several, float64, (row, vocabulary) each."""
    flat = [each.reshape(-1, each.shape[-1]) for each in logits]
    rows = max(1, PIECE // flat[0].shape[-1])
    for start in range(0, len(flat[0]), rows):
        yield [exact(each[start : start + rows]) for each in flat]
