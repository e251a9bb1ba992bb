"""Key-value caches that several rows go on from."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch


def repeated(cache: Any, times: int) -> Any:
    """A cache whose rows stand `times` times each, side by side; the given one stays as it is."""
    own = copy(cache)
    own.layers = [copy(layer) for layer in cache.layers]  # a layer replaces its tensors as it grows
    if times > 1:
        own.batch_repeat_interleave(times)
    return own


def selected(cache: Any, rows: slice) -> Any:
    """Some rows of a cache. A layer that has none of them is one of `with_lower_blocks` and stays, since its length
    counts.
    """
    own = copy(cache)
    own.layers = [copy(layer) for layer in cache.layers]
    for layer in own.layers:
        if layer.is_initialized and layer.keys[rows].numel():
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
    return own


def side_by_side(caches: Sequence[Any]) -> Any:
    """The rows of several caches of equal length, one after the other, as one."""
    own = copy(caches[0])
    own.layers = [copy(layer) for layer in own.layers]
    for n, layer in enumerate(own.layers):
        if layer.is_initialized and layer.keys.numel():
            layer.keys = torch.cat([each.layers[n].keys for each in caches])
            layer.values = torch.cat([each.layers[n].values for each in caches])
    return own


def with_lower_blocks(cache: Any, below: int, known: Any) -> Any:
    """A cache of a pass that skipped the blocks `below`, with the layers of a pass that did not.

    Skipped blocks read nothing from their layers; the model counts the tokens that went before by them.
    """
    own = copy(cache)
    own.layers = [*known.layers[:below], *cache.layers[below:]]
    return own
