"""Steps that are captured without a GPU: what torch does is taken down, and done once more on the same memory.

It is what a CUDA graph is: numbers that Python gave along are those of the recording, tensors are those that lie where
the recording found them, and what looks at a number, or brings one from elsewhere, cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from steering.passes import captured


LOOKS = {
    torch.ops.aten._local_scalar_dense.default: "looks at a number",
    torch.ops.aten.nonzero.default: "looks at numbers",
    torch.ops.aten.equal.default: "looks at numbers",
    torch.ops.aten.lift_fresh.default: "brings numbers from Python's memory",
}


class Recording(TorchDispatchMode):
    """A step as the operations that it consists of."""

    def __init__(self, step: Callable[[], Tensor]) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, list[Any]]] = []
        self.launches = 0
        with self:
            self._logits = step()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LOOKS:
            raise RuntimeError(f"{func} {LOOKS[func]}")
        found = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, tree_leaves(found)))
        return found

    @torch.inference_mode()  # in which the step made what is written over
    def __call__(self) -> Tensor:
        self.launches += 1
        for func, args, kwargs, before in self._done:
            for old, new in zip(before, tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)
        return self._logits


@contextmanager
def recordings() -> Iterator[list[Recording]]:
    """Steps are recorded within; gives the recordings that were made."""
    made: list[Recording] = []

    def record(step: Callable[[], Tensor]) -> Recording:
        made.append(Recording(step))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured, "records", lambda host: True)
        patch.setattr(captured, "recorder", lambda host: record)
        yield made
