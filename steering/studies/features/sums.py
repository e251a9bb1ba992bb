"""How well states are given back, summed by text, so that every figure has an interval by bootstrap over texts.

Tokens of one text are alike, so texts are what is drawn; a figure of a draw is a ratio of the drawn texts' sums.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from steering.statistics import Estimate


_SUMS = ("tokens", "active", "cosine", "left", "square")
_RELATIVE = 1e-9
"""What float64 leaves of states that are all alike, beside their squares, is no variance."""


class Sums:
    """Sums over the tokens of every text: how far what was given back lies from what was to be given."""

    def __init__(self, texts: int, width: int) -> None:
        self._held = {name: torch.zeros(texts, dtype=torch.float64) for name in _SUMS}
        self._held["total"] = torch.zeros(texts, width, dtype=torch.float64)

    def add(self, texts: Tensor, wanted: Tensor, given: Tensor, active: Tensor | None = None) -> None:
        """Take in some tokens.

        Args:
            texts: Whose token each is, (token,).
            wanted: The states, (token, width).
            given: What was given back of them, (token, width).
            active: How many features were active, (token,); none are counted where None.
        """
        wanted, given = wanted.cpu().double(), given.cpu().double()
        seen = {
            "tokens": torch.ones(len(texts), dtype=torch.float64),
            "cosine": torch.cosine_similarity(wanted, given, dim=-1),
            "left": (wanted - given).square().sum(dim=-1),
            "square": wanted.square().sum(dim=-1),
            "total": wanted,
        }
        if active is not None:
            seen["active"] = active.cpu().double()
        for name, values in seen.items():
            self._held[name].index_add_(0, texts, values)

    @classmethod
    def joined(cls, fits: Iterable[Sums]) -> Sums:
        """The sums of several over the same texts."""
        fits = list(fits)
        both = cls(*fits[0]._held["total"].shape)
        for name, total in both._held.items():
            total += torch.stack([fit._held[name] for fit in fits]).sum(dim=0)
        return both

    @property
    def n(self) -> int:
        """Tokens."""
        return int(self._held["tokens"].sum())

    @property
    def mean(self) -> Tensor:
        """The mean state, float32, (width,)."""
        return (self._held["total"].sum(dim=0) / max(1, self.n)).float()

    def explained(self, weights: np.ndarray) -> np.ndarray:
        """Explained variance, 1 - sum |y - y'|² / sum |y - mean|², of every draw of texts, (draw,); NaN where states do
        not vary.

        Args:
            weights: How often each text is drawn, (draw, text).
        """
        tokens, left, square, total = (weights @ self._of(name) for name in ("tokens", "left", "square", "total"))
        spread = square - np.square(total).sum(axis=1) / np.maximum(tokens, 1)
        varies = spread > _RELATIVE * square
        return np.where(varies, 1 - left / np.where(varies, spread, 1), np.nan)

    def mean_of(self, name: str, weights: np.ndarray) -> np.ndarray:
        """The mean over tokens of `active` or `cosine`, (draw,)."""
        mean: np.ndarray = weights @ self._of(name) / np.maximum(weights @ self._of("tokens"), 1)
        return mean

    def _of(self, name: str) -> np.ndarray:
        values: np.ndarray = self._held[name].numpy()
        return values


def draws(texts: int, resamples: int, seed: int) -> np.ndarray:
    """How often each text is drawn: all once in the first row, and below it by bootstrap, (1 + resamples, text)."""
    drawn = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=resamples)
    return np.vstack([np.ones(texts), drawn])


def estimate(values: np.ndarray) -> Estimate:
    """The value of all texts with its 95 % percentile interval, from the values of `draws`; NaN where there is none."""
    known = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not len(known):
        return Estimate(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))
