"""States at every token of many texts, but for those that would rule all others.

The first token of a text is left out: its state is the same in every text, since it sees nothing before it, and often
many times as long as the others, an attention sink (Xiao et al. 2023, arXiv 2309.17453; Sun et al. 2024, arXiv
2402.17762). A few other tokens are sinks in some models; states over twenty times the median length are left out as
well, and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.pace import note_reading
from steering.model.sites import ReadPlace
from steering.passes.activations import DEFAULT_TOKEN_BUDGET
from steering.studies.dictionaries.corpus import Ids, prompts_of
from steering.studies.features.streams import stream_tokens


LONG = 20.0
"""Times the median length, over which a state is left out."""


@dataclass(frozen=True, eq=False)
class TokenStates:
    """States of some places at the same tokens."""

    at: dict[ReadPlace, Tensor]
    """(token, width) each, float32, on the CPU."""
    text: Tensor
    """Whose token each is: index of its text, (token,)."""
    place: Tensor
    """Position in its text, (token,)."""
    first_norm: dict[ReadPlace, float]
    """The mean norm of first tokens' states over the mean norm of all others."""
    long: int = 0
    """How many tokens were left out for the length of their states."""

    def __len__(self) -> int:
        return len(self.text)

    def only(self, kept: Tensor) -> TokenStates:
        """Some of the tokens; the others count as left out for their length.

        Args:
            kept: Which, bool, (token,).
        """
        at = {place: each[kept] for place, each in self.at.items()}
        gone = self.long + int((~kept).sum())
        return TokenStates(at, self.text[kept], self.place[kept], self.first_norm, gone)


def read_tokens(
    host: Host,
    texts: Sequence[Ids],
    places: Sequence[ReadPlace],
    *,
    long: float = LONG,
    report: Callable[[int], None] = lambda done: None,
) -> TokenStates:
    """States at every token but the first of each text, one pass for all places. Call on the model thread.

    Args:
        host: The model.
        texts: Token ids, within the context.
        places: Where to read.
        long: Times the median length of its place, over which a state is left out, at all places.
        report: Told of the number of texts read.

    Raises:
        SteeringError: A place that the model does not have, or states that are no numbers.
    """
    prompts = prompts_of(texts)
    n = sum(map(len, texts)) - len(texts)
    at = {place: torch.empty(n, host.info.width) for place in places}
    whose, position = torch.empty(2, n, dtype=torch.long)
    first, done, read = dict.fromkeys(places, 0.0), 0, 0
    began = time.perf_counter()
    for indices, states in stream_tokens(host, prompts, places, first=True, token_budget=2 * DEFAULT_TOKEN_BUDGET):
        counts = torch.tensor([len(texts[index]) for index in indices])
        starts = torch.zeros(int(counts.sum()), dtype=torch.bool)
        starts[counts.cumsum(0) - counts] = True
        some = int((~starts).sum())
        for place, found in states.items():
            found = found.cpu()
            at[place][done : done + some] = found[~starts]
            first[place] += float(found[starts].norm(dim=-1).sum())
        whose[done : done + some] = torch.repeat_interleave(torch.tensor(indices), counts - 1)
        position[done : done + some] = torch.cat([torch.arange(1, int(count)) for count in counts])
        done, read = done + some, read + len(indices)
        note_reading(host, int(counts.sum()), time.perf_counter() - began)
        report(read)
        began = time.perf_counter()
    ratio = {place: first[place] / len(texts) / float(each.norm(dim=-1).mean()) for place, each in at.items()}
    return without_long([TokenStates(at, whose, position, ratio)], long)[0]


def read_together(
    hosts: Sequence[Host],
    texts: Sequence[Ids],
    place: ReadPlace,
    *,
    report: Callable[[int], None] = lambda done: None,
) -> list[TokenStates]:
    """States of several models at one place and the same tokens: a token that is too long in one is left out in all.

    Args:
        hosts: Models to which token ids mean the same.
        texts: Token ids.
        place: Where to read.
        report: Told of the number of texts read, by all models together.

    Raises:
        SteeringError: As `read_tokens`.
    """
    each = [
        read_tokens(host, texts, [place], long=inf, report=lambda done, n=n: report(n * len(texts) + done))  # type: ignore[misc]
        for n, host in enumerate(hosts)
    ]
    return without_long(each, LONG)


def without_long(several: Sequence[TokenStates], long: float) -> list[TokenStates]:
    """The same tokens of all without those whose state is too long somewhere.

    Args:
        several: States at the same tokens.
        long: Times the median length of its place, over which a state is too long.

    Raises:
        SteeringError: States that are no numbers.
    """
    kept = torch.ones(len(several[0]), dtype=torch.bool)
    for states in several:
        for (block, site), each in states.at.items():
            norms = each.norm(dim=-1)
            if not bool(norms.isfinite().all()):
                raise SteeringError(
                    f"The states at block {block}, {site} are not all finite numbers.",
                    "states that are.",
                    "Load the model in float32 or bfloat16, and run the self-check.",
                )
            kept &= norms <= long * norms.median()
    return [states if bool(kept.all()) else states.only(kept) for states in several]
