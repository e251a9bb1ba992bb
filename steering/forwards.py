"""How a model's forward pass is called: which arguments it takes, and what is put right where a model's own code takes
or gives other things than transformers' models do.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


ARGUMENTS = ("attention_mask", "position_ids", "logits_to_keep", "use_cache")
CACHES = ("past_key_values", "cache_params", "state")
"""The names under which models take and give back what they remember of a text."""


def arguments(model: PreTrainedModel) -> frozenset[str]:
    """Which of these a model's forward pass takes; `use_cache` also where it takes any name."""
    parameters = inspect.signature(model.forward).parameters
    names = frozenset(name for name in (*ARGUMENTS, *CACHES) if name in parameters)
    return names | {"use_cache"} if _takes_any(model) else names


def put_right(model: PreTrainedModel) -> None:
    """Make a model take an attention mask, which nnsight always hands it, and give logits by name.

    A forward pass that knows no mask is given none, and one that gives a tuple or bare logits gives them by name; what
    it remembered of the text is dropped then, since nobody knows which entry it is.
    """
    model.config.return_dict = True
    deaf = "attention_mask" not in arguments(model) and not _takes_any(model)
    if not deaf and type(model).__module__.startswith("transformers.models."):
        return
    forward = model.forward

    @wraps(forward)
    def named(*args: Any, **kwargs: Any) -> Any:
        if deaf:
            kwargs.pop("attention_mask", None)
        output = forward(*args, **kwargs)
        if isinstance(output, tuple | list):
            return CausalLMOutput(
                logits=next(entry for entry in output if isinstance(entry, Tensor) and entry.ndim == 3)
            )
        return CausalLMOutput(logits=output) if isinstance(output, Tensor) else output

    model.forward = named


def _takes_any(model: PreTrainedModel) -> bool:
    parameters = inspect.signature(model.forward).parameters.values()
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
