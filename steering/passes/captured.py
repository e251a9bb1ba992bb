"""Decoding steps as one launch: on a GPU, where a step's hundreds of small kernels take longer to begin than to run.

Over keys and values that lie still, with a place for every token that the rows may still get and a mask that says which
places are filled, a step is the same work on the same memory at every token. It is captured once as a CUDA graph, with
what the plans write, and from then on launched. The plain step stays what is right: the first tokens are read both
ways, and the launch must give the same tokens and, but for rounding, the same logits. One token would not do: a number
that the capture froze, such as a position, is right there and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from steering.lane import Stopped, look_for_stop
from steering.loading.tensor_parallel import parts
from steering.model.abilities import alike
from steering.model.device_memory import free, if_it_fits
from steering.model.forwards import is_transformers_own
from steering.model.host import Host
from steering.passes.cache_room import growing, laid_out
from steering.passes.hooked import are_traced, by_hooks, shape_of
from steering.passes.pass_inputs import accepted, options_of
from steering.passes.schedule import Schedule
from steering.passes.split_batches import Forward


SWITCH = "STEERING_WORKBENCH_GRAPHS"
"""Environment variable; "on" asks for it."""
LEAST = 16
"""Tokens that some row may still get, below which capturing costs more than it saves: it takes some steps itself."""
TRIALS = 2
"""Tokens that are read both ways."""
_WARM = 2
"""Times that a step runs before it is captured: what libraries set up when they are first called cannot be."""
Launch = Callable[[], Tensor]
"""Does a step once more, on what its memory holds now; gives its logits, in memory that the next launch writes over."""


@dataclass(eq=False)
class Captured:
    """What a batch goes on from in place of the model's own cache. Call everything on the model thread."""

    host: Host
    schedule: Schedule
    written: list[int]
    """How many positions of each row a step writes."""
    length: int
    """Positions that are filled, padding included."""
    layers: list[_Layer]
    ids: Tensor
    """The tokens that are read, (row, 1)."""
    positions: Tensor
    """Where they stand in their rows' texts, (row, 1)."""
    mask: Tensor
    """1 at every place that holds a token and no padding, (row, place)."""
    place: Tensor
    """The place of the tokens that are read, (1,)."""
    own: Any
    """The model's own cache, until the launch is trusted."""
    launch: Launch | None = None
    trials: int = 0

    def read(self, tokens: Tensor, seen: Tensor, plainly: Callable[[Any], Forward]) -> Forward:
        """One more token of every row.

        Args:
            tokens: The token that each row got last, (row,).
            seen: True at every position that is no padding, the new token's included, (row, position).
            plainly: A plain step, from a cache of the model's own.

        Raises:
            Stopped: Somebody asked the job at hand to end; all is as before.
        """
        if self.length == self.mask.shape[1]:
            return plainly(self.loosened())
        look_for_stop()
        self._put(tokens, seen)
        if self.launch is not None and self.trials == TRIALS:
            logits = self.launch().clone()
            self.length += 1
            return Forward(logits, self, self.written)
        forward = plainly(self.own)
        if not self._holds(forward.logits):
            return forward
        self.trials, self.length = self.trials + 1, self.length + 1
        self.own = forward.cache if self.trials < TRIALS else None
        return replace(forward, cache=self)

    def loosened(self) -> Any:
        """The model's own cache, of as many positions as are filled."""
        if self.own is not None:
            return self.own
        return growing((each.keys[:, :, : self.length], each.values[:, :, : self.length]) for each in self.layers)

    def _put(self, tokens: Tensor, seen: Tensor) -> None:
        self.ids.copy_(tokens[:, None])
        self.positions.copy_(seen.sum(dim=1, keepdim=True) - 1)
        self.mask[:, : self.length + 1].copy_(seen)
        self.place.fill_(self.length)

    def _step(self) -> Tensor:
        """By hooks, on what lies still."""
        given = {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.positions}
        taken = accepted(self.host, given, steps=True)
        options = options_of(self.host, taken, Cache(layers=list(self.layers)), 1, use_cache=True)
        return by_hooks(self.host, taken, options, self.schedule)

    def _holds(self, logits: Tensor) -> bool:
        """Whether the launch gives what the plain step gave; captures it, where that was not done.

        Args:
            logits: Of the plain step, (row, vocabulary).
        """
        refused = _REFUSED.setdefault(self.host.base, {})
        try:
            if self.launch is None:
                self.launch = recorder(self.host)(self._step)
            found = self.launch()
        except torch.OutOfMemoryError:
            free()
            return False
        except Stopped:
            raise
        except Exception as error:  # whatever a model's code does that cannot be captured, such as looking at a number
            why = str(error).partition("\n")[0]
            refused[shape_of(self.host, self.schedule)] = f"Its code cannot be captured: {why}"
            return False
        if not alike(found, logits, self.host.model._module.dtype):
            refused[shape_of(self.host, self.schedule)] = "A captured step gave other logits than a plain one."
            return False
        return torch.equal(found.argmax(dim=-1), logits.argmax(dim=-1))  # else near ties, which are this text's alone


def captured(host: Host, cache: Any, schedule: Schedule, seen: Tensor, room: int) -> Captured | None:
    """What a batch can go on from so that its steps are captured; None where they cannot be, or it would not pay.

    Args:
        host: The model.
        cache: Its own, keys and values by position, which goes on being used until the launch is trusted.
        schedule: The plans.
        seen: True at every position of the cache that is no padding, (row, position).
        room: Tokens that some row may still get.
    """
    if room < LEAST or obstacle(host, cache, schedule):
        return None
    rows, length = seen.shape
    size, device = length + room, host.device

    def lay_out() -> Captured:
        place = torch.zeros(1, dtype=torch.long, device=device)
        ids, positions = (torch.zeros(rows, 1, dtype=torch.long, device=device) for _ in range(2))
        mask = torch.zeros(rows, size, dtype=torch.long, device=device)
        layers = [_Layer(laid_out(layer.keys, size), laid_out(layer.values, size), place) for layer in cache.layers]
        written = schedule.written(schedule.of_step())
        return Captured(host, schedule, written, length, layers, ids, positions, mask, place, cache)

    return if_it_fits(lay_out)


def obstacle(host: Host, cache: Any, schedule: Schedule) -> str:
    """Why steps of a batch cannot be captured, as a sentence; "" where they may be tried.

    Args:
        host: The model.
        cache: Its own.
        schedule: The plans.
    """
    can, model = host.abilities, host.model._module
    if are_traced() or not records(host):
        return f"Steps are captured on a GPU, where {SWITCH}=on asks for it."
    if (
        not can.shares
        or type(cache) is not DynamicCache
        or any(type(each) is not DynamicLayer for each in cache.layers)
    ):
        return "What the model remembers is more than keys and values by position, such as a window or a state."
    if not can.masks_steps or "position_ids" not in can.accepts or not is_transformers_own(model):
        return "The model's code is not transformers' own, or takes no mask or no positions in a step."
    if parts(model) > 1 or any(layer.keys.device != host.device for layer in cache.layers):
        return "The model is divided among devices or processes."
    if schedule.gates:
        return "A gate decides at every token."
    return _REFUSED.get(host.base, {}).get(shape_of(host, schedule), "")


def recorder(host: Host) -> Callable[[Callable[[], Tensor]], Launch]:
    """What captures steps of a model, of which there must be one (`records`)."""
    return lambda step: _CudaGraph(step, host.device)


def records(host: Host) -> bool:
    """Whether steps of a model are to be captured, where they can be."""
    return host.device.type == "cuda" and os.environ.get(SWITCH) == "on"


class _Layer(CacheLayerMixin):
    """A block's keys and values, (row, head, place, width), of which a step writes those at one place."""

    is_compileable = True  # so that transformers makes a mask without looking at what it hides
    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, place: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self._place = keys, values, place
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """All is there."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.keys.shape[2], 0

    def get_seq_length(self) -> int:
        """As if the token stood behind every place: the mask alone says which of them it sees."""
        return self.keys.shape[2] - 1

    def get_max_length(self) -> int:
        return self.keys.shape[2]


class _CudaGraph:
    """A step as a CUDA graph."""

    def __init__(self, step: Callable[[], Tensor], device: torch.device) -> None:
        with torch.cuda.device(device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM):
                    step()
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            # Another model's thread may use the device meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._logits = step()

    def __call__(self) -> Tensor:
        self._graph.replay()
        return self._logits


_REFUSED: WeakKeyDictionary[Host, dict[Any, str]] = WeakKeyDictionary()
"""The shapes of routes whose steps cannot be captured, and why, by model."""
