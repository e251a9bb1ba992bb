"""What a model reads of texts, token by token, and what a dictionary makes of it: which token is whose, which features
are active at it.

States are read in batches and go as soon as they are encoded; what stays of a token are the features that it activates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.sparse import SparseActivations
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt, Role
from steering.numbers import counted
from steering.passes.activations import DEFAULT_TOKEN_BUDGET
from steering.studies.features.streams import made_of


Encode = Callable[[Tensor, Tensor], SparseActivations]
"""From states (token, width) and the number of tokens of each text to active features."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of some texts that are read, text by text, each text's in its order."""

    prompts: tuple[Prompt, ...]
    text: Tensor
    """Index into `prompts`, ascending, (token,)."""
    place: Tensor
    """Position in its prompt, (token,)."""

    @classmethod
    def of(cls, prompts: Sequence[Prompt], *, first: bool = False) -> Tokens:
        """All tokens of the prompts; without each one's first, whose state is often many times as long as others and
        the same in every text, unless `first`.

        Raises:
            SteeringError: No token is left.
        """
        skipped = 0 if first else 1
        each = [range(skipped, len(prompt)) for prompt in prompts]
        text = torch.repeat_interleave(torch.arange(len(each)), torch.tensor([len(places) for places in each]))
        if not len(text):
            raise SteeringError(
                f"{counted(len(prompts), 'text')} of one token each.",
                "texts of two tokens or more: the first token of a text is left out.",
                "Give longer texts, or read the first token too.",
            )
        return cls(tuple(prompts), text, torch.tensor(list(chain.from_iterable(each))))

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def offsets(self) -> Tensor:
        """Text i has the tokens from `offsets[i]` to `offsets[i + 1]`, (text + 1,)."""
        counts = torch.bincount(self.text, minlength=len(self.prompts))
        return torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])

    @cached_property
    def ids(self) -> Tensor:
        """Token ids, (token,)."""
        return torch.tensor([self.prompts[text].ids[place] for text, place in self._pairs()])

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """Whose token each is; of plain text, everything but what the tokenizer adds is the user's."""
        return tuple(self.prompts[text].roles[place] for text, place in self._pairs())

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Each token as a readable piece."""
        return tuple(self.prompts[text].tokens[place] for text, place in self._pairs())

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return zip(self.text.tolist(), self.place.tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class FeatureReading:
    """Which features are active at which token."""

    tokens: Tokens
    activations: SparseActivations
    """Row t is that of token t."""


def within_context(host: Host, prompts: Sequence[Prompt]) -> tuple[list[Prompt], tuple[str, ...]]:
    """The prompts, each cut to what the model's context holds, and a note of how many were cut."""
    most = host.info.context - 1
    cut = [prompt if len(prompt) <= most else _cut(prompt, most) for prompt in prompts]
    n = sum(len(before) > most for before in prompts)
    said = f"{counted(n, 'text')} longer than the context {'was' if n == 1 else 'were'} read up to token {most}."
    return cut, (said,) if n else ()


def _cut(prompt: Prompt, most: int) -> Prompt:
    tokens = prompt.tokens[:most]
    return replace(prompt, text="".join(tokens), ids=prompt.ids[:most], roles=prompt.roles[:most], tokens=tokens)


def read_features(
    host: Host,
    prompts: Sequence[Prompt],
    dictionary: Dictionary,
    *,
    first: bool = False,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    encode: Encode | None = None,
) -> FeatureReading:
    """The features that every token of some texts activates.

    Args:
        host: The model.
        prompts: What it reads.
        dictionary: What its states are encoded with, where it reads.
        first: Whether the first token of each is read, too.
        token_budget: The most tokens of a pass, padding included.
        encode: What encodes the states in the dictionary's place; the dictionary itself where None.

    Raises:
        SteeringError: As `stream_tokens`, and where no token is left.
    """
    tokens = Tokens.of(prompts, first=first)
    make = partial(_by_text, partial(encoded, dictionary) if encode is None else encode)

    def work(job: Job[FeatureReading]) -> FeatureReading:
        parts: dict[int, SparseActivations] = {}
        more: dict[str, Any] = {"first": first, "token_budget": token_budget, "what": "texts read"}
        for indices, active in made_of(job, host, prompts, dictionary, make, **more):
            parts |= zip(indices, active, strict=True)
        return FeatureReading(tokens, SparseActivations.joined([parts[index] for index in range(len(prompts))]))

    return host.run(work, title="Reading features")


def encoded(dictionary: Dictionary, states: Tensor, counts: Tensor) -> SparseActivations:
    """The active features of some texts' tokens.

    Args:
        dictionary: Which looks at a token by itself, or at a text whole (a temporal one).
        states: One text's behind the other's, (token, width).
        counts: Tokens of each text, (text,).
    """
    if dictionary.architecture != "temporal":
        return dictionary.encode(states)
    texts = [text for text in states.split(counts.tolist()) if len(text)]
    return SparseActivations.joined([dictionary.encode(text[None]) for text in texts])


def given_back(dictionary: Dictionary, states: Tensor, counts: Tensor) -> tuple[SparseActivations, Tensor]:
    """The active features of some texts' tokens, and what the dictionary gives for them, (token, width)."""
    active = encoded(dictionary, states, counts)
    if dictionary.architecture == "temporal":
        texts = [text for text in states.split(counts.tolist()) if len(text)]
        return active, torch.cat([dictionary.reconstruct(text[None])[0] for text in texts])
    skips = getattr(dictionary.sae, "W_skip", None) is not None
    return active, dictionary.reconstruct(states) if skips else dictionary.decode(active)


def _by_text(encode: Encode, states: Tensor, counts: Tensor) -> list[SparseActivations]:
    """What is active in every text of a batch, on the CPU; how states were normalised is left behind."""
    active, start, found = encode(states, counts).to("cpu"), 0, []
    for count in counts.tolist():
        offsets = active.offsets[start : start + count + 1]
        low, high = int(offsets[0]), int(offsets[-1])
        # Copies, since a view would hold the whole batch in memory.
        features, values = active.features[low:high].clone(), active.values[low:high].clone()
        found.append(SparseActivations(offsets - low, features, values, active.n_features))
        start += count
    return found
