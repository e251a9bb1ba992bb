"""How large a model would be by its configuration, told before memory is taken."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any

import torch
from transformers.initialization import no_init_weights

from steering.errors import SteeringError
from steering.loading.configurations import number_of_blocks
from steering.loading.load_errors import first_line
from steering.loading.weight_files import Stored


_LEAST_BITS = 1
"""No format keeps a weight in less."""


def check_size(
    name: str,
    loader: Any,
    config: Any,
    *,
    stored: Stored | None,
    dtype: torch.dtype,
    device: torch.device | None,
    own_code: bool = False,
) -> None:
    """Hold what a configuration describes against the weights files and against the memory that there is.

    Args:
        name: What the user typed, for messages.
        loader: The class that loads it.
        config: Its configuration.
        stored: What lies on disk; None for a Hub id.
        dtype: In which precision the weights will be.
        device: Where they will be; None where they are quantised, or spread over devices.
        own_code: Whether it is built by code of its own, which may need weights to be built.

    Raises:
        SteeringError: The configuration describes a model that the files cannot hold, or that memory cannot.
    """
    blocks = number_of_blocks(config)
    if stored is not None and stored.shapes is not None and blocks and blocks > len(stored.shapes):
        raise _too_large(name, f"{blocks:,} blocks", f"{len(stored.shapes):,} tensors")
    try:
        model = _without_weights(name, loader, config, own_code)
    except SteeringError:
        if own_code:
            return
        raise
    parameters = {key: each.numel() for key, each in model.named_parameters()}
    total = sum(parameters.values())
    if stored is not None and total * _LEAST_BITS > 8 * stored.bytes:
        largest = max(parameters, key=lambda key: parameters[key])
        shape = " × ".join(f"{side:,}" for side in model.get_parameter(largest).shape)
        raise _too_large(name, f"{total:,} parameters, of them {largest} with {shape}", f"{stored.bytes:,} bytes")
    room = _room(device)
    needed = total * dtype.itemsize + sum(each.numel() * each.dtype.itemsize for each in model.buffers())
    if room is not None and needed > room:
        raise SteeringError(
            f"The model '{name}' takes {needed / 1e9:,.1f} GB in {str(dtype).removeprefix('torch.')}; {device} has "
            f"{room / 1e9:,.1f} GB of memory in all.",
            "a model that fits.",
            "Load it in bfloat16, 8bit or 4bit, spread it over devices (--device-map auto), or choose a smaller one.",
        )


def _too_large(name: str, said: str, held: str) -> SteeringError:
    return SteeringError(
        f"The configuration of '{name}' describes {said}; the weights files hold {held} in all.",
        "a configuration and weights of one model.",
        "Mend config.json, or download the model again.",
    )


def _without_weights(name: str, loader: Any, config: Any, own_code: bool) -> torch.nn.Module:
    build = loader.from_config if loader.__name__.startswith("AutoModel") else loader._from_config
    try:
        with torch.device("meta"), no_init_weights():
            return build(deepcopy(config), **({"trust_remote_code": True} if own_code else {}))
    except Exception as error:  # whatever the architecture's code says of numbers that do not fit
        if attention := _unfit_attention(config, error):
            raise SteeringError(
                f"The configuration of '{name}' asks for the attention '{attention}', which cannot be used here: "
                f"{first_line(error)}",
                "sdpa or eager, which need nothing else, or one whose package is installed.",
                'Take attn_implementation out of config.json, or set it to "sdpa"; or install what is named here.',
            ) from error
        raise SteeringError(
            f"No model can be built from the configuration of '{name}': {type(error).__name__}: {first_line(error)}",
            "numbers that fit each other.",
            "Mend config.json, or download the model again.",
        ) from error


def _unfit_attention(config: Any, error: Exception) -> str:
    """The implementation of attention that a configuration asks for, where the error is about it; "" elsewhere."""
    asked = getattr(config, "_attn_implementation", None)
    if not isinstance(asked, str) or asked in ("eager", "sdpa"):
        return ""
    said = str(error).lower()
    return asked if isinstance(error, ImportError) or "attn_implementation" in said or asked.lower() in said else ""


def _room(device: torch.device | None) -> int | None:
    """Bytes of memory that a device has in all; None where that is not known."""
    if device is None:
        return None
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
