"""Losses over padded batches of token ids."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from steering.demo.batches import Batch


def next_token_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of the cross-entropies of every next token, in nats.

    Args:
        logits: (rows, tokens, vocabulary).
        batch: Its ids are the targets; each target's weight counts.
    """
    each = cross_entropy(logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    return (each * batch.weight[:, 1:].flatten()).sum()


def divergence_loss(logits: Tensor, reference: Tensor, batch: Batch) -> Tensor:
    """Weighted sum of KL(reference || model) over next-token distributions, in nats.

    Args:
        logits: Of the model, (rows, tokens, vocabulary).
        reference: Logits of the model to stay close to, of the same shape, without gradient.
        batch: Each position weighs as the token after it.
    """
    wanted = log_softmax(reference[:, :-1].flatten(0, 1), dim=-1)
    found = log_softmax(logits[:, :-1].flatten(0, 1), dim=-1)
    each = kl_div(found, wanted, reduction="none", log_target=True).sum(-1)
    return (each * batch.weight[:, 1:].flatten()).sum()


def total_weight(*batches: Batch) -> float:
    """Summed weight of all targets."""
    return sum(float(batch.weight[:, 1:].sum()) for batch in batches)


def reply_starts(batch: Batch) -> Tensor:
    """Position of the last token before the last reply, per row, (rows,): where the next token is the reply's first."""
    # Replies weigh at least 1, prompts less: the last reply starts after the last light token before its end.
    written = batch.weight >= 1
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    last = torch.where(written, places, -1).max(dim=1, keepdim=True).values
    return torch.where(~written & (places < last), places, 0).max(dim=1).values
