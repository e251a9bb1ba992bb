"""States of texts at every token, a batch of similar lengths at a time, as dictionaries read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.inputs import ModelPlace, needed, side_by_side
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace
from steering.parts.part import here, parts
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.store import HandedOn, Kept


T = TypeVar("T")


def stream_tokens(
    host: Host,
    prompts: Sequence[Prompt],
    places: Sequence[ReadPlace],
    *,
    first: bool = False,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> Iterator[tuple[list[int], dict[ReadPlace, Tensor]]]:
    """States at every token that `Tokens.of` names, a batch of similar lengths at a time.

    Args:
        host: The model.
        prompts: What it reads.
        places: Where to read, all in one pass.
        first: Whether the first token of each is read, too.
        token_budget: The most tokens of a pass, padding included.

    Yields:
        Indices into `prompts`, and by place the states of their tokens, one prompt's behind the other's, float32 on the
        model's device, (token, width).

    Raises:
        SteeringError: A place that the model does not have, or a prompt longer than the context.
    """
    for indices in batches_by_length([len(prompt) for prompt in prompts], token_budget):
        read = partial(_read, host, [prompts[index] for index in indices], places, first)
        yield indices, host.run(lambda job, read=read: read(), title="Reading states")  # type: ignore[misc]


def stream_places(
    host: Host,
    others: Mapping[str, Host],
    prompts: Sequence[Prompt],
    wanted: Sequence[ModelPlace],
    *,
    first: bool = False,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> Iterator[tuple[list[int], dict[ModelPlace, Tensor]]]:
    """As `stream_tokens`, of several models that read the same tokens, each in one pass.

    Args:
        host: The model at hand, which is called "".
        others: Further models by name.
        prompts: What all of them read.
        wanted: Which model is read where.
        first: Whether the first token of each is read, too.
        token_budget: The most tokens of a pass, padding included.
    """
    places: dict[str, list[ReadPlace]] = {"": []}
    for model, place in dict.fromkeys(wanted):
        places.setdefault(model, []).append(place)
    streams = {
        model: stream_tokens(others[model] if model else host, prompts, own, first=first, token_budget=token_budget)
        for model, own in places.items()
        if own
    }
    for batch in zip(*streams.values(), strict=True):  # batches depend on the lengths alone
        found = {
            (model, place): states
            for model, (_, own) in zip(streams, batch, strict=True)
            for place, states in own.items()
        }
        yield batch[0][0], found


def stream_inputs(
    host: Host,
    prompts: Sequence[Prompt],
    dictionary: Dictionary,
    *,
    also: Sequence[ReadPlace] = (),
    first: bool = False,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> Iterator[tuple[list[int], Tensor, dict[ReadPlace, Tensor]]]:
    """What a dictionary reads at every token, its inputs side by side, and states of the model at hand.

    Args:
        host: The model.
        prompts: What it reads.
        dictionary: What reads its states.
        also: Further places, of the same pass.
        first: Whether the first token of each is read, too.
        token_budget: The most tokens of a pass, padding included.

    Yields:
        Indices into `prompts`; (token, width of all inputs); and by place (token, width).
    """
    wanted = (*needed(dictionary.read_from), *(("", place) for place in also))
    streamed = stream_places(host, dictionary.others, prompts, wanted, first=first, token_budget=token_budget)
    for indices, found in streamed:
        yield (
            indices,
            side_by_side(dictionary.read_from, found, host.device),
            {place: found["", place] for place in also},
        )


def made_of(
    job: Job[Any],
    host: Host,
    prompts: Sequence[Prompt],
    dictionary: Dictionary,
    make: Callable[[Tensor, Tensor], T],
    *,
    first: bool,
    what: str,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> list[tuple[list[int], T]]:
    """What is made of all that a dictionary reads of each batch of texts, by workers where there are any and it is more
    than one batch: what they make comes back, and states do not. Call on the model thread.

    Args:
        job: Told of the progress.
        host: The model.
        prompts: What it reads.
        dictionary: What reads its states.
        make: From these, (token, width of all inputs), one text's behind the other's, and the number of tokens of each
            text; plain data or tensors.
        first: Whether the first token of each text is read, too.
        what: What the progress calls it.
        token_budget: The most tokens of a pass, padding included.

    Returns:
        Indices into `prompts` and what was made of them, batch by batch.
    """
    batches = batches_by_length([len(prompt) for prompt in prompts], token_budget)
    items = [
        _Made(number, tuple(prompts[index] for index in indices), dictionary, make, first, token_budget)
        for number, indices in enumerate(batches)
    ]
    found, done = dict[int, T](), 0

    def take(each: Mapping[str, Any]) -> None:
        found[each["number"]] = each["made"]

    engine = here if dictionary.others or len(items) < 2 else parts  # other models are where this one is
    with closing(engine(job, host, items, HandedOn(take))) as told:
        for each in told:
            if each.n:
                done += each.n
                job.report(done, len(prompts), what)
    return [(indices, found[number]) for number, indices in enumerate(batches)]


@dataclass(frozen=True, eq=False)
class _Made:
    """What is made of one batch of texts."""

    number: int
    prompts: tuple[Prompt, ...]
    dictionary: Dictionary
    make: Callable[[Tensor, Tensor], Any]
    first: bool
    token_budget: int

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Read and make it."""
        dictionary = self.dictionary.to(host.device)
        read = stream_inputs(host, self.prompts, dictionary, first=self.first, token_budget=self.token_budget)
        ((_, states, _),) = read
        counts = torch.tensor([len(prompt) - (not self.first) for prompt in self.prompts])
        kept[str(self.number)] = {"number": self.number, "made": self.make(states, counts)}
        yield len(self.prompts)

    def pieces(self, host: Host) -> tuple[_Made]:
        """Itself."""
        return (self,)


def _read(host: Host, prompts: Sequence[Prompt], places: Sequence[ReadPlace], first: bool) -> dict[ReadPlace, Tensor]:
    batch = Batch.of(host, prompts)
    kept = batch.real.clone()
    if not first:
        kept[torch.arange(len(prompts)), batch.first] = False
    found: dict[ReadPlace, Tensor] = {}

    def read(place: ReadPlace, states: Tensor) -> None:
        found[place] = states[kept.to(states.device)].float()

    read_prompts(host, batch, Schedule(host, [()] * len(prompts)), read=read, places=places)
    return found
