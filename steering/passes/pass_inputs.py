"""What of a pass a model takes: its inputs, and what it is asked beside them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steering.model.abilities import last_columns
from steering.model.forwards import KEEP
from steering.model.host import Host
from steering.passes.rows import Batch


def inputs_of(batch: Batch, before: int = 0) -> dict[str, Tensor]:
    """What a pass over a batch is given: ids, mask, and positions that padding does not count in, (batch, position).

    Args:
        batch: The texts, or parts of some.
        before: How many tokens went before, which the mask holds, too.
    """
    positions = (batch.real.long().cumsum(dim=1) - 1).clamp(min=0) + before
    mask = functional.pad(batch.real.long(), (before, 0), value=1)
    return {"input_ids": batch.ids, "attention_mask": mask, "position_ids": positions}


def inputs_of_step(tokens: Tensor, seen: Tensor) -> dict[str, Tensor]:
    """What a decoding step is given.

    Args:
        tokens: The token that each row got last, (batch,).
        seen: True at every position that is no padding, the new token's included, (batch, position).
    """
    positions = seen.long().sum(dim=1, keepdim=True) - 1
    return {"input_ids": tokens[:, None], "attention_mask": seen.long(), "position_ids": positions}


def accepted(host: Host, inputs: dict[str, Tensor], *, steps: bool) -> dict[str, Tensor]:
    """Those of the inputs that the model takes, on its device; `steps` where it goes on from a cache token by token."""
    can = host.abilities
    accepts = can.accepts - {"attention_mask"} if steps and not can.masks_steps else can.accepts
    device = host.device
    return {name: value.to(device) for name, value in inputs.items() if name == "input_ids" or name in accepts}


def options_of(host: Host, inputs: dict[str, Tensor], cache: Any, n_kept: int, use_cache: bool) -> dict[str, Any]:
    """What a pass is asked beside its inputs."""
    can, length = host.abilities, inputs["input_ids"].shape[1]
    options: dict[str, Any] = {can.cache: cache} if can.cache else {}
    if "use_cache" in can.accepts:
        options["use_cache"] = can.cache is not None and use_cache
    if can.keeps is not None and n_kept < length:
        options[KEEP] = last_columns(can.keeps, n_kept, length, host.device)
    return options
