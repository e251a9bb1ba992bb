"""What features add to a logit difference, to first order: directly to the output, and through all that lies behind.

A feature with activation a and decoder row d adds a d to the state x at its token. A number L of the logits changes by

    direct:  a d · ∂L/∂x_last   with x_last the state behind the last block: decoder times unembedding, where the final
                                norm is linearised at the unsteered state (its scale held and its own part kept); only
                                at the token whose logits are read, and nothing that later blocks make of it
    whole:   a d · ∂L/∂x        with x the state where the feature is written: through every later block, at all tokens

when the feature is put there, and by as much the other way when it is switched off (attribution patching: Nanda 2023;
of features: Marks et al. 2024, "Sparse Feature Circuits", arXiv 2403.19647). Both are exact only for small changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.gradients import Gradients, OfLogits, stream_gradients


_COLUMNS = ("prompts", "places", "features", "activations", "lengths", "direct", "whole")
_NUMBERS = 2**22
"""Of the products that are worked out at once: 16 MB."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Every feature at every token at which it is active; entries in no order."""

    prompts: Tensor
    """Index of the prompt, (entry,)."""
    places: Tensor
    """Position of the token in its prompt, (entry,)."""
    features: Tensor
    """(entry,)"""
    activations: Tensor
    """(entry,)"""
    lengths: Tensor
    """|a d|, raw units, (entry,)."""
    direct: Tensor
    """Logits, (entry,); 0 at all tokens but the last."""
    whole: Tensor
    """Logits, (entry,)."""
    values: Tensor
    """The number itself, (prompt,)."""
    slopes: Tensor
    """∂L/∂x where features are written, summed over all tokens, (prompt, width)."""
    ends: Tensor
    """∂L/∂x behind the last block, at the last token, (prompt, width)."""
    linear: Tensor
    """x · ∂L/∂x over all tokens that were read, with x the whole state that the dictionary gives: what its features,
    its bias and what it does not explain add together, to first order, (prompt,).
    """
    tokens: int
    """How many were read, those without any feature included."""
    n_features: int

    def total(self, of: Tensor) -> Tensor:
        """The sum over a feature's entries, (feature,)."""
        return torch.zeros(self.n_features, dtype=torch.float64).index_add_(0, self.features, of.double())

    def by_prompt(self, of: Tensor, features: Sequence[int]) -> Tensor:
        """The sum over tokens, (prompt, feature), of some features."""
        column = torch.full((self.n_features,), -1)
        column[list(features)] = torch.arange(len(features))
        own = column[self.features] >= 0
        cells = self.prompts[own] * len(features) + column[self.features[own]]
        flat = torch.zeros(len(self.values) * len(features), dtype=torch.float64).index_add_(0, cells, of[own].double())
        return flat.unflatten(0, (len(self.values), len(features)))


def read_shares(
    job: Job[Any], host: Host, dictionary: Dictionary, prompts: Sequence[Prompt], of: OfLogits, *, first: bool = False
) -> Shares:
    """Read prompts and go back through the model from a number made of their next-token logits. On the model thread.

    Args:
        job: Told of the progress.
        host: The model.
        dictionary: Whose features.
        prompts: Any number.
        of: The number; see `OfLogits`.
        first: Whether features at each prompt's first token count, whose state is unlike all others.

    Raises:
        SteeringError: A place that the model does not have, or a prompt longer than the context.
    """
    ends = _end_slopes(job, host, prompts, of)
    own = dictionary.reads == dictionary.gives
    found: list[tuple[Tensor, ...]] = []
    values, slopes, linear = torch.zeros(len(prompts)), torch.zeros_like(ends), torch.zeros(len(prompts))
    tokens = done = 0
    for batch in stream_gradients(host, prompts, dictionary.gives, of, also=() if own else (dictionary.reads,)):
        job.report(done, len(prompts), "prompts followed back")
        kept = batch.real.clone()
        if not first:
            kept[torch.arange(len(kept)), kept.int().argmax(dim=1)] = False
        read = batch.states if own else batch.also[dictionary.reads]
        found.append(_entries(dictionary, batch, read, kept, ends))
        values[list(batch.indices)] = batch.values.float().cpu()
        device = batch.slopes.device
        slopes[list(batch.indices)] = (batch.slopes * batch.real[..., None].to(device)).sum(dim=1).cpu()
        linear[list(batch.indices)] = ((batch.states * batch.slopes).sum(dim=-1) * kept.to(device)).sum(dim=1).cpu()
        tokens += int(kept.sum())
        done += len(batch.indices)
    columns = dict(zip(_COLUMNS, (torch.cat(each) for each in zip(*found, strict=True)), strict=True))
    return Shares(
        **columns,
        values=values,
        slopes=slopes,
        ends=ends,
        linear=linear,
        tokens=tokens,
        n_features=dictionary.n_features,
    )


def _end_slopes(job: Job[Any], host: Host, prompts: Sequence[Prompt], of: OfLogits) -> Tensor:
    """The gradient at the last token behind the last block, (prompt, width)."""
    slopes = torch.zeros(len(prompts), host.info.width)
    for batch in stream_gradients(host, prompts, (host.info.blocks - 1, "block_output"), of):
        job.check()
        slopes[list(batch.indices)] = batch.slopes[:, -1].cpu()  # prompts are padded on the left
    return slopes


def _entries(dictionary: Dictionary, batch: Gradients, read: Tensor, kept: Tensor, ends: Tensor) -> tuple[Tensor, ...]:
    """`_COLUMNS` of `Shares`, of one batch's tokens."""
    rows, columns = kept.nonzero(as_tuple=True)
    device = batch.slopes.device
    active = dictionary.encode(read[rows.to(device), columns.to(device)]).to("cpu")
    slopes = batch.slopes.cpu()[rows, columns]
    prompts = torch.tensor(batch.indices)[rows]
    last = columns == batch.real.shape[1] - 1
    scale = torch.ones(len(rows)) if active.scale is None else active.scale[:, 0]
    sizes = active.values * scale[active.tokens]
    named, number = active.features.unique(return_inverse=True)
    directions = dictionary.decoder(named).cpu()
    along = [_products(directions, number, each, active.tokens) for each in (slopes, ends[prompts])]
    return (
        prompts[active.tokens],
        (columns - batch.real.int().argmax(dim=1)[rows])[active.tokens],
        active.features,
        active.values,
        sizes.abs() * directions.norm(dim=-1)[number],
        sizes * along[1] * last[active.tokens],
        sizes * along[0],
    )


def _products(directions: Tensor, number: Tensor, slopes: Tensor, tokens: Tensor) -> Tensor:
    """Of every entry its direction times its token's slope, (entry,), some entries at a time."""
    step = max(1, _NUMBERS // directions.shape[1])
    parts = [
        (directions[some] * slopes[at]).sum(dim=-1)
        for some, at in zip(number.split(step), tokens.split(step), strict=True)
    ]
    return torch.cat(parts)
