"""Room behind the keys and values of a batch for the tokens to come, so that a step adds its own and copies no others.

Transformers' own layer puts all of them into longer tensors at every token. For 64 rows of 1,000 tokens and a model of
8 billion parameters (32 blocks, 8 heads of 128 for keys, half precision) that moves 8 GB a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from steering.model.device_memory import if_it_fits


PLACES = 16
"""Tokens for which there is room at least; when they have come, all is laid out anew."""
SHARE = 4
"""Room for a quarter of what is there, where that is more: no more memory, and each token is copied a few times."""
LEAST = 1 << 19
"""Bytes of a block's keys on the way, below which copying them costs less than saying where a token goes."""


class RoomyLayer(DynamicLayer):
    """A block's keys and values as transformers keeps them, at the first places of longer tensors.

    Whoever puts other tensors in their place gets a layer that copies (`without_room`) first.
    """

    def __init__(self, keys: Tensor, values: Tensor, places: int) -> None:
        """Lay out keys and values, (row, head, position, width), with this many places behind them."""
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._lay_out(keys.shape[-2] + places)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add those of the tokens that are read, (row, head, token, width); gives all, views of what lies here."""
        length, more = self.keys.shape[-2], key_states.shape[-2]
        if length + more > self._all_keys.shape[-2]:
            self._lay_out(length + more + _room_behind(length))
        self._all_keys.narrow(-2, length, more).copy_(key_states)
        self._all_values.narrow(-2, length, more).copy_(value_states)
        self._show(length + more)
        return self.keys, self.values

    def _lay_out(self, size: int) -> None:
        # What inference mode makes could not be written into outside of it, where a step may be traced.
        with torch.inference_mode(False), torch.no_grad():
            self._all_keys, self._all_values = laid_out(self.keys, size), laid_out(self.values, size)
        self._show(self.keys.shape[-2])

    def _show(self, length: int) -> None:
        self.keys, self.values = self._all_keys.narrow(-2, 0, length), self._all_values.narrow(-2, 0, length)


def _room_behind(length: int) -> int:
    """How many places there are behind so many positions."""
    return max(PLACES, length // SHARE)


GROWING = (DynamicLayer, RoomyLayer)
"""Layers of keys and values of all positions."""


def with_room(cache: Any, room: int) -> Any:
    """A cache that goes on from a batch's own, which nobody may use from then on; None where it would not pay, or there
    is no memory for it.

    Args:
        cache: Of any kind.
        room: Tokens that some row may still get.
    """
    if type(cache) is not DynamicCache:
        return None
    layers = cache.layers
    if not layers or any(type(layer) is not DynamicLayer or not layer.is_initialized for layer in layers):
        return None
    length = layers[0].keys.shape[-2]
    if max(layer.keys.nbytes for layer in layers) * (length + room / 2) < LEAST * length:
        return None
    places = min(room, _room_behind(length))
    return if_it_fits(lambda: _cache_of(RoomyLayer(each.keys, each.values, places) for each in layers))


def without_room(cache: Any) -> Any:
    """The same keys and values in a cache whose tensors may be replaced, and whose layers copy when they grow."""
    if type(cache) is not DynamicCache or not any(type(layer) is RoomyLayer for layer in cache.layers):
        return cache
    return growing((layer.keys, layer.values) for layer in cache.layers)


def growing(known: Iterable[tuple[Tensor, Tensor]]) -> Any:
    """A cache of the kind that transformers makes by itself, of given keys and values of every block."""
    layers = []
    for keys, values in known:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        layers.append(layer)
    return _cache_of(layers)


def laid_out(known: Tensor, size: int) -> Tensor:
    """Keys or values, (row, head, position, width), at the first of so many places; zeros in the others."""
    whole = torch.zeros((*known.shape[:-2], size, known.shape[-1]), dtype=known.dtype, device=known.device)
    whole.narrow(-2, 0, known.shape[-2]).copy_(known)
    return whole


def _cache_of(layers: Iterable[Any]) -> Any:
    cache = DynamicCache()
    cache.layers = list(layers)
    return cache
