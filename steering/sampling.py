"""Which token each row takes: the likeliest, or one drawn on the device, for all rows at once.

A draw is a race of exponential clocks (Gumbel-max): with e_i independent and exponential, argmax w_i / e_i is i with
probability w_i / Σ w. Rows of one seed hear the same clocks, so that rows that differ only by their plan differ by
their logits alone, and nearly equal distributions nearly always give the same token. An inverse CDF shares one number
a step and would do for the distribution, but a little mass moved between two tokens shifts all that stands between
them, and texts would part by chance. Clocks for every token would cost as much as the rest of the step at real
vocabularies; so the race is run twice, first between stretches of the vocabulary by their mass, then between the tokens
of the one that won, which is the same distribution from some hundred clocks.

top_p needs no sorting. A drawn token lies in the nucleus if the tokens ahead of it have less than top_p together: one
sum. One that lies outside is put aside with all that are no likelier, and the draw is made anew from the rest, which
still holds the whole nucleus; so accepted draws have the nucleus's own distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from steering.replies import DecodeSettings


_COLDEST = 1e-30
"""Below it a temperature would be 0 in float32; all but the likeliest have no weight long before."""
_FIRST = 1e-30
"""The least that a clock shows, so that no quotient is infinite."""


def choose(logits: Tensor, settings: Sequence[DecodeSettings], steps: Sequence[int]) -> list[int]:
    """The next token of every row: the likeliest at temperature 0, else one drawn.

    What is drawn depends on the row's logits, its settings and the step alone, not on the rows beside it.

    Args:
        logits: float32, (row, vocabulary).
        settings: One a row.
        steps: How many tokens each row has drawn before; with the seed it gives the random numbers.
    """
    drawn = [row for row, each in enumerate(settings) if each.temperature > 0]
    if not drawn:
        return logits.argmax(dim=-1).tolist()
    if len(drawn) == len(settings):
        return _draw(logits, settings, steps)
    tokens = logits.argmax(dim=-1).tolist()
    of_drawn = _draw(logits[drawn], [settings[row] for row in drawn], [steps[row] for row in drawn])
    for row, token in zip(drawn, of_drawn, strict=True):
        tokens[row] = token
    return tokens


def _draw(logits: Tensor, settings: Sequence[DecodeSettings], steps: Sequence[int]) -> list[int]:
    stretches, width = _layout(logits.shape[-1])
    weights = _weights(logits, [each.temperature for each in settings], stretches * width)
    clocks = _Clocks(settings, steps, stretches + width, logits.device)
    tokens, masses = _race(weights.view(-1, stretches, width), clocks.next())
    if all(each.top_p == 1 for each in settings):
        return tokens.tolist()
    shares = torch.tensor([each.top_p for each in settings], device=logits.device)
    allowed = shares * masses
    # A token that is likelier than all that may be left out has less than the allowed mass ahead of it.
    own = weights.gather(1, tokens[:, None])[:, 0]
    rows = ((masses - own >= allowed) & (shares < 1)).nonzero()[:, 0]
    weights, allowed = _rows(weights, rows), allowed[rows]
    while len(rows):  # those whose token may lie outside; what is left of their vocabulary shrinks each time round
        outside, weights = _cut(weights, tokens[rows], allowed)
        rows, allowed = rows[outside], allowed[outside]
        if len(rows):
            tokens[rows] = _race(weights.view(-1, stretches, width), clocks.next()[rows])[0]
    return tokens.tolist()


def _layout(vocabulary: int) -> tuple[int, int]:
    """How many stretches of how many tokens, as even as it can be."""
    width = max(1, math.isqrt(vocabulary))
    return -(-vocabulary // width), width


def _weights(logits: Tensor, temperatures: Sequence[float], size: int) -> Tensor:
    """exp((logit - greatest) / temperature), float32, (row, size), 0 behind the vocabulary."""
    weights = torch.zeros(len(logits), size, device=logits.device)
    inside = weights[:, : logits.shape[-1]]
    torch.sub(logits, logits.amax(dim=-1, keepdim=True), out=inside)
    if any(each != 1 for each in temperatures):
        inside /= torch.tensor([max(each, _COLDEST) for each in temperatures], device=logits.device)[:, None]
    inside.exp_()
    return weights


def _race(weights: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """The token that wins in each row, and the sum of the row's weights, (row,) each.

    Args:
        weights: (row, stretch, width).
        times: (row, stretch + width).
    """
    _, stretches, width = weights.shape
    masses = weights.sum(dim=-1)
    stretch = (masses / times[:, :stretches]).argmax(dim=-1)
    within = weights[torch.arange(len(weights), device=weights.device), stretch]
    return stretch * width + (within / times[:, stretches:]).argmax(dim=-1), masses.sum(dim=-1)


def _cut(weights: Tensor, taken: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows' token lies outside the nucleus, as indices, and those rows' weights with only what is ahead of it.

    Ahead are likelier tokens, and as likely ones that come before it in the vocabulary. Comparisons are written as
    numbers and multiplied, in place: choosing by truth values takes ten times as long on a CPU.
    """
    weight = weights.gather(1, taken[:, None])
    weights.mul_(torch.ge(weights, weight, out=torch.empty_like(weights)))
    outside = (weights.sum(dim=-1) - weight[:, 0] >= allowed).nonzero()[:, 0]  # with its equals counted as ahead
    weights, weight, taken, allowed = _rows(weights, outside), weight[outside], taken[outside], allowed[outside]
    weights.scatter_(1, taken[:, None], 0.0)
    tied = torch.eq(weights, weight).any(dim=-1)
    if not tied.any():
        return outside, weights
    behind = torch.arange(weights.shape[-1], device=weights.device) > taken[:, None]
    weights.masked_fill_(behind & (weights == weight), 0.0)
    still = (~tied | (weights.sum(dim=-1) >= allowed)).nonzero()[:, 0]
    return outside[still], _rows(weights, still)


def _rows(weights: Tensor, indices: Tensor) -> Tensor:
    return weights if len(indices) == len(weights) else weights.index_select(0, indices)


class _Clocks:
    """Exponential numbers by seed and step: a counter-based generator, so that no row waits for what another drew."""

    def __init__(self, settings: Sequence[DecodeSettings], steps: Sequence[int], n: int, device: torch.device) -> None:
        self._keys = [(each.seed, step) for each, step in zip(settings, steps, strict=True)]
        self._generators = {
            (seed, step): np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, step]))
            for seed, step in set(self._keys)
        }
        self._n, self._device = n, device

    def next(self) -> Tensor:
        """A fresh set for every row, equal where seed and step are, float32, (row, n)."""
        # Drawn in float64, so that the smallest are as exact as the others; an unlikely token needs a small one.
        drawn = {key: generator.standard_exponential(self._n) for key, generator in self._generators.items()}
        times = np.stack([drawn[key] for key in self._keys]).clip(min=_FIRST).astype(np.float32)
        return torch.from_numpy(times).to(self._device)
