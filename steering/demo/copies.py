"""A model for each thread, with other weights in place of some of its own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping

from torch import Tensor
from torch.func import functional_call
from transformers import LlamaForCausalLM


class Copies:
    """Copies of a frozen model, one a thread.

    `functional_call` puts weights into a module for as long as it runs and takes them out again: two threads must never
    share the module.
    """

    def __init__(self, model: LlamaForCausalLM) -> None:
        self._model = model
        self._local = threading.local()

    @property
    def own(self) -> LlamaForCausalLM:
        """The calling thread's copy, made when it is first asked for."""
        if not hasattr(self._local, "model"):
            self._local.model = copy.deepcopy(self._model)
        return self._local.model

    def logits(self, ids: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Logits with some weights exchanged, differentiable in them, (rows, tokens, vocabulary)."""
        return functional_call(self.own, dict(weights), (ids,), {"use_cache": False}).logits
