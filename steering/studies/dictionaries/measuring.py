"""How well and how sparsely a dictionary gives back held-out states, beside a random one of equal L0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.statistics import Estimate
from steering.studies.dictionaries.crosscoders import Crosscoder
from steering.studies.features.random_dictionary import RandomDictionary
from steering.studies.features.sums import Sums, draws, estimate


_PIECE = 4096
_RESAMPLES = 1000
_FITTED = 20_000
"""Training states that the one number of a random dictionary is fitted to."""


@dataclass(frozen=True)
class HeldOut:
    """What was measured on held-out tokens."""

    explained_variance: Estimate
    """1 - residual sum of squares / sum of squares around the mean; interval by bootstrap over texts."""
    l0: float
    """Mean number of active features a token."""
    dead: int | None
    """Features that no token activates; None where that says nothing."""
    dead_share: float | None
    tokens: int

    @property
    def plain(self) -> dict[str, float | int | None]:
        """As a card and a table have it, with the digits that mean something."""
        value = self.explained_variance
        said = {key: each for key, each in asdict(self).items() if key != "explained_variance"}
        return {
            "explained_variance": _digits(value.value),
            "explained_variance_low": _digits(value.low),
            "explained_variance_high": _digits(value.high),
            **said,
        }


def measured(dictionary: Dictionary, inputs: Tensor, targets: Tensor, text: Tensor, *, seed: int = 0) -> HeldOut:
    """Measure a dictionary.

    Args:
        dictionary: What gives `targets` from `inputs`.
        inputs: (token, width).
        targets: (token, width).
        text: Whose token each is, (token,).
        seed: Of the bootstrap.
    """
    sums, index = _sums_of(text, targets.shape[1])
    active, ever = 0, torch.zeros(dictionary.n_features, dtype=torch.bool)
    for rows in _pieces(len(text)):
        found = dictionary.encode(inputs[rows])
        sums.add(index[rows], targets[rows], dictionary.decode(found))
        active += len(found.values)
        ever[found.features.cpu()] = True
    dead = int((~ever).sum())
    share = round(dead / len(ever), 4)
    return HeldOut(
        _explained(sums, int(index.max()) + 1, seed), round(active / max(1, len(text)), 2), dead, share, len(text)
    )


def measured_random(
    features: int,
    l0: float,
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    text: Tensor,
    *,
    seed: int = 0,
) -> HeldOut:
    """Measure a random dictionary of equal size and L0.

    Args:
        features: Of the dictionary that it is held against.
        l0: Of that one.
        train: Inputs and targets that it takes its means and its one number from.
        held_out: Inputs and targets that it is measured on.
        text: Whose token each of these is.
        seed: Of its directions and the bootstrap.
    """
    means = [each.mean(dim=0) for each in train]
    some = [each[:: max(1, len(each) // _FITTED)] for each in train]
    k = max(1, round(l0))
    random = RandomDictionary.fitted(*some, n_features=features, active=k, seed=seed, means=means)
    sums, index = _sums_of(text, held_out[1].shape[1])
    for rows in _pieces(len(text)):
        sums.add(index[rows], held_out[1][rows], random.given_back(held_out[0][rows])[1])
    return HeldOut(_explained(sums, int(index.max()) + 1, seed), float(k), None, None, len(text))


def measured_crosscoder(crosscoder: Crosscoder, states: Tensor, text: Tensor, *, seed: int = 0) -> list[HeldOut]:
    """Measure a crosscoder, of each model.

    Args:
        crosscoder: What gives the states back.
        states: (model, token, width).
        text: Whose token each is, (token,).
        seed: Of the bootstrap.
    """
    each, active = [], 0
    ever = torch.zeros(crosscoder.decoder.shape[1], dtype=torch.bool)
    for _ in states:
        sums, index = _sums_of(text, states.shape[-1])
        each.append(sums)
    for rows in _pieces(len(text)):
        found = crosscoder.encode(states[:, rows])
        for sums, wanted, given in zip(each, states[:, rows], crosscoder.decode(found), strict=True):
            sums.add(index[rows], wanted, given)
        active += int((found > 0).sum())
        ever |= (found > 0).any(dim=0)
    dead, l0 = int((~ever).sum()), round(active / max(1, len(text)), 2)
    share = round(dead / len(ever), 4)
    return [HeldOut(_explained(sums, int(index.max()) + 1, seed), l0, dead, share, len(text)) for sums in each]


def _sums_of(text: Tensor, width: int) -> tuple[Sums, Tensor]:
    """Sums over the texts that have tokens, and each token's text among them."""
    known, index = torch.unique(text, return_inverse=True)
    return Sums(len(known), width), index


def _explained(sums: Sums, texts: int, seed: int) -> Estimate:
    return estimate(sums.explained(draws(texts, _RESAMPLES, seed)))


def _pieces(n: int) -> Iterator[slice]:
    return (slice(start, start + _PIECE) for start in range(0, n, _PIECE))


def _digits(value: float) -> float | None:
    return round(value, 4) if value == value else None
