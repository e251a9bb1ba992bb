"""Rows of a batch: a prompt, what is written while the model reads and answers it, and its tokens side by side with
others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.forms.tables import cut_text
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.numbers import counted
from steering.writes.interventions import Plan
from steering.writes.plan_words import plan_words


@dataclass(frozen=True, repr=False)
class Row:
    """One row of a batch: a prompt and what is written while the model reads and answers it."""

    prompt: Prompt
    plan: Plan = ()
    against: int | None = None
    """Index of the row of the same batch that this one is compared with, usually the unsteered one."""

    def __repr__(self) -> str:
        said = "; ".join(plan_words(self.plan)) or "nothing is written"
        compared = "" if self.against is None else f"; compared with row {self.against}"
        return (
            f"<Row: {counted(len(self.prompt), 'prompt token')}, {cut_text(self.prompt.text, 60)!r}; {said}{compared}>"
        )


@dataclass(frozen=True, repr=False)
class Batch:
    """Token ids of several prompts, perhaps with replies behind them, padded to one length."""

    ids: Tensor
    """(batch, position)"""
    real: Tensor
    """True where a position is no padding, (batch, position)."""
    last: Tensor
    """Index of each row's last prompt token, (batch,)."""

    def __repr__(self) -> str:
        prompts = (self.last - self.first + 1).tolist()
        replies = (self.real.sum(dim=1) - self.last + self.first - 1).tolist()
        behind = f" and replies of {_range_words(replies)}" if any(replies) else ""
        rows, width = self.ids.shape
        padded = int((~self.real).sum())
        said = f"prompts of {_range_words(prompts)}{behind} tokens, {padded} places of padding"
        return f"<Batch: {counted(rows, 'row')} × {width} places; {said}>"

    @classmethod
    def of(
        cls,
        host: Host,
        prompts: Sequence[Prompt],
        padding_side: Literal["left", "right"] = "left",
        *,
        replies: Sequence[Sequence[int]] | None = None,
    ) -> Batch:
        """Pad prompts to the longest of them.

        Args:
            host: The model.
            prompts: One a row.
            padding_side: Where the padding goes.
            replies: Token ids that follow each prompt, as if the model had written them; none where None.

        Raises:
            SteeringError: A prompt, with its reply, is longer than the model's context.
        """
        given = replies or [()] * len(prompts)
        rows = [(*prompt.ids, *reply) for prompt, reply in zip(prompts, given, strict=True)]
        for row, reply in zip(rows, given, strict=True):
            check_length(host, len(row) - bool(reply))  # behind a given reply nothing more is written
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        real = torch.zeros(len(rows), longest, dtype=torch.bool)
        starts = torch.tensor([longest - len(row) if padding_side == "left" else 0 for row in rows])
        for index, (row, start) in enumerate(zip(rows, starts.tolist(), strict=True)):
            ids[index, start : start + len(row)] = torch.tensor(row)
            real[index, start : start + len(row)] = True
        _check_known(host, ids)
        last = starts + torch.tensor([len(prompt) for prompt in prompts]) - 1
        return cls(ids=ids, real=real, last=last)

    def repeated(self, times: int) -> Batch:
        """All rows, `times` times one after the other."""
        return Batch(self.ids.repeat(times, 1), self.real.repeat(times, 1), self.last.repeat(times))

    def longer(self, tokens: Tensor) -> Batch:
        """With one more token a row, (batch,), which is none of the prompt."""
        real = torch.cat([self.real, torch.ones(len(tokens), 1, dtype=torch.bool)], dim=1)
        return Batch(torch.cat([self.ids, tokens[:, None]], dim=1), real, self.last)

    @property
    def first(self) -> Tensor:
        """Index of each row's first prompt token, (batch,)."""
        return self.real.int().argmax(dim=1)


def _range_words(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def check_length(host: Host, length: int) -> None:
    """Raise where a prompt leaves no room for one more token."""
    if length >= host.info.context:
        raise SteeringError(
            f"The prompt is {length} tokens long.",
            f"at most {host.info.context - 1}: {host.name} has a context of {host.info.context} tokens.",
            "Shorten the prompt, or load a model with a longer context.",
        )


def _check_known(host: Host, ids: Tensor) -> None:
    """Raise where a token has no row in the embedding, as with a tokenizer that knows more than its model."""
    token = int(ids.max()) if ids.numel() else 0
    if token >= host.info.vocabulary:
        raise SteeringError(
            f"The text has the token {host.tokenizer.decode([token])!r} (id {token}), which {host.name} does not know.",
            f"ids from 0 to {host.info.vocabulary - 1}, as its embedding has them.",
            "Leave it out of the text, or load the model with the tokenizer that it was trained with.",
        )
