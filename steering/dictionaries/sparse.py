"""Which features are active at which token, and how much: compressed rows, since of 65,000 features some 50 are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class SparseActivations:
    """Activations as compressed rows (CSR): token t has `features[offsets[t]:offsets[t + 1]]` with those `values`."""

    offsets: Tensor
    """(token + 1,), int64, from 0 to the number of activations."""
    features: Tensor
    """(activation,), int64; rising within a token."""
    values: Tensor
    """(activation,), float32, in the dictionary's own units; none is 0."""
    n_features: int
    scale: Tensor | None = None
    """(token, 1): what decoding multiplies by, where states were normalised on their way in; None for 1."""
    shift: Tensor | None = None
    """(token, 1): what decoding then adds to every coordinate; None for 0."""

    def __repr__(self) -> str:
        mean = len(self.values) / max(1, self.n_tokens)
        return f"<SparseActivations of {self.n_tokens:,} tokens: {mean:.1f} of {self.n_features:,} features each>"

    @property
    def n_tokens(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Tensor:
        """Active features of each token, (token,)."""
        return self.offsets.diff()

    @property
    def tokens(self) -> Tensor:
        """The token of each activation, (activation,)."""
        return torch.repeat_interleave(torch.arange(self.n_tokens, device=self.offsets.device), self.counts)

    def of(self, features: Sequence[int] | Tensor) -> Tensor:
        """Activations of some features at every token, dense: (token, len(features))."""
        wanted = torch.as_tensor(features, dtype=torch.long, device=self.features.device)
        column = self.features.new_full((self.n_features,), -1)
        column[wanted] = torch.arange(len(wanted), device=wanted.device)
        place = column[self.features]
        found = self.values.new_zeros(self.n_tokens, len(wanted))
        found[self.tokens[place >= 0], place[place >= 0]] = self.values[place >= 0]
        return found[:, column[wanted]]  # a feature that was asked for twice stands twice

    @classmethod
    def joined(cls, parts: Sequence[SparseActivations]) -> SparseActivations:
        """The tokens of several parts, one behind the other."""
        first = parts[0]
        counts = torch.cat([part.counts for part in parts])
        return cls(
            torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            torch.cat([part.features for part in parts]),
            torch.cat([part.values for part in parts]),
            first.n_features,
            None if first.scale is None else torch.cat([part.scale for part in parts if part.scale is not None]),
            None if first.shift is None else torch.cat([part.shift for part in parts if part.shift is not None]),
        )

    def to(self, device: torch.device | str) -> SparseActivations:
        """The same on a device."""
        scale, shift = (None if each is None else each.to(device) for each in (self.scale, self.shift))
        offsets, features, values = (each.to(device) for each in (self.offsets, self.features, self.values))
        return SparseActivations(offsets, features, values, self.n_features, scale, shift)
