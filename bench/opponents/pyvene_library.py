"""pyvene: an intervention of its own at the outputs of blocks, at the prompt and at every generated token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvene
from torch import Tensor

from bench.opponents.common import asked, direction, how, load, new_tokens


class Added(pyvene.ConstantSourceIntervention):
    """Adds a vector."""

    def __init__(self, vector: Tensor) -> None:
        super().__init__(keep_last_dim=True)
        self.vector = vector

    def forward(self, base: Tensor, source: Any = None, subspaces: Any = None, **others: Any) -> Tensor:
        return base + self.vector


class Intervened:
    """A Llama-like model."""

    def __init__(self, folder: str) -> None:
        self.model = load(folder)

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks."""
        vector = direction(self.model, task) * task["strength"]
        places = [
            {"component": f"model.layers[{block}].output", "intervention": Added(vector)} for block in task["blocks"]
        ]
        wrapped = pyvene.IntervenableModel(pyvene.IntervenableConfig(places), model=self.model)
        given, told = asked(self.model, task), how(task)

        def run() -> list[list[int]]:
            _, replies = wrapped.generate(given, unit_locations=None, intervene_on_prompt=True, **told)
            return new_tokens(task, replies)

        return run


open_model = Intervened
