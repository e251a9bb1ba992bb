"""What a dictionary, or a random one in its place, makes of texts: sums by text and kind of token, and what fires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.sparse import SparseActivations
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.studies.features.reading import Tokens
from steering.studies.features.sources import Kind
from steering.studies.features.streams import stream_inputs
from steering.studies.features.sums import Sums


Group = Literal["chat, messages", "chat, template", "plain"]
GROUPS: tuple[Group, ...] = ("chat, messages", "chat, template", "plain")
GivesBack = Callable[[Tensor, Tensor], tuple[SparseActivations, Tensor]]
"""From states (token, width) and the number of tokens of each text to active features and states given back."""


@dataclass(frozen=True, eq=False)
class Texts:
    """The same texts in one or both kinds, each with its tokens."""

    n: int
    """Texts."""
    kinds: dict[Kind, Tokens]

    def groups(self, kind: Kind) -> dict[Group, Tensor]:
        """Which tokens of a kind belong to which group, boolean, (token,)."""
        if kind == "plain":
            return {"plain": torch.ones(len(self.kinds[kind]), dtype=torch.bool)}
        template = torch.tensor([role == "template" for role in self.kinds[kind].roles])
        return {"chat, messages": ~template, "chat, template": template}

    @property
    def prompts(self) -> list[Prompt]:
        """All of them."""
        return [prompt for tokens in self.kinds.values() for prompt in tokens.prompts]

    @property
    def n_tokens(self) -> int:
        """Tokens of all of them."""
        return sum(len(tokens) for tokens in self.kinds.values())


@dataclass(eq=False)
class Measured:
    """What one dictionary makes of texts."""

    fits: dict[Group, Sums] = field(default_factory=dict)
    fired: dict[Kind, Tensor] = field(default_factory=dict)
    """At how many tokens each feature is active, (feature,)."""
    errors: dict[Kind, Tensor] = field(default_factory=dict)
    """|y - y'| / |y| of every token, (token,), in the order of its `Tokens`."""
    inputs: dict[Kind, Sums] = field(default_factory=dict)
    """Sums of the states that were read, for their mean."""

    def fit(self, kind: Kind) -> Sums:
        """All tokens of a kind."""
        return Sums.joined(fit for group, fit in self.fits.items() if group.startswith(kind))

    @property
    def reads(self) -> Tensor:
        """Mean of the states that were read, (width,)."""
        return Sums.joined(self.inputs.values()).mean

    @property
    def gives(self) -> Tensor:
        """Mean of the states that were to be given, (width,)."""
        return Sums.joined(self.fits.values()).mean


def measured(
    host: Host,
    dictionary: Dictionary,
    texts: Texts,
    gives_back: GivesBack,
    job: Job[Any],
    *,
    first: bool,
    what: str,
    on_given: bool = False,
) -> Measured:
    """Read all texts where a dictionary reads and gives, and sum up what is given back.

    Args:
        host: The model.
        dictionary: Where is read, and which states are to be given.
        texts: What is read.
        gives_back: The dictionary's own encoding and decoding, or another's.
        job: Told of every batch.
        first: Whether first tokens are read, too.
        what: What the progress calls it.
        on_given: Whether it reads the states that are to be given, in place of all that the dictionary reads.
    """
    found, done = Measured(), 0
    for kind, tokens in texts.kinds.items():
        groups, counts = texts.groups(kind), tokens.offsets.diff()
        found.fits |= {group: Sums(texts.n, dictionary.width_out) for group in groups}
        found.inputs[kind] = Sums(texts.n, dictionary.width_out if on_given else dictionary.width)
        found.errors[kind] = torch.zeros(len(tokens))
        fired = torch.zeros(dictionary.n_features, dtype=torch.long)
        for indices, read, states in stream_inputs(
            host, tokens.prompts, dictionary, also=[dictionary.gives], first=first
        ):
            wanted = states[dictionary.gives]
            inputs = wanted if on_given else read
            active, given = gives_back(inputs, counts[indices])
            here = own_tokens(tokens, indices)
            fired += torch.bincount(active.features.cpu(), minlength=dictionary.n_features)
            found.errors[kind][here] = ((wanted - given).norm(dim=-1) / wanted.norm(dim=-1).clamp(min=1e-12)).cpu()
            found.inputs[kind].add(tokens.text[here], inputs, inputs)
            for group, belongs in groups.items():
                own = belongs[here]
                on = own.to(wanted.device)
                found.fits[group].add(tokens.text[here][own], wanted[on], given[on], active.counts.cpu()[own])
            done += len(here)
            job.report(done, texts.n_tokens, what)
        found.fired[kind] = fired
    return found


def own_tokens(tokens: Tokens, indices: Sequence[int]) -> Tensor:
    """The tokens of some texts, one text's behind the other's, as indices into all."""
    offsets = tokens.offsets.tolist()
    return torch.cat([torch.arange(offsets[index], offsets[index + 1]) for index in indices])
