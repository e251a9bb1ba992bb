"""Plain PyTorch hooks under Hugging Face `generate`: the reference of all others; without a block, `generate` alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.opponents.common import asked, direction, how, load, new_tokens, padded


class Hooked:
    """A Llama-like model, hooks on whose blocks stay until the next task."""

    def __init__(self, folder: str) -> None:
        self.model = load(folder)
        self._handles: list[Any] = []

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks, or of none; where the task says `once`, in the
        first pass alone, which is what some libraries do unasked.
        """
        model, given, told = self.model, asked(self.model, task), how(task)
        added = {block: direction(model, task) * task["strength"] for block in task["blocks"]}
        self._hook(added, once=task.get("once", False))
        return lambda: new_tokens(task, model.generate(**given, **told))

    def bare(self, task: dict[str, Any]) -> Callable[[], None]:
        """Forward passes over batches of prompts, with logits at the last place alone, and nothing kept."""
        self._hook({})
        batches = [padded(batch, self.model.device) for batch in task["batches"]]

        def run() -> None:
            with torch.no_grad():
                for batch in batches:
                    self.model(**batch, use_cache=False, logits_to_keep=1)

        return run

    def extract(self, task: dict[str, Any]) -> Callable[[], list[list[float]]]:
        """Mean differences of the states at the last token behind every block, prompt by prompt, (block, width)."""
        self._hook({})

        def run() -> list[list[float]]:
            sides = [torch.stack([self._last(ids) for ids in task[side]]).mean(dim=0) for side in ("first", "second")]
            difference: list[list[float]] = (sides[0] - sides[1]).tolist()
            return difference

        return run

    def states(self, task: dict[str, Any]) -> Callable[[], list[Any]]:
        """The states themselves, (prompt, block, width)."""
        self._hook({})
        return lambda: [self._last(ids).tolist() for ids in task["prompts"]]

    def _last(self, ids: list[int]) -> Tensor:
        kept: list[Tensor] = []
        handles = [
            block.register_forward_hook(lambda _, __, output: kept.append(_state(output)[0, -1].double().cpu()))
            for block in self.model.model.layers
        ]
        try:
            with torch.no_grad():
                self.model(torch.tensor([ids], device=self.model.device))
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(kept)

    def _hook(self, added: dict[int, Tensor], *, once: bool = False) -> None:
        for handle in self._handles:
            handle.remove()
        blocks = self.model.model.layers
        self._handles = [
            blocks[block].register_forward_hook(partial(_add_once if once else _add, vector))
            for block, vector in added.items()
        ]


def _state(output: Any) -> Tensor:
    state: Tensor = output[0] if isinstance(output, tuple) else output
    return state


def _add_once(vector: Tensor, module: Any, given: Any, output: Any) -> Any:
    return _add(vector, module, given, output) if _state(output).shape[1] > 1 else output


def _add(vector: Tensor, module: Any, given: Any, output: Any) -> Any:
    return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector


open_model = Hooked
