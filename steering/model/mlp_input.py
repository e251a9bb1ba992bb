"""The state that enters a block's MLP, found by following what comes out of it back through the modules of a pass.

Transcoders read it. What enters the residual stream as the MLP's output may be the MLP's own, a norm's behind it
(Gemma 2), its last matrix's where the MLP adds the residual itself (Bloom), or a matrix's of a block without an MLP
module (OPT). So the pass that finds the sites is followed back, from what a module was given to the module that gave
it, until an MLP with a state of the stream's shape is met, or the first matrix of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D  # GPT-2's name for a matrix, no convolution

from steering.model.sites import Part


FEED_FORWARD = re.compile(r"(mlp|ffn|feedforward|feedforwardnetwork|moe|moeblock|experts|glu|ff)\d*$", re.IGNORECASE)
"""Classes of MLPs."""
IS_MLP = re.compile(r"mlp|ffn|feed_?forward|moe|^ff|expert|fc2|fc_out|dense_4h", re.IGNORECASE)
"""Names of what belongs to one."""
_IS_NO_MLP = re.compile(r"conv|norm", re.IGNORECASE)
"""Classes of what is named after the MLP that it stands behind (Inkling's convolution)."""
_MATRICES = (nn.Linear, Conv1D)
_FAR = 8
"""Modules that are followed back at most, such as a norm, a dropout, a matrix and an activation."""


@dataclass
class Call:
    """What a module was given and gave in a pass; once where `times` is 1."""

    given: tuple[Tensor, ...]
    """What it was given of the stream's shape, (row, token, width)."""
    first: Tensor | None
    """What it was given first, where that is a tensor of numbers."""
    gave: Tensor | None
    """What it gave, or the first entry of that."""
    states: Tensor | None
    """The same laid out as the stream; None where it is something else."""
    times: int = 1


def is_states(value: Any) -> TypeGuard[Tensor]:
    """Whether something that a module was given may be states: numbers, and not ids or a mask."""
    return isinstance(value, Tensor) and value.is_floating_point()


def find_mlp_input(
    block: nn.Module, index: int, parts: Sequence[Part], calls: Mapping[str, Call]
) -> tuple[Part | None, str]:
    """The module whose input enters the MLP, or why there is none to name.

    Args:
        block: The block.
        index: Its number.
        parts: What its MLP's output is the sum of.
        calls: Of every module inside, in the order in which they ended.
    """
    if not parts:
        return None, f"Block {index} has no MLP output."
    found = [_entered(block, part.path, calls) for part in parts]
    names = ", ".join(part.path for part in parts)
    if None in found:
        return None, f"Block {index} adds {names}, and no state of the stream's shape was found that enters it alone."
    paths = [path for path in found if path is not None]
    states = [calls[path].given[0] for path in paths]
    if not all(torch.equal(each, states[0]) for each in states):
        return None, f"Block {index} has an MLP of several parts ({names}), which are given different states."
    first = min(paths, key=lambda path: _begins(path, calls))
    return Part(first, order=_begins(first, calls)), ""


def gives_mlp_input(entering: Part | None, calls: Mapping[str, Call]) -> str:
    """The module that gives what enters the MLP; "" where none does by itself.

    Args:
        entering: As `find_mlp_input` gives it.
        calls: Of every module inside the block.
    """
    return (_source(entering.path, calls[entering.path].given[0], calls) or "") if entering else ""


def _entered(block: nn.Module, path: str, calls: Mapping[str, Call]) -> str | None:
    """The module that is given what the output of a module is made of, by its path."""
    for _ in range(_FAR):
        mlp = _mlp_around(block, path, calls)
        if mlp is not None:
            return mlp if _is_given_one(mlp, calls) else None
        call = calls.get(path)
        if call is None or call.first is None or call.times > 1:
            return None
        if isinstance(block.get_submodule(path), _MATRICES) and call.given and call.states is None:
            return path  # the first matrix of an MLP that is no module
        before = _source(path, call.first, calls)
        if before is None:
            return None
        path = before
    return None


def _mlp_around(block: nn.Module, path: str, calls: Mapping[str, Call]) -> str | None:
    """The outermost MLP that a module lies in or is."""
    steps = path.split(".")
    for depth in range(1, len(steps) + 1):
        outer = ".".join(steps[:depth])
        module = block.get_submodule(outer)
        kind = type(module).__name__
        named = FEED_FORWARD.search(kind) or (IS_MLP.search(steps[depth - 1]) and not _IS_NO_MLP.search(kind))
        if named and outer in calls and next(module.children(), None) is not None:
            return outer
    return None


def _is_given_one(path: str, calls: Mapping[str, Call]) -> bool:
    """Whether a module is given a state first, and no other, or one that something in it takes (Bloom gives the
    residual, too).
    """
    call = calls.get(path)
    if call is None or call.times > 1 or not call.given or call.first is None or not _equal(call.first, call.given[0]):
        return False
    inside = [each for name, each in calls.items() if name.startswith(f"{path}.")]
    return len(call.given) == 1 or any(torch.equal(own, call.given[0]) for each in inside for own in each.given)


def _source(path: str, given: Tensor, calls: Mapping[str, Call]) -> str | None:
    """The outermost module that gave what another one was given, of those that ended before it."""
    names = list(calls)
    before = [name for name in names[: names.index(path)] if not path.startswith(f"{name}.")]
    gave = {name: calls[name].gave for name in before}
    alike = [name for name, each in gave.items() if each is not None and _equal(each, given)]
    return min(alike, key=lambda name: name.count("."), default=None)


def _equal(gave: Tensor, given: Tensor) -> bool:
    return gave.numel() == given.numel() and torch.equal(gave.reshape(-1), given.reshape(-1))


def _begins(path: str, calls: Mapping[str, Call]) -> int:
    """When a pass enters a module: before anything in it has given anything."""
    return next(place for place, name in enumerate(calls) if name == path or name.startswith(f"{path}."))
