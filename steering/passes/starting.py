"""Whether passes of a model may begin in the middle."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch

from steering.model.abilities import alike
from steering.model.host import Host
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.split_batches import Forward, Start


def tried_start(host: Host, read_prompts: Callable[..., Forward]) -> bool:
    """Whether a pass that begins in the middle gives the logits of a whole one: tried once, at the last block. Where
    blocks hand each other more than states, such as keys and values, it does not, and passes run whole.

    Args:
        host: The model.
        read_prompts: That of `passes.tracing`, which asks this.
    """
    if host not in _STARTS:
        _STARTS[host] = True
        ids = torch.arange(1, 9)[None] % host.info.vocabulary
        batch, schedule = Batch(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([7])), Schedule(host, [()])
        block, kept = host.info.blocks - 1, []
        whole = read_prompts(host, batch, schedule, read=lambda _, x: kept.append(x), places=[(block, "block_input")])
        try:
            again = read_prompts(host, batch, schedule, start=Start(block, kept[0])).logits
            _STARTS[host] = alike(again, whole.logits, host.model._module.dtype)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever the model's code raises without what the skipped blocks would have left it
            _STARTS[host] = False
    return _STARTS[host]


_STARTS: WeakKeyDictionary[Host, bool] = WeakKeyDictionary()
