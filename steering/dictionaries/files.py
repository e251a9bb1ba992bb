"""What a dictionary's files hold: a configuration in sae-lens' words and tensors, read without running any of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from steering.errors import SteeringError
from steering.paths import is_file, is_folder


CFG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
"""Of a folder of sae-lens."""
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".npz")
_LARGEST_TEXT = 4_000_000
"""Bytes of a configuration."""


@dataclass(frozen=True)
class Content:
    """A dictionary's files, read."""

    name: str
    config: dict[str, Any]
    """As sae-lens keeps it in `cfg.json`."""
    tensors: dict[str, Tensor]
    """As sae-lens names them, in float32."""
    card: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    several: Any = None
    """What is known of one that reads or gives several states: a `RawCrosscoder`, or the `Layers` of all its blocks."""
    scale: float | None = None
    """The factor that its training multiplied states by, where that is known beside its files."""


def read_sae_lens(folder: Path, weights: Path) -> Content:
    """A folder of sae-lens: `cfg.json` and `sae_weights.safetensors`, a `card.json` beside them or not.

    Args:
        folder: Holds the configuration; that of a file of another name may be named after it.
        weights: The tensors.

    Raises:
        SteeringError: Something is missing, damaged or no tensor file.
    """
    own = weights.with_suffix(".json")
    config = read_json(own if is_file(own) else folder / CFG)
    tensors = read_tensors(weights)
    if "scaling_factor" in tensors:  # earlier versions wrote one that says nothing where all of it is 1
        factor = tensors.pop("scaling_factor")
        if not bool((factor == 1).all()):
            raise SteeringError(
                f"The dictionary in {folder} has a scaling factor of its own for each feature, which sae-lens does not "
                "apply any more.",
                "a dictionary whose factors are part of its decoder.",
                "Multiply the decoder's rows by them and save it again with sae-lens.",
            )
    card = read_json(folder / "card.json") if is_file(folder / "card.json") else {}
    return Content(folder.name if weights.name == WEIGHTS else weights.stem, config, tensors, card)


def read_json(path: Path) -> dict[str, Any]:
    """A mapping from a JSON file.

    Raises:
        SteeringError: As `read_mapping`.
    """
    return read_mapping(path, json.loads)


def read_mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """A mapping from a text file.

    Args:
        path: The file.
        parse: What its text says; a ValueError where that is nothing.

    Raises:
        SteeringError: No such file, one that is too long or cannot be parsed, or no mapping.
    """
    if not is_file(path):
        raise SteeringError(
            f"There is no '{path.name}' in {path.parent}.",
            f"the folder of one dictionary: {CFG} and {WEIGHTS} (sae-lens), or config.yaml and layer_0.safetensors …",
            f"A file of weights alone does not say how it is read; put its {path.name} beside it.",
        )
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise ValueError("it is longer than any configuration")
        found = parse(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no mapping")
        return found
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in float32.

    Raises:
        SteeringError: No such file, another kind of file, a damaged one, or numbers that are not finite.
    """
    check_tensor_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own
        raise unreadable(path, error) from error
    for name, tensor in tensors.items():
        check_finite(path, name, tensor)
    return tensors


def check_finite(path: Path, name: str, tensor: Tensor) -> None:
    """
    Raises:
        SteeringError: A tensor holds numbers that are not finite.
    """
    if not bool(tensor.isfinite().all()):
        raise SteeringError(
            f"'{name}' in {path} holds numbers that are not finite.", "finite weights.", "Fetch the file again."
        )


def check_tensor_file(path: Path) -> None:
    """Raise unless there is a file that can be a safetensors file.

    Raises:
        SteeringError: No such file, or a pickle, which would run what it holds.
    """
    pickles = [path] if path.suffix.lower() in _PICKLES else []
    if not is_file(path) and is_folder(path.parent):
        pickles = sorted(each for each in path.parent.iterdir() if each.suffix.lower() in _PICKLES)
    if pickles and (not is_file(path) or path in pickles):
        raise SteeringError(
            f"'{pickles[0].name}' in {path.parent} is a pickle or archive, which can run code when it is read.",
            "weights in a .safetensors file.",
            "Convert it where you trust it: load it with the library that wrote it and save it with sae-lens "
            "(`sae.save_model(folder)`).",
        )
    if not is_file(path):
        raise SteeringError(
            f"There is no '{path.name}' in {path.parent}.",
            f"a folder with {CFG} and {WEIGHTS}.",
            "Point to the folder of one dictionary.",
        )


def unreadable(path: Path, error: BaseException) -> SteeringError:
    """That a file cannot be read, with the reader's own first line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return SteeringError(
        f"The dictionary's file {path} cannot be read: {reason}.",
        "a whole file, as the library wrote it.",
        "It may have been cut short on its way; fetch it or train it again.",
    )
