"""Which token each row takes: the likeliest, or one drawn on the device, for all rows at once.

A draw is a race of exponential clocks (Gumbel-max): with e_i independent and exponential, argmax w_i / e_i is i with
probability w_i / Σ w. Rows of one seed hear the same clocks, so that rows that differ only by their plan differ by
their logits alone, and nearly equal distributions nearly always give the same token. An inverse CDF shares one number
a step and would do for the distribution, but a little mass moved between two tokens shifts all that stands between
them, and texts would part by chance. Clocks for every token would cost as much as the rest of the step at real
vocabularies; so the race is run twice, first between stretches of the vocabulary by their mass, then between the tokens
of the one that won, which is the same distribution from some hundred clocks.

top_p needs no sorting of the vocabulary. A drawn token lies in the nucleus if the tokens ahead of it have less than
top_p together: one sum. One that lies outside is put aside with all that are no likelier, and the draw is made anew
from the rest, which still holds the whole nucleus; so accepted draws have the nucleus's own distribution. Where top_p
is small, most first draws would lie outside; so all below a guessed weight is put aside before, if one sum shows that
the nucleus lies above it. The guess may be wrong, which costs draws and changes no distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from steering.passes.replies import DecodeSettings


_COLDEST = 1e-30
"""Below it a temperature would be 0 in float32; all but the likeliest have no weight long before."""
_FIRST = 1e-30
"""The least that a clock shows, so that no quotient is infinite."""
_NARROWED = 0.7
"""The greatest top_p for which tokens are put aside before the first draw; above it, few draws lie outside."""
_SAMPLES = 2
"""Tokens of a stretch, beside its likeliest, from which the nucleus's end is guessed."""
_SLACK = 1.3
"""How much more than the nucleus a guess is to hold, so that it is seldom too small."""


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
    weights = _weights(logits, settings)
    clocks = _Clocks(settings, steps, sum(weights.shape[1:]), logits.device)
    masses = weights.sum(dim=-1)
    if all(each.top_p == 1 for each in settings):
        return _race(weights, masses, clocks.next()).tolist()
    shares = torch.tensor([each.top_p for each in settings], device=logits.device)
    allowed = shares * masses.sum(dim=-1)
    if any(each.top_p <= _NARROWED for each in settings):
        masses = _narrow(weights, logits, settings, allowed)
    tokens = _race(weights, masses, clocks.next())
    stretches, width = weights.shape[1:]
    weights = weights.flatten(start_dim=1)
    # A token that is likelier than all that may be left out has less than the allowed mass ahead of it.
    own = weights.gather(1, tokens[:, None])[:, 0]
    rows = ((masses.sum(dim=-1) - own >= allowed) & (shares < 1)).nonzero()[:, 0]
    weights, allowed = _rows(weights, rows), allowed[rows]

    def anew(which: Tensor) -> Tensor:
        again = rows[which]
        return _weights(logits[again], [settings[row] for row in again.tolist()]).flatten(start_dim=1)

    while len(rows):  # those whose token may lie outside; what is left of their vocabulary shrinks each time round
        outside, weights = _cut(weights, tokens[rows], allowed, anew)
        rows, allowed = rows[outside], allowed[outside]
        if len(rows):
            left = weights.view(-1, stretches, width)
            tokens[rows] = _race(left, left.sum(dim=-1), clocks.next()[rows])
    return tokens.tolist()


def _layout(vocabulary: int) -> tuple[int, int]:
    """How many stretches of how many tokens, as even as it can be."""
    width = max(1, math.isqrt(vocabulary))
    return -(-vocabulary // width), width


def _weights(logits: Tensor, settings: Sequence[DecodeSettings]) -> Tensor:
    """exp((logit - greatest) / temperature), float32, (row, stretch, width), 0 behind the vocabulary."""
    stretches, width = _layout(logits.shape[-1])
    temperatures = [max(each.temperature, _COLDEST) for each in settings]
    weights = torch.empty(len(logits), stretches * width, device=logits.device)
    inside = weights[:, : logits.shape[-1]]
    torch.sub(logits, logits.amax(dim=-1, keepdim=True), out=inside)
    if any(each != 1 for each in temperatures):
        inside /= torch.tensor(temperatures, device=logits.device)[:, None]
    inside.exp_()
    weights[:, logits.shape[-1] :] = 0
    return weights.view(-1, stretches, width)


def _narrow(weights: Tensor, logits: Tensor, settings: Sequence[DecodeSettings], allowed: Tensor) -> Tensor:
    """Put aside what is less likely than the guessed end of the nucleus, in place, where top_p is small and the nucleus
    lies within the rest. Returns what every stretch has left, (row, stretch).
    """
    wanted = torch.tensor([each.top_p <= _NARROWED for each in settings], device=weights.device)
    _put_aside(weights, _guessed_end(weights, allowed) * wanted)
    masses = weights.sum(dim=-1)
    missed = (masses.sum(dim=-1) < allowed).nonzero()[:, 0]
    if len(missed):  # made anew, which is seldom; a copy of all weights would cost more than all else here
        weights[missed] = _weights(logits[missed], [settings[row] for row in missed.tolist()])
        masses[missed] = weights[missed].sum(dim=-1)
    return masses


def _put_aside(weights: Tensor, least: Tensor, *, equals: bool = False) -> None:
    """Make 0 what is less likely than a bound, in place; a bound a row. With `equals` also what is as likely.

    Row by row, since a bound that is a number takes one way through the memory and truth values take three, of which
    one is ten times as slow on a CPU.
    """
    bounds = least if equals else torch.nextafter(least, torch.full_like(least, -1.0))
    for row, bound in zip(weights, bounds.tolist(), strict=True):
        torch.threshold_(row, bound, 0.0)


def _guessed_end(weights: Tensor, allowed: Tensor) -> Tensor:
    """The weight of about the last token that is needed for a little more than the allowed mass, (row,).

    The likeliest token of every stretch counts for itself, so that a few likely ones are all seen; some others, at
    even distances, stand for all the rest.
    """
    likeliest = weights.amax(dim=-1)
    others = weights[:, :, :: -(-weights.shape[-1] // _SAMPLES)]
    others = (others * (others < likeliest[:, :, None])).flatten(start_dim=1)  # without what is counted already
    known = torch.cat([likeliest, others], dim=1).cpu().numpy()  # a thousand numbers a row, sorted faster there
    counts = np.full(known.shape[1], (weights.shape[-1] - 1) * likeliest.shape[1] / others.shape[1], dtype=np.float32)
    counts[: likeliest.shape[1]] = 1
    order = np.argsort(-known, axis=1)
    known = np.take_along_axis(known, order, axis=1)
    reached = np.cumsum(known * counts[order], axis=1) >= _SLACK * allowed.cpu().numpy()[:, None]
    end = np.minimum((~reached).sum(axis=1), known.shape[1] - 1)
    return torch.from_numpy(known[np.arange(len(known)), end]).to(weights.device)


def _race(weights: Tensor, masses: Tensor, times: Tensor) -> Tensor:
    """The token that wins in each row, (row,).

    Args:
        weights: (row, stretch, width).
        masses: Their sums, (row, stretch).
        times: (row, stretch + width).
    """
    _, stretches, width = weights.shape
    stretch = (masses / times[:, :stretches]).argmax(dim=-1)
    within = weights[torch.arange(len(weights), device=weights.device), stretch]
    return stretch * width + (within / times[:, stretches:]).argmax(dim=-1)


def _cut(weights: Tensor, taken: Tensor, allowed: Tensor, anew: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Which rows' token lies outside the nucleus, as indices, and those rows' weights with only what is ahead of it.

    Ahead are likelier tokens, and as likely ones that come before it in the vocabulary.

    Args:
        weights: (row, token), written over.
        taken: The tokens, (row,).
        allowed: The mass that a nucleus holds at most before its last token, (row,).
        anew: Makes the weights of some rows once more. Comparing for equality costs three times what putting aside
            does, so that it is left to rows where it decides, whose equals are gone by then.
    """
    weight = weights.gather(1, taken[:, None])[:, 0]
    _put_aside(weights, weight)
    outside = (weights.sum(dim=-1) - weight >= allowed).nonzero()[:, 0]  # with its equals counted as ahead
    weights, weight, taken, allowed = _rows(weights, outside), weight[outside], taken[outside], allowed[outside]
    _put_aside(weights, weight, equals=True)
    short = (weights.sum(dim=-1) < allowed).nonzero()[:, 0]
    if not len(short):
        return outside, weights
    whole, before = anew(outside[short]), torch.arange(weights.shape[-1], device=weights.device) < taken[short, None]
    weights[short] += whole * (before & (whole == weight[short, None]))
    still = (weights.sum(dim=-1) >= allowed).nonzero()[:, 0]
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
