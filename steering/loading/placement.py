"""Where the weights of one model lie: on one device, on several, or in memory and on the disk, from where accelerate
fetches each part for its own turn of a pass and puts it back.

A weight that is put back is an empty one of the device "meta": who needs its numbers outside of a pass asks here.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import align_module_device, has_offloaded_params
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.loading.tensor_parallel import parts


_SIZE = re.compile(r"\s*([\w:]+)\s*=\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", re.IGNORECASE)
_FACTOR = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def placing(options: LoadOptions, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` is told of where weights go; nothing where they all go to `device` afterwards.

    Raises:
        SteeringError: `max_memory` without `device_map`, or one that cannot be read.
    """
    limits = memory_of(options.max_memory)
    if limits and not options.device_map:
        raise SteeringError(
            f"max_memory was given as '{options.max_memory}', without a device_map.",
            "device_map, which places the weights within that memory.",
            "Give device_map as well: --device-map auto.",
        )
    if not options.device_map and not options.quantisation:
        return {}
    told: dict[str, Any] = {"device_map": options.device_map or {"": device}}
    if options.device_map:
        # What is on the disk in another form than the model needs it is written out; else nothing is.
        told["offload_folder"] = tempfile.mkdtemp(prefix="steering-workbench-offload-")
    return {**told, "max_memory": limits} if limits else told


def memory_of(text: str | None) -> dict[int | str, int]:
    """The most memory by device as people type it, such as "0=20GB,cpu=60GB", in bytes; GPUs by number.

    Raises:
        SteeringError: Anything else.
    """
    found: dict[int | str, int] = {}
    for part in (text or "").split(",") if text else ():
        match = _SIZE.fullmatch(part)
        if match is None:
            raise SteeringError(
                f"The memory '{text}' was given.",
                "devices and sizes, such as 0=20GB,cpu=60GB: GPUs by number, cpu for main memory.",
                "Correct it; what fits nowhere lies on the disk.",
            )
        name, number, unit = match[1].lower().removeprefix("cuda:"), float(match[2]), match[3].upper()
        found[int(name) if name.isdigit() else name] = int(number * _FACTOR[unit])
    return found


def entrance(model: Any) -> torch.device:
    """Where token ids go in."""
    embedding = model.get_input_embeddings()
    hook = getattr(embedding, "_hf_hook", None)
    runs_on = getattr(hook, "execution_device", None)
    if not embedding.weight.is_meta or runs_on is None:
        return embedding.weight.device
    return torch.device(runs_on)


@contextmanager
def as_from_one_place(model: Any) -> Iterator[None]:
    """The model as if all of it lay where tokens go in: a pipeline of transformers takes the first place of the map of
    devices for a device of torch, which the disk is not.
    """
    told = getattr(model, "hf_device_map", None)
    if told is None:
        yield
        return
    model.hf_device_map = {"": entrance(model)}
    try:
        yield
    finally:
        model.hf_device_map = told


def fetched(model: nn.Module, name: str) -> Tensor:
    """A weight or buffer by its name, with its numbers, wherever it lies; it stays there."""
    path, _, own = name.rpartition(".")
    return weight_of(model.get_submodule(path), own)


def weight_of(module: nn.Module, own: str = "weight") -> Tensor:
    """A module's own weight or buffer with its numbers, wherever it lies; it stays there. Of one that is divided among
    processes all of it, for which every process has to ask.
    """
    if not has_offloaded_params(module):
        given = getattr(module, own)
        return given.full_tensor() if isinstance(given, DTensor) else given
    with align_module_device(module):
        value: Tensor = getattr(module, own)
        return value.detach().clone()


def offloaded(model: nn.Module) -> bool:
    """Whether some weights are fetched for every pass."""
    return any(has_offloaded_params(module) for module in model.modules())


def check_at_hand(model: nn.Module, name: str, what: str) -> None:
    """Refuse what needs all weights at once.

    Args:
        model: Which.
        name: What it is called.
        what: What needs them.

    Raises:
        SteeringError: Some are fetched for every pass, or lie in other processes.
    """
    if offloaded(model) or parts(model) > 1:
        where = "lie in other processes" if parts(model) > 1 else "lie on no device but are fetched for every pass"
        raise SteeringError(
            f"Some weights of {name} {where}, and {what} needs all at once.",
            "a model whose weights lie on devices.",
            "Load it with more memory, or in bfloat16 or 8bit.",
        )


def places(model: Any) -> list[str]:
    """The devices on which weights lie, "cpu" and "disk" among them, those first that hold most."""
    return [place for place, _ in _bytes_by_place(model).most_common()]


def placement_note(model: Any) -> str:
    """Where weights lie, in a sentence, where it is more than one place or the disk; else ""."""
    found = _bytes_by_place(model)
    if len(found) < 2 and "disk" not in found:
        return ""
    said = ", ".join(f"{_SAID.get(place, place)} {_size(n)}" for place, n in found.most_common())
    slow = " What does not lie on the device that works is fetched for every pass, which is slow." * offloaded(model)
    return f"Weights lie in several places: {said}.{slow}" if len(found) > 1 else f"Weights lie on {said}.{slow}"


_SAID = {"cpu": "main memory", "disk": "the disk"}


def _bytes_by_place(model: Any) -> Counter[str]:
    told = {path: _named(place) for path, place in (getattr(model, "hf_device_map", None) or {}).items()}
    found: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        own = max((path for path in told if f"{name}.".startswith(f"{path}." if path else "")), key=len, default=None)
        found[str(weight.device) if own is None or not weight.is_meta else told[own]] += weight.nbytes
    return found


def _named(place: Any) -> str:
    return f"cuda:{place}" if isinstance(place, int) else str(place)


def _size(number: int) -> str:
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{number / 1e6:.3g} MB"
