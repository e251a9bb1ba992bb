"""A dictionary tried on somebody's texts at the place that it names and around it; see `steering.dictionaries.fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.fit import Fit, Pair, candidates, judge
from steering.dictionaries.normed import as_if_here
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace, site_words
from steering.studies.features.reading import stream_tokens


_TOKENS = 1000
"""Tokens that are looked at, about: a wrong place shows in fewer."""


@dataclass(frozen=True)
class Placement:
    """How well a dictionary fits the place that it names and those around it."""

    dictionary: Dictionary
    fit: Fit
    n: int
    """Tokens that were looked at."""

    @property
    def says(self) -> str:
        """What was found, in a sentence."""
        if self.fit.fault:
            return f"The dictionary does not describe these states: {self.fit.fault}"
        named = 100 * self.fit.explained[self.fit.named]
        return (
            f"The dictionary explains {named:.1f} % of the variance at {pair_words(self.fit.named)}, where it "
            f"says that "
            f"it belongs, and fits none of {len(self.fit.explained) - 1} places around it better ({self.n:,} tokens)."
        )

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
    named, *around = candidates(dictionary, host)
    pairs = [named, *(pair for pair in around if all(_readable(host, place) for place in pair))]
    places = list(dict.fromkeys(place for pair in pairs for place in pair))
    read = [states for _, states in stream_tokens(host, _some(prompts), places, first=first)]
    at = {place: torch.cat([states[place] for states in read]) for place in places}
    states: dict[Pair, tuple[torch.Tensor, torch.Tensor]] = {
        pair: (as_if_here(dictionary, host, pair[0][0], at[pair[0]]), at[pair[1]]) for pair in pairs
    }
    return Placement(dictionary, judge(dictionary, states), len(at[dictionary.gives]))


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


def place_words(place: ReadPlace) -> str:
    """A place as people say it, such as `block 3, block output`."""
    block, site = place
    return f"block {block}, {site_words(site)}"
