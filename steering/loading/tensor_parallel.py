"""A model whose matrices are divided among processes that work together: tensor parallelism by transformers' own plan.

Every process runs the whole program, and a pass is one that all of them do at the same time. What enters and leaves
attention and MLP, and so every site, is whole in each of them, and the same; the self-check looks (`processes`). So
nothing may be done in one process only: what depends on time, on files that others lack or on several threads.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
import transformers
from packaging.version import Version
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from steering.errors import SteeringError
from steering.loading.options import LoadOptions


_SINCE = "5.19"
_DIVIDED = ("num_attention_heads", "num_key_value_heads", "intermediate_size")


def place_among_others() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says it: (0, 1) where nothing does."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def dividing(name: str, config: Any, options: LoadOptions, **beside: Any) -> dict[str, Any]:
    """What `from_pretrained` is told so that it divides the weights; nothing where one process holds them.

    Args:
        name: Of the model.
        config: Its configuration.
        options: How many processes.
        beside: What else the load has to do, by what it is called; nothing of it may be asked for.

    Raises:
        SteeringError: Other numbers of processes than were started, what cannot be combined with it, a model that
            transformers has no plan for, or whose heads do not go into so many parts.
    """
    n = options.tensor_parallel
    if n == 1:
        return {}
    _check_started(n)
    check_alone(options, **beside)
    _check_config(name, config, n)
    from transformers.distributed import DistributedConfig

    _let_nnsight_find_plans()
    atexit.register(_take_leave)
    return {"distributed_config": DistributedConfig(tp_size=n)}


def _check_started(n: int) -> None:
    _, started = place_among_others()
    if n < 1 or started != n:
        raise SteeringError(
            f"Tensor parallelism among {n} processes was asked for, and {started} {'is' if started == 1 else 'are'} "
            "running.",
            "as many processes, started together.",
            f"torchrun --nproc-per-node {max(2, n)} -m workbench … --tensor-parallel {max(2, n)}.",
        )
    if Version(transformers.__version__).release < Version(_SINCE).release:
        raise SteeringError(
            f"Tensor parallelism was asked for with transformers {transformers.__version__}.",
            f"version {_SINCE} or newer, which gives activations whole.",
            "Update it.",
        )


def check_alone(options: LoadOptions, **beside: Any) -> None:
    """Refuse what cannot be done with weights that are divided.

    Raises:
        SteeringError: Naming it.
    """
    beside |= {"device_map": options.device_map, "quantisation": options.quantisation}
    given = [name.replace("_", " ") for name, value in beside.items() if value]
    if options.tensor_parallel > 1 and given:
        raise SteeringError(
            f"Tensor parallelism was asked for together with {', '.join(given)}.",
            "tensor parallelism alone, of a folder of safetensors.",
            "Leave one of them out.",
        )


def _check_config(name: str, config: Any, n: int) -> None:
    own = config.get_text_config()
    if not getattr(own, "base_model_tp_plan", None) and not getattr(config, "base_model_tp_plan", None):
        raise SteeringError(
            f"transformers has no plan for dividing '{name}' ({config.model_type}) among processes.",
            "a model with such a plan, as Llama, Mistral, Qwen and Gemma have.",
            "Use --device-map auto instead.",
        )
    wrong = {field: getattr(own, field, None) for field in _DIVIDED}
    wrong = {field: value for field, value in wrong.items() if isinstance(value, int) and value % n}
    if wrong:
        said = ", ".join(f"{field} is {value}" for field, value in wrong.items())
        raise SteeringError(
            f"'{name}' does not go into {n} parts: {said}.",
            "a number of processes that divides them.",
            "Choose another number of processes.",
        )


def _let_nnsight_find_plans() -> None:
    """nnsight 0.8.1 imports a function from where transformers 5.19 had it; 5.23 has moved it."""
    from transformers.distributed import tensor_parallel

    if not hasattr(tensor_parallel, "_get_parameter_plan"):
        from transformers.distributed import parallel_utils

        tensor_parallel._get_parameter_plan = parallel_utils._get_parameter_plan


def parts(model: nn.Module) -> int:
    """Among how many processes a model is divided; 1 for most."""
    return next((weight.device_mesh.size() for weight in model.parameters() if isinstance(weight, DTensor)), 1)


def check_undivided(model: nn.Module, what: str) -> None:
    """Refuse what processes would not do alike.

    Raises:
        SteeringError: The model is divided among several.
    """
    if parts(model) > 1:
        raise only_by_script(what)


def only_by_script(what: str) -> SteeringError:
    """The refusal of what a divided model does not bear."""
    return SteeringError(
        f"{what} was asked for with tensor parallelism, under which every process must do the same at the same time.",
        "the commands steer and selfcheck, or a script that calls the library (docs/big-models.md).",
        "Use --device-map auto for everything else.",
    )


def apart(states: Iterable[Tensor], device: torch.device) -> float:
    """How far tensors lie apart among the processes, the largest difference of a number. All have to ask.

    Args:
        states: Of this process, as many and of the same shapes in each.
        device: Where the model is, over which they talk to each other.
    """
    largest = 0.0
    for each in states:
        high, low = (each.to(device, torch.float32, copy=True) for _ in range(2))
        dist.all_reduce(high, dist.ReduceOp.MAX)
        dist.all_reduce(low, dist.ReduceOp.MIN)
        largest = max(largest, float((high - low).abs().max()))
    return largest


def _take_leave() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
