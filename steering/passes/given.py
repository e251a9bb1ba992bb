"""Prompts with what may follow them, sorted into what fits one pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.exact import LOGITS
from steering.passes.rows import check_length


TOKENS = 2048
"""Tokens of one pass, about."""


@dataclass(frozen=True)
class Given:
    """A prompt and what may follow it."""

    prompt: Prompt
    replies: tuple[tuple[int, ...], ...] = ()
    """Token ids, none of them empty; where there are none, only what the prompt's last token says is read."""


def check(host: Host, given: Sequence[Given]) -> None:
    """Raise where a text is too long, or replies are empty or not as many each."""
    if len({len(item.replies) for item in given}) > 1 or any(not reply for item in given for reply in item.replies):
        raise SteeringError("Prompts with different numbers of replies were given, or an empty reply.", "as many each.")
    for item in given:
        check_length(host, len(item.prompt) + max((len(reply) - 1 for reply in item.replies), default=0))


def slices(host: Host, given: Sequence[Given]) -> list[list[int]]:
    """Indices of prompts whose unsteered logits may be held together; all of them in order where they fit."""
    sizes = [max(1, len(each.replies)) * (1 + max(map(len, each.replies), default=0)) for each in given]
    most = max(1, LOGITS // host.info.vocabulary)
    if sum(sizes) <= most:
        return [list(range(len(given)))]
    slices: list[list[int]] = []
    held = most
    for index in sorted(range(len(given)), key=lambda each: len(given[each].prompt)):
        if held + sizes[index] > most:
            slices.append([])
            held = 0
        slices[-1].append(index)
        held += sizes[index]
    return slices


def shared(given: Sequence[Given]) -> tuple[int, ...]:
    """Tokens that all prompts begin with, the last token of any of them left out."""
    columns = zip(*(item.prompt.ids[:-1] for item in given), strict=False)
    return tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))


def buckets(given: Sequence[Given], known: int) -> list[list[int]]:
    """Indices of prompts of equal length, so that a pass has no padding behind which it must go on."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, item in enumerate(given):
        by_length[len(item.prompt)].append(index)
    buckets = []
    for length, indices in by_length.items():
        longest = max((len(reply) for index in indices for reply in given[index].replies), default=0)
        tokens = length - known + len(given[0].replies) * longest
        most = max(1, TOKENS // tokens)
        buckets += [indices[start : start + most] for start in range(0, len(indices), most)]
    return buckets


def taken_of(given: Sequence[Given]) -> tuple[Tensor, Tensor]:
    """The token that every reply has next, -1 at its end and behind it, and how many it has; as `many_plans.Read`."""
    longest = max((len(reply) for item in given for reply in item.replies), default=0)
    taken = torch.full((len(given), max(1, len(given[0].replies)), longest + 1), -1)
    lengths = torch.zeros(taken.shape[:2], dtype=torch.long)
    for row, item in enumerate(given):
        for column, reply in enumerate(item.replies):
            taken[row, column, : len(reply)] = torch.tensor(reply)
            lengths[row, column] = len(reply)
    return taken, lengths
