"""A dictionary tried on somebody's texts at the place that it names and around it; see `steering.dictionaries.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.fit import Fit, Pair, all_inputs, candidates, judge, judged, share_explained
from steering.dictionaries.inputs import Input, ModelPlace, needed, side_by_side
from steering.dictionaries.normed import as_if_here
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace, site_words
from steering.numbers import counted
from steering.studies.features.streams import stream_places


_TOKENS = 1000
"""Tokens that are looked at, about: a wrong place shows in fewer."""


@dataclass(frozen=True)
class Placement:
    """How well a dictionary fits the place that it names and those around it."""

    dictionary: Dictionary
    fit: Fit
    n: int
    """Tokens that were looked at."""
    unchecked: str = ""
    """Why the place could not be tried by explained variance; "" where it was."""

    @property
    def says(self) -> str:
        """What was found, in a sentence."""
        if self.fit.fault:
            return f"The dictionary does not describe these states: {self.fit.fault}"
        if self.unchecked:
            return (
                f"Whether the dictionary belongs to {where_words(self.dictionary)} could not be tried by explained "
                f"variance: {self.unchecked}"
            )
        named = 100 * self.fit.explained[self.fit.named]
        return (
            f"The dictionary {self._with}explains {named:.1f} % of the variance at {pair_words(self.fit.named)}, where "
            f"it says that it belongs, and {self._around} ({self.n:,} tokens)."
        )

    @property
    def _with(self) -> str:
        """With what, where its own features alone explain nothing."""
        layers = self.dictionary.layers
        return "" if layers is None else f"with the features of {counted(len(layers.sources()), 'layer')} "

    @property
    def _around(self) -> str:
        around = len(self.fit.explained) - 1
        return f"fits none of {around} places around it better" if around else "there is none around it to try"

    def check(self) -> None:
        """Raise where the dictionary is not to be believed.

        Raises:
            SteeringError: It fits another place better, or describes none of them.
        """
        try:
            self.fit.check(self.dictionary.name)
        except SteeringError as error:
            all_the_same = "To measure it at its place all the same: check_place=false."
            raise SteeringError(error.given, error.expected, f"{error.remedy} {all_the_same}") from error

    @property
    def table(self) -> pd.DataFrame:
        """One row a place, the named one first."""
        rows = [
            {
                "reads": place_words(pair[0]),
                "gives": place_words(pair[1]),
                "named": pair == self.fit.named,
                "explained_variance": explained,
                "tokens": self.n,
            }
            for pair, explained in self.fit.explained.items()
        ]
        return pd.DataFrame(rows)


def placement(host: Host, dictionary: Dictionary, prompts: Sequence[Prompt], *, first: bool = False) -> Placement:
    """Try a dictionary at the place that it names and around it.

    Args:
        host: The model.
        dictionary: What is looked at.
        prompts: Texts; some of them, from all over the list, are read.
        first: Whether their first tokens are read, too.

    Raises:
        SteeringError: A place that the model does not have.
    """
    if dictionary.layers is not None and (why := _not_whole(dictionary)):
        return _unchecked(host, dictionary, _some(prompts), why, first=first)
    named, *around = candidates(dictionary, host)
    pairs = [named, *(pair for pair in around if all(_readable(host, place) for place in pair))]
    wanted = [place for pair in pairs for place in (*needed(_inputs(dictionary, pair)), ("", pair[1]))]
    read = [states for _, states in stream_places(host, dictionary.others, _some(prompts), wanted, first=first)]
    at = {place: torch.cat([states[place] for states in read]) for place in dict.fromkeys(wanted)}
    n = len(at["", dictionary.gives])
    if dictionary.layers is not None:
        explained = {pair: _explained(dictionary, pair, at) for pair in pairs}
        own = side_by_side(dictionary.read_from, at, host.device)
        return Placement(dictionary, judged(dictionary, explained, own), n)
    states: dict[Pair, tuple[torch.Tensor, torch.Tensor]] = {}
    for pair in pairs:
        inputs = side_by_side(_inputs(dictionary, pair), at, host.device)
        states[pair] = (as_if_here(dictionary, host, pair[0][0], inputs), at["", pair[1]])
    return Placement(dictionary, judge(dictionary, states), n)


def _inputs(dictionary: Dictionary, pair: Pair) -> tuple[Input, ...]:
    """What is read where a dictionary is tried at a place: of a cross-layer transcoder by every layer."""
    if dictionary.layers is None and not dictionary.inputs:
        return (Input((pair[0],)),)
    step = pair[0][0] - dictionary.reads[0]
    return tuple(each.moved(step) for each in all_inputs(dictionary))


def _explained(dictionary: Dictionary, pair: Pair, at: Mapping[ModelPlace, torch.Tensor]) -> float:
    """By the features of all layers of a cross-layer transcoder."""
    assert dictionary.layers is not None
    given = at["", pair[1]]
    states = [side_by_side([each], at, given.device) for each in _inputs(dictionary, pair)]
    return share_explained(dictionary.layers.given(states), given)


def _not_whole(dictionary: Dictionary) -> str:
    """Why the layers of a cross-layer transcoder cannot be put together; "" where they can."""
    assert dictionary.layers is not None
    if missing := dictionary.layers.missing:
        return f"the layers up to it give the state together, and {missing} is not there."
    if dictionary.before_weight:
        return "its layers read states before each norm's learnt weight, which is taken off for its own block only."
    return ""


def _unchecked(host: Host, dictionary: Dictionary, prompts: Sequence[Prompt], why: str, *, first: bool) -> Placement:
    """Only how many features are active can be looked at."""
    wanted = needed(dictionary.read_from)
    read = [
        side_by_side(dictionary.read_from, states, host.device)
        for _, states in stream_places(host, dictionary.others, prompts, wanted, first=first)
    ]
    named, states = (dictionary.reads, dictionary.gives), torch.cat(read)
    return Placement(dictionary, judged(dictionary, {named: float("nan")}, states), len(states), why)


def _readable(host: Host, place: ReadPlace) -> bool:
    block, site = place
    return site in host.sites.blocks[block].readable


def _some(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Texts of about `_TOKENS` tokens together, spread over the list, at least one."""
    n = max(1, min(len(prompts), _TOKENS * len(prompts) // max(1, sum(map(len, prompts)))))
    return [prompts[index] for index in np.linspace(0, len(prompts) - 1, n).round().astype(int)]


def pair_words(pair: Pair) -> str:
    """Where a dictionary reads, such as `block 3, block output`, and where it gives if that is elsewhere."""
    reads, gives = pair
    return place_words(reads) if reads == gives else f"{place_words(reads)} to {place_words(gives)}"


def where_words(dictionary: Dictionary) -> str:
    """Where a dictionary reads and gives, with all that it reads."""
    if not dictionary.inputs:
        return pair_words((dictionary.reads, dictionary.gives))
    said = " and ".join(each.words for each in dictionary.inputs)
    return f"{said}; looked at where it gives {place_words(dictionary.gives)}"


def place_words(place: ReadPlace) -> str:
    """A place as people say it, such as `block 3, block output`."""
    block, site = place
    return f"block {block}, {site_words(site)}"
