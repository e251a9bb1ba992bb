"""Reading states: one pass for all blocks of a site, in batches by token budget, pooled to one state per prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from steering.host import Host
from steering.lane import Job
from steering.pooling import Pooling, read_positions
from steering.prompts import Prompt
from steering.rows import Batch
from steering.schedule import Place, Schedule
from steering.sites import Site
from steering.tracing import read_prompts


DEFAULT_TOKEN_BUDGET = 2048


def read_states(
    host: Host,
    prompts: Sequence[Prompt],
    *,
    site: Site = "block_output",
    pooling: Pooling = "last_token",
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    padding_side: Literal["left", "right"] = "left",
) -> Tensor:
    """Pooled states of every prompt at every block.

    Returns:
        float32 on the CPU, (prompt, block, width), in the order of `prompts`.

    Raises:
        SteeringError: A site this architecture does not have, or a prompt longer than the context.
    """

    def work(job: Job[Tensor]) -> Tensor:
        states = torch.empty(len(prompts), host.info.blocks, host.info.width)
        done = 0
        for indices, batch in stream_states(
            host, prompts, site=site, pooling=pooling, token_budget=token_budget, padding_side=padding_side
        ):
            states[indices] = batch
            done += len(indices)
            job.report(done, len(prompts), "prompts read")
        return states

    return host.run(work, title="Reading states")


def stream_states(
    host: Host,
    prompts: Sequence[Prompt],
    *,
    site: Site = "block_output",
    pooling: Pooling = "last_token",
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    padding_side: Literal["left", "right"] = "left",
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `read_states`, a batch at a time: (indices into `prompts`, states (batch, block, width)).

    The result does not depend on padding side or on which prompts share a batch, up to float error. Says nothing of its
    progress, which the caller knows better.
    """
    host.sites.check(site)
    for indices in batches_by_length([len(prompt) for prompt in prompts], token_budget):
        batch = [prompts[index] for index in indices]
        read = partial(_read, host, batch, site, pooling, padding_side)
        yield torch.tensor(indices), host.run(lambda job, read=read: read(), title="Reading states")  # type: ignore[misc]


def _read(
    host: Host, prompts: list[Prompt], site: Site, pooling: Pooling, padding_side: Literal["left", "right"]
) -> Tensor:
    batch = Batch.of(host, prompts, padding_side)
    weights = torch.zeros(batch.ids.shape)
    for row, prompt in enumerate(prompts):
        positions = torch.tensor(read_positions(prompt, pooling)) + batch.first[row]
        weights[row, positions] = 1 / len(positions)
    pooled: list[Tensor] = []

    def read(place: Place, states: Tensor) -> None:
        pooled.append(torch.einsum("bt,btd->bd", weights.to(states.device), states.float()))

    places = [(block, site) for block in range(host.info.blocks)]
    read_prompts(host, batch, Schedule(host, [()] * len(prompts)), read=read, places=places)
    return torch.stack([states.cpu() for states in pooled], dim=1)  # one transfer a block, after the pass


def batches_by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices in batches of similar length, each of at most `token_budget` tokens with padding, and of at least one
    prompt.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        # Sorted by length, so the newcomer is the longest of its batch.
        if batches and (len(batches[-1]) + 1) * lengths[index] <= token_budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
