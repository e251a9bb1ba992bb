"""dialz. It loads a model itself and in float16, so here its loader is handed the one that all others have."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dialz.vector
import numpy as np
from dialz import SteeringModel, SteeringVector

from bench.opponents.common import asked, how, load, new_tokens


class Steered:
    """A Llama-like model."""

    def __init__(self, folder: str) -> None:
        self.model = load(folder)
        dialz.vector.AutoModelForCausalLM = SimpleNamespace(from_pretrained=lambda name, **_: self.model)
        self._wrapped: Any = None

    def decode(self, task: dict[str, Any]) -> Callable[[], list[list[int]]]:
        """Replies with a vector added at the outputs of some blocks."""
        if self._wrapped is not None:
            self._wrapped.unwrap()
        self._wrapped = wrapped = SteeringModel("", task["blocks"])
        given, told = asked(self.model, task), how(task)
        vector = np.array(task["direction"], dtype=np.float32)
        wrapped.set_control(SteeringVector("llama", dict.fromkeys(task["blocks"], vector)), task["strength"])
        return lambda: new_tokens(task, wrapped.generate(**given, **told))


open_model = Steered
