"""How a model's forward pass is called: which arguments it takes, and what is put right where a model's own code takes
or gives other things than transformers' models do.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from steering.loading.placement import entrance


ARGUMENTS = ("attention_mask", "position_ids", "use_cache")
KEEP = "logits_to_keep"
"""By which a pass is asked for the logits of the last positions alone."""
CACHES = ("past_key_values", "cache_params", "state")
"""The names under which models take and give back what they remember of a text."""


def arguments(model: PreTrainedModel) -> frozenset[str]:
    """Which of these a model's forward pass takes; `use_cache` also where it takes any name."""
    parameters = inspect.signature(model.forward).parameters
    names = frozenset(name for name in (*ARGUMENTS, KEEP, *CACHES) if name in parameters)
    return names | {"use_cache"} if _takes_any(model) else names


def put_right(model: PreTrainedModel) -> None:
    """Make a model take an attention mask, which nnsight always hands it, and give logits by name.

    A forward pass that knows no mask is given none, and one that gives a tuple or bare logits gives them by name; what
    it remembered of the text is dropped then, since nobody knows which entry it is.
    """
    deaf = "attention_mask" not in arguments(model) and not _takes_any(model)
    if not deaf and is_transformers_own(model):
        return
    forward, signature = model.forward, inspect.signature(model.forward)
    own = getattr(forward, "__func__", None) if getattr(forward, "__self__", None) is model else None

    def named(self: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
        if deaf:
            kwargs.pop("attention_mask", None)
        output = own(self, *args, **kwargs) if own else forward(*args, **kwargs)
        if isinstance(output, tuple | list):
            logits = next(entry for entry in output if isinstance(entry, Tensor) and entry.ndim == 3)
            return CausalLMOutput(logits=logits)
        return CausalLMOutput(logits=output) if isinstance(output, Tensor) else output

    myself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    named.__signature__ = signature.replace(parameters=[myself, *signature.parameters.values()])  # type: ignore[attr-defined]
    model.forward = MethodType(named, model)  # a method, so that a copy of the model calls its own


def is_transformers_own(model: PreTrainedModel) -> bool:
    """Whether a model's code is the library's own, and not some that came with its weights."""
    return type(model).__module__.startswith("transformers.models.")


def likeliest(model: PreTrainedModel, ids: Sequence[int]) -> int:
    """The likeliest token behind some, by one pass without hooks. Call on the model thread."""
    given = {"use_cache": False} if "use_cache" in arguments(model) else {}
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([list(ids)], device=entrance(model)), **given)
    return int(output.logits[0, -1].argmax())


def of_the_model(error: BaseException) -> bool:
    """Whether an exception came out of a model's forward pass or of nnsight, and not out of the workbench's own code.

    What counts is the innermost step of the traceback that is either ours or a module's `forward`: what we read and
    write is called from inside the pass, too.
    """
    if type(error).__module__.split(".")[0] == "nnsight":
        return True
    ours = True
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(_OURS):
            ours = True
        elif frame.f_code.co_name == "forward" and isinstance(frame.f_locals.get("self"), nn.Module):
            ours = False
    return not ours


_OURS = tuple(f"{Path(__file__).parents[2] / name}/" for name in ("steering", "workbench", "panels"))
"""Where the project's packages lie."""


def _takes_any(model: PreTrainedModel) -> bool:
    parameters = inspect.signature(model.forward).parameters.values()
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
