"""nnsight as its documentation steers a generation: one trace around `generate`, with a loop over its steps.

Without the loop, version 0.8 writes into the first forward pass alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnsight import TransformersModel

from bench.opponents.common import asked, direction, how, load, new_tokens, tokenizer


class Traced:
    """A model of nnsight's."""

    def __init__(self, folder: str) -> None:
        self.own = load(folder)
        self.model = TransformersModel(self.own, tokenizer=tokenizer(folder), task="text-generation")

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks."""
        vector = direction(self.own, task) * task["strength"]
        given, told = asked(self.own, task), how(task)
        blocks, steps = task["blocks"], task["new_tokens"]
        layers = self.model.model.layers

        def run() -> list[list[int]]:
            with self.model.generate(given, **told) as tracer:
                for _ in tracer.iter[:steps]:
                    for block in blocks:
                        layers[block].output = layers[block].output + vector
                replies = tracer.result.save()
            return new_tokens(task, replies)

        return run


open_model = Traced
