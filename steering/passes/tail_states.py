"""States at the last few tokens of prompts: where the chat template speaks after the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace, Site
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Plan


def tail_length(prompts: Sequence[Prompt]) -> int:
    """How many tokens all prompts end with that belong to the template; 1 where there are none, as without a chat
    template.
    """
    ends = [tuple(reversed(prompt.ids)) for prompt in prompts]
    tails = [_template_tail(prompt) for prompt in prompts]
    shared = min(tails)
    while shared > 1 and len({end[:shared] for end in ends}) > 1:  # a token may melt with the text before it
        shared -= 1
    return max(1, shared)


def stream_tails(
    host: Host,
    prompts: Sequence[Prompt],
    n: int,
    *,
    site: Site = "block_input",
    plan: Plan = (),
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> Iterator[tuple[Tensor, Tensor]]:
    """States at the last `n` tokens, a batch at a time: (indices into `prompts`, states (batch, token, block, width)).

    Args:
        host: The model.
        prompts: Each of at least `n` tokens.
        n: How many tokens, in prompt order.
        site: Where in each block.
        plan: What is written while they are read.
        token_budget: The most tokens in a batch, padding included.
    """
    places = [(block, site) for block in range(host.info.blocks)]
    for indices in batches_by_length([len(prompt) for prompt in prompts], token_budget):
        kept: list[Tensor] = []

        def read(place: ReadPlace, states: Tensor, kept: list[Tensor] = kept) -> None:
            kept.append(states[:, -n:].float())

        batch = Batch.of(host, [prompts[index] for index in indices])
        schedule = Schedule(host, [plan] * len(indices))
        host.run(
            lambda job, batch=batch, schedule=schedule, read=read: read_prompts(  # type: ignore[misc]
                host, batch, schedule, read=read, places=places
            ),
            title="Reading states",
        )
        yield torch.tensor(indices), torch.stack([states.cpu() for states in kept], dim=2)


def _template_tail(prompt: Prompt) -> int:
    length = 0
    for role in reversed(prompt.roles):
        if role != "template":
            break
        length += 1
    return length if length < len(prompt) else 1
