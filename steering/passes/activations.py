"""Reading states: one pass for all blocks of a site, in batches by token budget, pooled to one state per prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, Literal

import torch
from torch import Tensor

from steering.lane import Job
from steering.model.caches import repeated
from steering.model.host import Host
from steering.model.pace import note_reading
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace, ReadSite
from steering.passes.pooling import Pooling, read_positions
from steering.passes.rows import Batch, check_length
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_on, read_prompts


DEFAULT_TOKEN_BUDGET = 2048
_WORTH_IT = 16
_MOST_REPEATED = 8
"""Tokens of a shared beginning that a batch may hold in memory, in token budgets."""


def read_states(
    host: Host,
    prompts: Sequence[Prompt],
    *,
    site: ReadSite = "block_output",
    pooling: Pooling = "last_token",
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    padding_side: Literal["left", "right"] = "left",
) -> Tensor:
    """Pooled states of every prompt at every block.

    Returns:
        float32 on the CPU, (prompt, block, width), in the order of `prompts`.

    Raises:
        SteeringError: A site that not every block of the model has, or a prompt longer than the context.
    """

    def work(job: Job[Tensor]) -> Tensor:
        states = torch.empty(len(prompts), host.info.blocks, host.info.width)
        done = 0
        for indices, batch in stream_states(
            host,
            prompts,
            site=site,
            pooling=pooling,
            token_budget=token_budget,
            padding_side=padding_side,
            beginning=shared_beginning(host, prompts, pooling),
        ):
            states[indices] = batch
            done += len(indices)
            job.report(done, len(prompts), "prompts read")
        return states

    return host.run(work, title="Reading states")


@dataclass(frozen=True)
class Beginning:
    """Tokens that several prompts begin with, read once for all of them."""

    ids: tuple[int, ...]
    cache: Any
    """Hugging Face key-value cache, one row."""


NOTHING = Beginning((), None)


def shared_beginning(host: Host, prompts: Sequence[Prompt], pooling: Pooling = "last_token") -> Beginning:
    """Read what all prompts begin with, such as a long system prompt, so that it need not be read with each of them.

    It ends before the first token of any prompt that is to be read. Under 16 tokens it is not worth the while, and a
    model whose memory of the prompt cannot be given to several rows has none: then it is empty.
    """
    first = min(min(read_positions(prompt, pooling)) for prompt in prompts)
    columns = zip(*(prompt.ids[:first] for prompt in prompts), strict=False)
    ids = tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))
    if len(ids) < _WORTH_IT or len(prompts) < 2 or not host.abilities.shares:
        return NOTHING
    batch = Batch(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool), torch.tensor([len(ids) - 1]))
    work = partial(read_on, host, batch, Schedule(host, [()]))
    _, cache = host.run(lambda job: work(), title="Reading the prompts' beginning")
    return Beginning(ids, cache)


def stream_states(
    host: Host,
    prompts: Sequence[Prompt],
    *,
    site: ReadSite = "block_output",
    pooling: Pooling = "last_token",
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    padding_side: Literal["left", "right"] = "left",
    beginning: Beginning = NOTHING,
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `read_states`, a batch at a time: (indices into `prompts`, states (batch, block, width)).

    The result does not depend on padding side, on which prompts share a batch, or on whether their beginning was read
    before, up to float error. Says nothing of its progress, which the caller knows better.
    """
    host.sites.check_read(site)
    known = len(beginning.ids)
    most = max(1, _MOST_REPEATED * token_budget // known) if known else None
    for indices in batches_by_length([len(prompt) - known for prompt in prompts], token_budget, most):
        batch = [prompts[index] for index in indices]
        read = partial(_read, host, batch, site, pooling, padding_side, beginning)
        began = time.perf_counter()
        states = host.run(lambda job, read=read: read(), title="Reading states")  # type: ignore[misc]
        note_reading(host, sum(len(prompt) - known for prompt in batch), time.perf_counter() - began)
        yield torch.tensor(indices), states


def _read(
    host: Host,
    prompts: list[Prompt],
    site: ReadSite,
    pooling: Pooling,
    padding_side: Literal["left", "right"],
    beginning: Beginning,
) -> Tensor:
    known = len(beginning.ids)
    side = "right" if known else padding_side
    batch = Batch.of(host, [replace(prompt, ids=prompt.ids[known:]) for prompt in prompts], side)
    weights = torch.zeros(batch.ids.shape)
    for row, prompt in enumerate(prompts):
        check_length(host, len(prompt))
        positions = torch.tensor(read_positions(prompt, pooling)) - known + batch.first[row]
        weights[row, positions] = 1 / len(positions)
    pooled: list[Tensor] = []

    def read(place: ReadPlace, states: Tensor) -> None:
        pooled.append(torch.einsum("bt,btd->bd", weights.to(states.device), states.float()))

    places = [(block, site) for block in range(host.info.blocks)]
    schedule = Schedule(host, [()] * len(prompts))
    if known:
        cache = repeated(beginning.cache, len(prompts))
        read_on(host, batch, schedule, cache=cache, length=known, read=read, places=places)
    else:
        read_prompts(host, batch, schedule, read=read, places=places)
    return torch.stack([states.cpu() for states in pooled], dim=1)  # one transfer a block, after the pass


def batches_by_length(lengths: Sequence[int], token_budget: int, most: int | None = None) -> list[list[int]]:
    """Indices in batches of similar length, each of at most `token_budget` tokens with padding and `most` prompts, and
    of at least one prompt.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        # Sorted by length, so the newcomer is the longest of its batch.
        fits = batches and (len(batches[-1]) + 1) * lengths[index] <= token_budget
        if fits and (most is None or len(batches[-1]) < most):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
