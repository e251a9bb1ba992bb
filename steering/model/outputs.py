"""States in what modules give: a tensor, the first entry of a tuple, or all rows' tokens in one list."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def hidden(value: Any, n_rows: int) -> Tensor:
    """The states in a module's output, (batch, position, width).

    Attention and some MoE modules give a tuple whose first entry they are, GPT's blocks a list, and OPT runs its MLP on
    all rows' tokens in one flat list, (batch * position, width).
    """
    states: Tensor = value[0] if isinstance(value, tuple | list) else value
    return states if states.ndim == 3 and states.shape[0] == n_rows else states.reshape(n_rows, -1, states.shape[-1])


def with_hidden(value: Any, states: Tensor) -> Any:
    """A module's output with its states replaced, in the shape that the module gave them."""
    if isinstance(value, tuple | list):
        return type(value)((states.reshape(value[0].shape), *value[1:]))
    return states if states.shape == value.shape else states.reshape(value.shape)


def inner(envoy: Any, name: str) -> Any:
    """A module inside another; one named `output`, as BERT's are, is not to be taken for the other's output."""
    module = getattr(envoy._module, name)
    return next(child for child in envoy if child._module is module)


def as_output(states: Tensor, entries: int) -> Any:
    """States in the form in which a block gives them: mostly a tensor, in GPT-J the first entry of a tuple.

    Args:
        states: (row, position, width).
        entries: Of the tuple; 0 of a tensor.
    """
    return (states, *[None] * (entries - 1)) if entries else states
