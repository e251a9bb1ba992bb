"""Gradients of a number that is made of next-token logits, with regard to the states at one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steering.loading.tensor_parallel import check_undivided
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import Place, ReadPlace
from steering.passes.activations import batches_by_length
from steering.passes.checkpointed import Back, as_many_as_fit
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import Reader, read_prompts
from steering.writes.interventions import Write
from steering.writes.operations import Operation


_TOKENS = 512
"""Of a pass: what is needed to go back through it is kept for every block behind the place."""
OfLogits = Callable[[Tensor], Tensor]
"""From logits, (prompt, vocabulary), to a number a prompt, (prompt,); differentiable."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """What one batch gave."""

    indices: tuple[int, ...]
    """Of its prompts."""
    real: Tensor
    """True where a position is no padding, (prompt, position)."""
    states: Tensor
    """At the place, float32, (prompt, position, width)."""
    slopes: Tensor
    """d value / d states, float32, (prompt, position, width)."""
    values: Tensor
    """What was made of the logits, (prompt,)."""
    also: Mapping[ReadPlace, Tensor]
    """States at the further places that were asked for, float32, (prompt, position, width)."""


def stream_gradients(
    host: Host,
    prompts: Sequence[Prompt],
    place: Place,
    of: OfLogits,
    *,
    also: Sequence[ReadPlace] = (),
    token_budget: int = _TOKENS,
) -> Iterator[Gradients]:
    """The gradient at every token of every prompt, a batch at a time. Call on the model thread.

    The graph begins at the place: what lies below is not gone back through, and no weight gets a gradient. To first
    order a change v of a token's state there moves the value by v · slope, through everything that lies behind.

    Args:
        host: The model.
        prompts: Any number.
        place: Block and site.
        of: What is made of the logits of the reply's first token.
        also: Where else states are read.
        token_budget: The most tokens in a batch, padding included.

    Raises:
        SteeringError: A block or site that the model does not have, a prompt longer than the context, or a model that
            is divided among processes.
        NoRoom: A prompt alone does not fit into memory, with checkpoints.
    """
    check_undivided(host.model._module, "A gradient")

    def found(indices: Sequence[int], back: Back) -> Gradients:
        own = _gradients(host, [prompts[index] for index in indices], place, of, also, back)
        return replace(own, indices=tuple(indices))

    def tokens(indices: Sequence[int]) -> int:
        return max(len(prompts[index]) for index in indices)

    for _, gradients in as_many_as_fit(host, _batches(host, prompts, token_budget), found, tokens):
        yield gradients


def _gradients(
    host: Host, prompts: Sequence[Prompt], place: Place, of: OfLogits, also: Sequence[ReadPlace], back: Back
) -> Gradients:
    batch = Batch.of(host, prompts)
    begin = _Begin(torch.zeros(host.info.width))
    schedule = Schedule(host, [(Write(begin, *place),)] * len(prompts))
    kept: dict[ReadPlace, Tensor] = {}
    logits = read_prompts(host, batch, schedule, read=_keep_in(kept), places=also, gradients=back).logits
    with torch.enable_grad():
        values = of(logits)
        (slopes,) = torch.autograd.grad(values.sum(), begin.states)
    return Gradients((), batch.real, begin.states.detach(), slopes, values.detach(), kept)


def _keep_in(kept: dict[ReadPlace, Tensor]) -> Reader:
    def read(place: ReadPlace, states: Tensor) -> None:
        kept[place] = states.detach().float()

    return read


def _batches(host: Host, prompts: Sequence[Prompt], token_budget: int) -> Iterator[list[int]]:
    """Indices of prompts that one pass takes: a graph that begins in several would have several beginnings."""
    for indices in batches_by_length([len(prompt) for prompt in prompts], token_budget):
        real = Batch.of(host, [prompts[index] for index in indices]).real
        whole = host.abilities.takes(real) and host.abilities.keeps is not None
        yield from [indices] if whole else [[index] for index in indices]


class _Begin(Operation):
    """Gives states back as they are and keeps them, as the beginning of a graph."""

    states: Tensor

    def __init__(self, nothing: Tensor) -> None:
        self.nothing = nothing

    def __call__(self, states: Tensor) -> Tensor:
        self.states = states.detach().float().requires_grad_()
        return self.states

    def to(self, device: torch.device) -> _Begin:
        return self
