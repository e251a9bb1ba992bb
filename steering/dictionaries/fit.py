"""Whether a dictionary belongs to a model, and to the place that it names: what files say, and what only states show.

Loaders have named wrong layers, wrong base models and wrong hooks (SAELens #410, #436, #624), each of which gives
numbers that look like activations. So the dictionary is tried on states of the named place and of its neighbours: it is
believed where it explains the named place, and no neighbour better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary, Where
from steering.dictionaries.hooks import check_hook, read_hook
from steering.dictionaries.inputs import Input
from steering.dictionaries.releases import plain_name
from steering.errors import SteeringError
from steering.model.host import Host


Pair = tuple[Where, Where]
"""What is read and what is given, each at its place; twice the same for an autoencoder."""
LEAST = 0.2
"""Explained variance below which a dictionary does not describe the states at its place; good ones reach 0.7."""
_BETTER = 0.75
"""Another place fits better where it leaves less than this share of what the named one leaves: neighbouring blocks are
much alike.
"""
_SEEN = 0.02
"""And explains at least so much more of its variance."""
_MANY = 0.25
"""Share of features active at once above which they are not sparse: a TopK dictionary that is read as ReLU has half."""


@dataclass(frozen=True)
class Fit:
    """How well a dictionary explains states at the place that it names, and elsewhere."""

    named: Pair
    explained: Mapping[Pair, float]
    """Explained variance by place, 1 - Σ|x - x̂|² / Σ|x - mean|²; 1 is all of it, below 0 is worse than the mean."""
    l0: float
    """Active features a token at the named place."""
    fault: str
    """What is wrong, in a sentence; "" where it may be believed."""
    better: Pair | None = None
    """The place that it fits better, if there is one."""
    before_weight: bool = False
    """Whether it reads a state before a norm's weight, which no place says behind a source."""

    def check(self, name: str) -> None:
        """Raise where it is not to be believed.

        Raises:
            SteeringError: With the fault and, if it fits another place, which.
        """
        if not self.fault:
            return
        (read, given) = self.better or self.named
        told = f"?reads={read[0]}:{read[1]}" + (f"&gives={given[0]}:{given[1]}" if given != read else "")
        raise SteeringError(
            f"'{name}' does not describe this model's states: {self.fault}",
            "a dictionary that explains the states at the place that it names, better than those nearby.",
            f"If it belongs there, load it with '{told}' behind its source."
            if self.better and not self.before_weight
            else "Load the model that it was trained on, or choose another dictionary.",
        )


def check_model(dictionary: Dictionary, host: Host) -> tuple[str, ...]:
    """Look at what files can tell: width, blocks, sites and names; gives notes, a sentence each.

    Another name of the model is a note alone, since a dictionary may be looked at on a fine-tune of its model; whether
    it describes its states, `judge` tells.

    Raises:
        SteeringError: It cannot be this model's.
    """
    for width, what in ((dictionary.width_in, "reads"), (dictionary.width_out, "gives")):
        if width != host.info.width:
            raise SteeringError(
                f"'{dictionary.name}' {what} states of width {width}.",
                f"width {host.info.width}, as {host.info.name} has.",
                "Load the model that it was trained on, or choose another dictionary.",
            )
    for (block, site), name in zip((dictionary.reads, dictionary.gives), dictionary.hooks, strict=True):
        if not 0 <= block < host.sites.n_blocks:
            raise SteeringError(
                f"'{dictionary.name}' belongs to block {block}.",
                f"a block from 0 to {host.sites.n_blocks - 1}, as {host.info.name} has.",
                "Load the model that it was trained on, or choose another dictionary.",
            )
        host.sites.check_read(site, block)
        if name:
            check_hook(read_hook(name), host.sites, name)
    for block, site in (place for each in dictionary.inputs for place in each.places):
        host.sites.check_read(site, block)
    if not dictionary.model:
        return ("Its files do not say which model it was trained on.",)
    if plain_name(dictionary.model) != plain_name(host.info.name):
        return (f"It was trained on {dictionary.model}; this is {host.info.name}.",)
    return ()


def candidates(dictionary: Dictionary, host: Host) -> tuple[Pair, ...]:
    """The places to try a dictionary at, the named one first: the blocks around it, and the other sites of its block
    where it is an autoencoder.
    """
    (block, reads), (gives_block, gives) = dictionary.reads, dictionary.gives
    found: list[Pair] = [(dictionary.reads, dictionary.gives)]
    for step in (-2, -1, 1, 2):
        ends = (block + step, reads), (gives_block + step, gives)
        places = [place for each in all_inputs(dictionary) for place in each.moved(step).places]
        if all(
            0 <= at < host.sites.n_blocks and site in host.sites.blocks[at].readable for at, site in (*places, *ends)
        ):
            found.append(ends)
    if dictionary.kind == "autoencoder":
        found += [((block, site), (block, site)) for site in host.sites.at(block) if site != reads]
    same = _same(dictionary.reads, host)
    return tuple(pair for pair in found if pair[0] != same)


def judge(dictionary: Dictionary, states: Mapping[Pair, tuple[Tensor, Tensor]]) -> Fit:
    """How well a dictionary explains states at several places.

    Args:
        dictionary: Which.
        states: By place, what is read and what is to be given, (token, width) each, of the same tokens; the named place
            among them. Leave out each text's first token, whose state is of another kind. Some 500 tokens are enough.
    """
    named = (dictionary.reads, dictionary.gives)
    explained = {pair: explained_variance(dictionary, *both) for pair, both in states.items()}
    return judged(dictionary, explained, states[named][0])


def judged(dictionary: Dictionary, explained: Mapping[Pair, float], read: Tensor) -> Fit:
    """As `judge`, where it is known what is explained.

    Args:
        dictionary: Which.
        explained: Explained variance by place, the named one among them; NaN where it cannot be known.
        read: What it reads at the named place, (token, width).
    """
    named = (dictionary.reads, dictionary.gives)
    counts = dictionary.encode(_texts(dictionary, read)).counts.float()
    l0, here = float(counts.mean()), explained[named]
    best = max(explained, key=lambda pair: explained[pair])
    fits_there = explained[best] >= max(LEAST, here + _SEEN) and 1 - explained[best] < _BETTER * (1 - here)
    better = best if fits_there else None
    at = f"{named[1][1]} of block {named[1][0]}"
    fault = ""
    if l0 > _MANY * dictionary.n_features:
        fault = (
            f"{l0:.0f} of its {dictionary.n_features} features are active at once, as of a TopK dictionary that is "
            "read without its k."
        )
    elif better:
        there = f"{better[1][1]} of block {better[1][0]}"
        fault = f"it explains {explained[better]:.0%} of {there}, but {here:.0%} of {at}, which it names."
    elif here < LEAST:
        fault = f"it explains {here:.0%} of {at}, which it names, and no place nearby better."
    return Fit(named, explained, l0, fault, better, dictionary.before_weight)


@torch.no_grad()
def explained_variance(dictionary: Dictionary, read: Tensor, given: Tensor) -> float:
    """1 - Σ|x - x̂|² / Σ|x - mean|² of the states that it is to give, over all tokens.

    Args:
        dictionary: Which.
        read: What it reads, (token, width).
        given: What it is to give, (token, width_out).
    """
    return share_explained(dictionary.reconstruct(_texts(dictionary, read)).reshape(given.shape), given)


def share_explained(found: Tensor, given: Tensor) -> float:
    """1 - Σ|x - x̂|² / Σ|x - mean|², over all tokens, of what was found for the states that are to be given."""
    given = given.float().to(found.device)
    spread = float((given - given.mean(dim=0)).pow(2).sum())
    return 1 - float((given - found).pow(2).sum()) / spread if spread else 0.0


def _texts(dictionary: Dictionary, states: Tensor) -> Tensor:
    """Tokens as one text, for a dictionary that asks for texts."""
    return states[None] if dictionary.architecture == "temporal" else states


def all_inputs(dictionary: Dictionary) -> tuple[Input, ...]:
    """What has to be read for its states to be given: of a cross-layer transcoder what every block up to it reads."""
    if dictionary.layers is None:
        return dictionary.read_from
    return tuple(dictionary.read_from[0].moved(step) for step in source_steps(dictionary))


def source_steps(dictionary: Dictionary) -> tuple[int, ...]:
    """How many blocks further on each layer of a cross-layer transcoder stands than the dictionary's own, which is the
    last of those that give to it.
    """
    layers = dictionary.layers
    assert layers is not None
    return tuple(layers.blocks[source] - layers.blocks[layers.own] for source in layers.sources())


def _same(where: Where, host: Host) -> Where | None:
    """The other name of a place in the residual stream: a block's output is the next one's input."""
    block, site = where
    if not host.sites.linked:
        return None
    return {"block_output": (block + 1, "block_input"), "block_input": (block - 1, "block_output")}.get(site)  # type: ignore[return-value]
