"""Files of tensors: what they hold, read without running any of it, and what of that may be vectors."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from steering.errors import SteeringError


ENDINGS = (".pt", ".pth", ".bin", ".npy", ".npz", ".safetensors")
_OBJECTS = ("weights_only", "Weights only", "Python objects")
"""What the readers say of files that would run code."""
MOST_NUMBERS = 64_000_000
"""Of a file; a vector of the largest models has two million."""


def read_tensors(path: Path) -> Any:
    """What the file holds: a tensor, or whatever mappings and lists of tensors."""
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.dtype.kind not in "fiu":
                raise ValueError(f"its numbers are of the kind {array.dtype}")
            bound(array.size)
            return torch.from_numpy(np.array(array, dtype=np.float32))
        if path.suffix.lower() == ".npz":
            return _arrays(path)
        if path.suffix.lower() == ".safetensors":
            bound(path.stat().st_size // 4)
            return load_file(path)
        unpacked = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                unpacked = sum(part.file_size for part in file.infolist())
        bound(unpacked // 4)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SteeringError:
        raise
    except Exception as error:  # each reader raises whatever a broken file leads it to
        unsafe = any(sign in str(error) for sign in _OBJECTS)
        why = "it holds more than tensors, which is not run here" if unsafe else _first_line(error)
        raise SteeringError(
            f"'{path.name}' is no vector file: {why}.",
            f"tensors alone, in a file ending in {', '.join(ENDINGS)}.",
            "Save the tensor by itself, with torch.save, numpy.save or safetensors.",
        ) from error


def _arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of an .npz file by name."""
    with zipfile.ZipFile(path) as file:
        bound(sum(part.file_size for part in file.infolist()) // 4)
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    return {
        name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items() if array.dtype.kind in "fiu"
    }


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160].rstrip(". ") or type(error).__name__


def bound(numbers: int) -> None:
    if numbers > MOST_NUMBERS:
        raise SteeringError(
            f"The file holds up to {numbers:,} numbers.", f"at most {MOST_NUMBERS:,}.", "Save the direction by itself."
        )


def without_notes(content: Any) -> tuple[Any, list[str]]:
    """A mapping without what only tells about its vectors: numbers, texts and settings; and what that was."""
    if not isinstance(content, Mapping):
        return content, []
    kept = {key: value for key, value in content.items() if _may_be(value)}
    if not kept or len(kept) == len(content):
        return content, []
    told = [
        f"{str(key)[:40]} ({value})" if isinstance(value, int) else str(key)[:40]
        for key, value in content.items()
        if key not in kept
    ]
    return kept, told[:8]


def _may_be(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() > 1
    return isinstance(value, Mapping | list | tuple) and any(
        isinstance(each, Tensor) for each in (value.values() if isinstance(value, Mapping) else value)
    )
