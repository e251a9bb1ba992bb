"""One number a text and feature from activations at tokens, without ever holding them densely."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix

from steering.dictionaries.sparse import SparseActivations
from steering.studies.features.reading import FeatureReading


Pool = Literal["max", "mean", "last"]
POOLS: dict[Pool, str] = {
    "max": "the largest activation at any token of the text",
    "mean": "the mean over the text's tokens",
    "last": "the activation at the text's last token, where a reply begins",
}


def pooled(reading: FeatureReading, how: Pool) -> csr_matrix:
    """Activations by text: float32, (text, feature); what is not stored is 0."""
    tokens, active = reading.tokens, reading.activations
    whose = tokens.text[active.tokens]
    features, values = active.features, active.values
    n_texts, counts = len(tokens.prompts), tokens.offsets.diff()
    if how == "last":
        ends = torch.zeros(len(tokens), dtype=torch.bool)
        ends[tokens.offsets[1:][counts > 0] - 1] = True
        kept = ends[active.tokens]
        whose, features, values = whose[kept], features[kept], values[kept]
    if how == "mean":
        values = values / counts[whose]
    key, place = torch.unique(whose * active.n_features + features, return_inverse=True)
    held = torch.zeros(len(key)).scatter_reduce(0, place, values, reduce="sum" if how == "mean" else "amax")
    rows, columns = key // active.n_features, key % active.n_features
    return csr_matrix((held.numpy(), (rows.numpy(), columns.numpy())), shape=(n_texts, active.n_features))


def maxima(active: SparseActivations, share: float) -> np.ndarray:
    """A quantile of each feature's activations at the tokens where it is active, (feature,); 0 where it never is.

    Args:
        active: At any tokens.
        share: Which, such as 0.995.
    """
    order = torch.argsort(active.values)
    order = order[torch.argsort(active.features[order], stable=True)]
    values, counts = active.values[order].double(), torch.bincount(active.features, minlength=active.n_features)
    starts = counts.cumsum(0) - counts
    place = (counts - 1).clamp(min=0) * share
    low, high = place.floor().long(), place.ceil().long()
    known = counts > 0
    found = torch.zeros(active.n_features, dtype=torch.float64)
    below, above = values[(starts + low)[known]], values[(starts + high)[known]]
    found[known] = below + (above - below) * (place - low)[known]
    return found.numpy()
