"""repeng: blocks wrapped in its own, and its own training, a principal component of differences.

Its wrappers stay on the model, so a task that writes other blocks wraps it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from repeng import ControlModel, ControlVector, DatasetEntry

from bench.opponents.common import BATCH, asked, chances, how, load, new_tokens, tokenizer


class Controlled:
    """A Llama-like model."""

    def __init__(self, folder: str) -> None:
        self.model, self.tokenizer = load(folder), tokenizer(folder)
        self._wrapped: Any = None

    def _control(self, task: dict[str, Any], blocks: list[int]) -> tuple[Any, Any]:
        import numpy as np

        self._unwrap()
        self._wrapped = ControlModel(self.model, blocks)
        vector = np.array(task["direction"], dtype=np.float32)
        return self._wrapped, ControlVector(model_type="llama", directions=dict.fromkeys(blocks, vector))

    def _unwrap(self) -> None:
        if self._wrapped is not None:
            self._wrapped.unwrap()
            self._wrapped = None

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks."""
        model, vector = self._control(task, task["blocks"])
        given, told = asked(self.model, task), how(task)
        model.set_control(vector, task["strength"])
        return lambda: new_tokens(task, model.generate(**given, **told))

    def sweep(self, task: dict[str, Any]) -> Callable[[], list[Any]]:
        """Chances of letters at every strength, one strength after the other."""
        model, vector = self._control(task, [task["block"]])

        def run() -> list[Any]:
            found = []
            for strength in task["strengths"]:
                model.set_control(vector, strength)
                found.append(chances(model, task, self.model.device))
            return found

        return run

    def extract(self, task: dict[str, Any]) -> Callable[[], dict[str, list[float]]]:
        """Its principal components, by block."""
        self._unwrap()
        pairs = [DatasetEntry(*each) for each in zip(task["positive"], task["negative"], strict=True)]

        def run() -> dict[str, list[float]]:
            found = ControlVector.train(self.model, self.tokenizer, pairs, batch_size=BATCH)
            return {str(block): vector.tolist() for block, vector in found.directions.items()}

        return run


open_model = Controlled
