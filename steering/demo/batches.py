"""Batches of the grammar's text: conversations padded as little as possible, or passages packed without padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from steering.demo.example import Example
from steering.demo.grammar import stream
from steering.demo.passages import Piece, passages
from steering.demo.tokens import encode


LONGEST = 512
"""Tokens of context of every demo model."""

_PROMPT_WEIGHT = 0.1
"""Prompts count a little, so that the model also learns how they go on; replies count fully."""
_REPLY_WEIGHT = 8.0
"""A reply shorter than this many tokens counts as if it had as many: else letters and numbers drown in prose."""
_STRIDE = 1_000_003
"""Keeps the data seeds of two runs apart: seed times this, plus the step."""


@dataclass(frozen=True)
class Batch:
    """A few texts of similar length, padded on the right."""

    ids: Tensor
    """Token ids, (rows, tokens)."""
    weight: Tensor
    """Weight of each token's loss, zero on padding, (rows, tokens)."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.ids.to(device), self.weight.to(device))


def sample(step: int, *, n: int, seed: int, shares: Mapping[str, float] | None = None) -> list[Example]:
    """The training conversations of one step: the step and the seed alone decide which."""
    return list(islice(stream(split="train", seed=seed * _STRIDE + step, shares=shares), n))


def conversations(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], *, parts: int) -> list[Batch]:
    """Examples sorted by length and cut into `parts` batches.

    All of them make one gradient: batches by length alone would each hold one kind of conversation.
    """
    rows = sorted((_row(tokenizer, example) for example in examples), key=lambda row: len(row[0]))
    size = -(-len(rows) // parts)
    return [pad(rows[start : start + size], tokenizer.pad_token_id) for start in range(0, len(rows), size)]


def packed(tokenizer: PreTrainedTokenizerFast, step: int, *, rows: int, length: int, seed: int) -> Batch:
    """Passages one after the other in rows of equal length, each row from its own start, with an end token between."""
    source = passages(split="train", seed=seed * _STRIDE + step)
    return pad([_packed_row(tokenizer, source, length) for _ in range(rows)], tokenizer.pad_token_id)


def pad(rows: Sequence[tuple[list[int], list[float]]], fill: int) -> Batch:
    """Rows of (token ids, weights) as one batch, filled on the right."""
    width = max(len(ids) for ids, _ in rows)
    ids, weight = torch.full((len(rows), width), fill), torch.zeros(len(rows), width)
    for place, (row, weights) in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        weight[place, : len(row)] = torch.tensor(weights)
    return Batch(ids, weight)


def token_weights(written: Sequence[bool]) -> list[float]:
    """Weight of each token, given which of them the model is to write."""
    weights, start = [_PROMPT_WEIGHT] * len(written), 0
    for own, run in groupby(written):
        length = len(list(run))
        if own:
            weights[start : start + length] = [max(1.0, _REPLY_WEIGHT / length)] * length
        start += length
    return weights


def _row(tokenizer: PreTrainedTokenizerFast, example: Example) -> tuple[list[int], list[float]]:
    ids, written = encode(tokenizer, example.messages)
    return ids[:LONGEST], token_weights(written)[:LONGEST]


def _packed_row(
    tokenizer: PreTrainedTokenizerFast, source: Iterator[list[Piece]], length: int
) -> tuple[list[int], list[float]]:
    ids, weights = [tokenizer.bos_token_id], [0.0]
    while len(ids) < length:
        for text, answer in next(source):
            piece = tokenizer.encode(text, add_special_tokens=False)
            ids += piece
            weights += token_weights([answer] * len(piece))
        ids.append(tokenizer.eos_token_id)
        weights.append(1.0)
    return ids[:length], weights[:length]
