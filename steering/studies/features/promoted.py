"""The tokens that a feature promotes: its direction read through the model's own final norm and unembedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.lane import look_for_stop
from steering.model.host import Host
from steering.passes.exact import rows_at_once
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Write
from steering.writes.operations import Operation


_ROWS = 256
"""Directions that are read in a pass, at most."""


@dataclass(frozen=True, eq=False)
class _Put(Operation):
    """d_i in place of every state of row i."""

    directions: Tensor
    """(row, width)"""

    def __call__(self, states: Tensor) -> Tensor:
        return self.directions[:, None].to(states).expand_as(states).clone()


def promoted(host: Host, directions: Tensor, n: int) -> Tensor:
    """The tokens with the largest logits where each direction alone stands behind the last block, (direction, n).

    A pass of one token puts it there, so that the final norm, with its centring and learnt weights, and whatever stands
    behind it are the model's own. Directions are scaled to a root mean square of 1, at which no norm's small constant
    counts. Tokens that the tokenizer does not know are left out. Call on the model thread.

    Args:
        host: The model.
        directions: (direction, width).
        n: How many tokens.
    """
    known = min(len(host.tokenizer), host.info.vocabulary)
    tops = [logits[:, :known].topk(min(n, known), dim=-1).indices.cpu() for logits in _logits(host, directions)]
    return torch.cat(tops) if tops else torch.zeros(0, n, dtype=torch.long)


def _logits(host: Host, directions: Tensor) -> Iterator[Tensor]:
    """Logits of some directions at a time, (direction, vocabulary)."""
    sized = directions * (directions.shape[1] ** 0.5 / directions.norm(dim=-1, keepdim=True).clamp(min=1e-12))
    for some in sized.split(rows_at_once(host.info.vocabulary, _ROWS)):
        look_for_stop()
        ids = torch.zeros(len(some), 1, dtype=torch.long)
        batch = Batch(ids, torch.ones_like(ids, dtype=torch.bool), torch.zeros(len(some), dtype=torch.long))
        write = Write(_Put(some), host.info.blocks - 1, "block_output")
        yield read_prompts(host, batch, Schedule(host, [(write,)] * len(some))).logits
