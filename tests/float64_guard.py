"""A model whose device has no float64: every tensor that comes from its weights fails where it becomes float64.

Weights are a subclass of `Tensor`, which all that is computed from them stays. `Tensor.cpu` is the way off the device,
as it is on a real one; there, float64 is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from steering.passes import exact


class OnDevice(Tensor):
    """A tensor on a device without float64."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.cpu:
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].detach().clone().as_subclass(Tensor)
        if func is Tensor.__deepcopy__:
            weight, memo = args
            if id(weight) not in memo:
                memo[id(weight)] = nn.Parameter(weight.detach().clone(), requires_grad=False)
            return memo[id(weight)]
        found = super().__torch_function__(func, types, args, kwargs or {})
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, OnDevice) and each.dtype == torch.float64:
                raise TypeError(f"{getattr(func, '__name__', func)} made a float64 tensor on a device that has none")
        return found


@contextmanager
def without_float64(model: nn.Module) -> Iterator[None]:
    """Put a model on such a device, for as long as the block runs."""
    known = exact.has_float64
    exact.has_float64 = lambda device: False  # type: ignore[assignment]
    weights = dict(model.named_parameters())
    for name, weight in weights.items():
        _set(model, name, nn.Parameter(weight.detach().as_subclass(OnDevice), requires_grad=False))
    try:
        yield
    finally:
        exact.has_float64 = known
        for name, weight in weights.items():
            _set(model, name, weight)


def _set(model: nn.Module, name: str, weight: nn.Parameter) -> None:
    path, _, last = name.rpartition(".")
    setattr(model.get_submodule(path), last, weight)
