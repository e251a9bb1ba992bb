"""Given replies read under plans (teacher forcing): how far a plan moves what is said, how likely the reply stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.exact import divergence, losses_of, rows_at_once
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_replies
from steering.writes.interventions import Plan


Replied = tuple[Prompt, tuple[int, ...]]
"""A prompt and the token ids that follow it."""


@dataclass(frozen=True, eq=False)
class Forced:
    """Next-token distributions along given replies, each from its last prompt token to its last token."""

    logits: Tensor
    """float32, (plan, reply, place, vocabulary), on the model's device; replies stand at the right end."""
    used: Tensor
    """Which places belong to the reply, boolean, (reply, place); the last one says what comes after it."""
    taken: Tensor
    """The token that the reply has there, (reply, place); meaningless at the last place."""

    def divergence(self, from_: Forced) -> Tensor:
        """KL(from_ || this) at every place, nats, float64, (plan, reply, place); `from_` has one plan."""
        return torch.stack([divergence(from_.logits[0], each) for each in self.logits])

    @property
    def losses(self) -> Tensor:
        """-log-probability of the reply's tokens, nats, float64, (plan, reply, place - 1)."""
        return torch.stack([losses_of(each[:, :-1], self.taken[:, :-1]) for each in self.logits])


def reply_ids(host: Host, text: str) -> tuple[int, ...]:
    """A reply's tokens behind a prompt. Without a chat template the prompt is plain text, and a space parts the two."""
    ids = host.tokenizer(text if host.info.chat_template else f" {text}", add_special_tokens=False)["input_ids"]
    return tuple(ids)


def replies_at_once(host: Host, plans: int, replied: Sequence[Replied], most: int) -> int:
    """How many replies `read_forced` may read under so many plans: at most `most`, and within memory."""
    longest = max((len(ids) for _, ids in replied), default=0)
    return rows_at_once(plans * (longest + 1) * host.info.vocabulary, most)


def read_forced(host: Host, plans: Sequence[Plan], replied: Sequence[Replied]) -> Forced:
    """Read replies under every plan in one pass. Call on the model thread, with few enough rows.

    Args:
        host: The model.
        plans: What is written, one after the other.
        replied: Prompts and replies, none of both empty.
    """
    rows = [(prompt, ids, plan) for plan in plans for prompt, ids in replied]
    longest = max(len(ids) for _, ids in replied)
    batch = Batch.of(host, [prompt for prompt, _, _ in rows], replies=[ids for _, ids, _ in rows])
    logits = read_replies(host, batch, Schedule(host, [plan for _, _, plan in rows]), n=longest + 1)
    # Each row ends at the right edge; the last prompt token says the reply's first, the last token the end or more.
    lengths = torch.tensor([len(ids) for _, ids in replied])
    used = torch.arange(longest + 1) >= longest - lengths[:, None]
    taken = batch.ids[: len(replied), -(longest + 1) :].roll(-1, dims=1)
    return Forced(logits.unflatten(0, (len(plans), len(replied))), used, taken)
