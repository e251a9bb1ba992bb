"""What the blocks of a demo model read and give at every token but the first: what its dictionaries are trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt, Role
from steering.model.sites import Site
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length
from steering.passes.rows import Batch
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import read_prompts


_Where = tuple[int, str]
_READ_SITES: tuple[Site, ...] = ("block_input", "attention_output", "mlp_output", "block_output")


@dataclass(frozen=True)
class BlockStates:
    """States of one block at the same tokens, (tokens, width) each, float32, first tokens left out."""

    block_output: Tensor
    mlp_input: Tensor
    """The normed state that enters the MLP."""
    mlp_output: Tensor
    first_norm: dict[str, float]
    """By site, the norm of the first token's state over the mean norm of all others."""


def read_tokens(
    host: Host,
    conversations: Sequence[Sequence[int]],
    blocks: Sequence[int],
    *,
    report: Callable[[float], None] = lambda share: None,
) -> dict[int, BlockStates]:
    """States at every token but the first of each conversation, one pass for all blocks.

    Args:
        host: A model of the Llama architecture.
        conversations: Token ids; what is beyond the context is cut.
        blocks: Which blocks to read.
        report: Told of the share of the conversations that is read.
    """
    rows = [tuple(ids[: host.info.context - 1]) for ids in conversations]
    parts, first, done = dict[_Where, list[Tensor]](), dict[_Where, float](), 0
    for indices in batches_by_length([len(row) for row in rows], 2 * DEFAULT_TOKEN_BUDGET):
        read = partial(_read_batch, host, [rows[index] for index in indices], blocks)
        for place, (states, first_norm) in host.run(read, title="Reading states").items():
            parts.setdefault(place, []).append(states)
            first[place] = first_norm
        done += len(indices)
        report(done / len(rows))
    joined = {place: torch.cat(parts.pop(place)) for place in list(parts)}
    ratio = {place: first[place] / float(states.norm(dim=-1).mean()) for place, states in joined.items()}
    return {
        block: BlockStates(
            block_output=joined[block, "block_output"],
            mlp_input=joined[block, "mlp_input"],
            mlp_output=joined[block, "mlp_output"],
            first_norm={site: value for (where, site), value in ratio.items() if where == block},
        )
        for block in blocks
    }


def _read_batch(
    host: Host, rows: list[tuple[int, ...]], blocks: Sequence[int], job: Job[Any]
) -> dict[_Where, tuple[Tensor, float]]:
    # The reader needs the ids alone, so the words and roles of these prompts are left blank.
    blank: Role = "template"
    prompts = [Prompt("", ids, (blank,) * len(ids), ("",) * len(ids)) for ids in rows]
    batch = Batch.of(host, prompts)
    kept = batch.real.index_put((torch.arange(len(rows)), batch.first), torch.tensor(False))
    found: dict[_Where, tuple[Tensor, Tensor]] = {}

    def read(place: Place, states: Tensor) -> None:
        found[place] = states[kept.to(states.device)].float(), states[0, batch.first[0]].float()

    places: list[Place] = [(block, site) for block in blocks for site in _READ_SITES]
    read_prompts(host, batch, Schedule(host, [()] * len(rows)), read=read, places=places)
    with torch.no_grad():
        for block in blocks:
            norm = host.model._module.model.layers[block].post_attention_layernorm
            stream, attention = found.pop((block, "block_input")), found.pop((block, "attention_output"))
            found[block, "mlp_input"] = norm(stream[0] + attention[0]), norm(stream[1] + attention[1])
    return {place: (states, float(first.norm())) for place, (states, first) in found.items()}
