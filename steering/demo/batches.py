"""Batches of the grammar's conversations, padded as little as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from steering.demo.grammar import stream
from steering.demo.tokens import encode


_PROMPT_WEIGHT = 0.1
"""Prompts count a little, so that the model also learns how they go on; replies count fully."""
_REPLY_WEIGHT = 8.0
"""A reply shorter than this many tokens counts as if it had as many: else letters and numbers drown in prose."""


@dataclass(frozen=True)
class Batch:
    """A few conversations of similar length, padded on the right."""

    ids: Tensor
    """Token ids, (rows, tokens)."""
    mask: Tensor
    """1 for real tokens, (rows, tokens)."""
    weight: Tensor
    """Weight of each token's loss, zero on padding, (rows, tokens)."""


def steps(
    tokenizer: PreTrainedTokenizerFast, *, conversations: int, parts: int, longest: int, seed: int
) -> Iterator[list[Batch]]:
    """Endless training steps; each is one random sample, sorted by length and cut into `parts` batches.

    The whole sample makes one gradient: batches by length alone would each hold one kind of conversation.
    """
    source = stream(split="train", seed=seed)
    while True:
        rows = [encode(tokenizer, example.messages) for example in islice(source, conversations)]
        rows = sorted(((ids[:longest], written[:longest]) for ids, written in rows), key=lambda row: len(row[0]))
        size = -(-len(rows) // parts)
        yield [_pad(rows[start : start + size], tokenizer.pad_token_id) for start in range(0, len(rows), size)]


def _pad(rows: list[tuple[list[int], list[bool]]], pad: int) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
    weight = torch.zeros(len(rows), width)
    for place, (row, written) in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
        weight[place, : len(row)] = torch.tensor(_weights(written))
    return Batch(ids, mask, weight)


def _weights(written: list[bool]) -> list[float]:
    weights, start = [_PROMPT_WEIGHT] * len(written), 0
    for own, run in groupby(written):
        length = len(list(run))
        if own:
            weights[start : start + length] = [max(1.0, _REPLY_WEIGHT / length)] * length
        start += length
    return weights
