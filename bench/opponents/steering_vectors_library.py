"""steering-vectors: its own hooks on decoder blocks, and its own training of a vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steering_vectors import SteeringVector, train_steering_vector

from bench.opponents.common import BATCH, asked, chances, direction, how, load, new_tokens, tokenizer


class Applied:
    """A Llama-like model."""

    def __init__(self, folder: str) -> None:
        self.model, self.tokenizer = load(folder), tokenizer(folder)

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks."""
        vector = SteeringVector(dict.fromkeys(task["blocks"], direction(self.model, task)), "decoder_block")
        given, told = asked(self.model, task), how(task)

        def run() -> list[list[int]]:
            with vector.apply(self.model, multiplier=task["strength"]):
                return new_tokens(task, self.model.generate(**given, **told))

        return run

    def sweep(self, task: dict[str, Any]) -> Callable[[], list[Any]]:
        """Chances of letters at every strength, one strength after the other."""
        vector = SteeringVector({task["block"]: direction(self.model, task)}, "decoder_block")

        def run() -> list[Any]:
            found = []
            for strength in task["strengths"]:
                with vector.apply(self.model, multiplier=strength):
                    found.append(chances(self.model, task, self.model.device))
            return found

        return run

    def extract(self, task: dict[str, Any]) -> Callable[[], dict[str, list[float]]]:
        """Mean differences at the last token, by block."""
        pairs = list(zip(task["positive"], task["negative"], strict=True))

        def run() -> dict[str, list[float]]:
            found = train_steering_vector(self.model, self.tokenizer, pairs, batch_size=BATCH)
            return {str(block): vector.tolist() for block, vector in found.layer_activations.items()}

        return run


open_model = Applied
