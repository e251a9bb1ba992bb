"""Weights that no graph holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """No weight asks for a gradient meanwhile: a graph that is made then keeps nothing for one, and begins where
    something else asks for it.

    Args:
        model: Whose weights.
        wanted: Whether at all.
    """
    asking = [weight for weight in model.parameters() if weight.requires_grad] if wanted else []
    for weight in asking:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in asking:
            weight.requires_grad_(True)
