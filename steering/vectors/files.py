"""The vector file: safetensors whose metadata leaves nothing to guess."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from steering.errors import SteeringError
from steering.own_files import publish, temporary_beside
from steering.paths import is_file
from steering.vectors.feature import Feature
from steering.vectors.foreign import MOST_BLOCKS
from steering.vectors.vector import AUROC, MAYBE, TENSORS, Eraser, Provenance, SteeringVector, eraser_tensors


_PROVENANCE = TypeAdapter(Provenance)
_FEATURE = TypeAdapter(Feature | None)
FORMAT = "steering-workbench vector"
FORMAT_VERSION = 3
"""1 had no references, explained variance or eraser, 2 no feature; both are read still, and what has no feature is
written as 2, which earlier versions of the workbench read.
"""
CONVENTIONS = {
    "block": "0-based decoder layer; row l of every tensor is block l; block_output[l] is the residual stream after "
    "layer l, before any final norm (for the last layer, Hugging Face's hidden_states have it behind that norm)",
    "sign": "from the negative to the positive side of the contrast set",
    "direction": "unit norm, one row per block",
    "mean_differences": "projection of (positive mean - negative mean) on the direction, raw units of the stream",
    "references": "projection of the negative mean on the direction, raw units of the stream",
    "residual_norms": "mean norm of the states that were read, raw units of the residual stream",
    "eraser": "x - left (right . (x - mean))",
    "unit": "a strength of 1 adds one mean difference along the direction",
}
FEATURE_CONVENTIONS = {
    "sign": "as the dictionary's decoder has it",
    "mean_differences": "typical maximum of the feature times the length of its decoder row, raw units; 0 at blocks "
    "that the dictionary does not write",
    "references": "none",
    "unit": "a strength of 1 adds what the feature adds at its typical maximum",
}
"""What is otherwise of the direction of a dictionary's feature."""
TRAINED_CONVENTIONS = {
    "sign": "towards the replies that were preferred",
    "mean_differences": "the length that the direction was trained to, raw units of the stream; 0 at blocks where it "
    "was not trained",
    "references": "projection on the direction of the mean state of replies that were not wanted (of all, where "
    "none was unwanted), raw units of the stream",
    "unit": "a strength of 1 adds the direction at the length that it was trained to",
}
"""What is otherwise of a trained vector."""


def save_vector(vector: SteeringVector, path: str | Path, *, new: bool = False) -> Path:
    """Write a safetensors file that appears whole or not at all.

    Args:
        vector: What to write.
        path: Where to; a vector file that is there already is written over.
        new: Leave whatever is there.

    Raises:
        FileExistsError: With `new`, something is there.
        SteeringError: Something else than a vector file is there, or the folder cannot be written.
    """
    path = Path(path)
    named = {name: getattr(vector, name) for name in (*TENSORS, *AUROC, *MAYBE)} | eraser_tensors(vector)
    tensors = {name: tensor.contiguous() for name, tensor in named.items() if tensor is not None}
    metadata = {"format": FORMAT, "card": json.dumps(_card(vector), ensure_ascii=False)}
    try:
        with temporary_beside(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)
            publish(temporary, path, over=None if new else is_vector_file)
    except FileExistsError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
        raise SteeringError(
            f"The vector cannot be written to '{path}': {getattr(error, 'strerror', None) or error}.",
            "a file in a folder that you may write to, with room on its disk.",
            "Choose another place.",
        ) from error
    return path


def is_vector_file(path: Path) -> bool:
    """Whether a file says of itself that it is a vector of the workbench."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError, ValueError):
        return False


def _card(vector: SteeringVector) -> dict[str, Any]:
    feature = {"feature": asdict(vector.feature)} if vector.feature else {}
    return {
        "version": FORMAT_VERSION if feature else 2,
        "name": vector.name,
        "operations": _operations(vector),
        "site": vector.site,
        "blocks": vector.n_blocks,
        "width": vector.width,
        "default_block": vector.default_block,
        "default_block_reason": vector.default_block_reason,
        "suggested_strength": vector.suggested_strength,
        "conventions": CONVENTIONS | _conventions(vector),
        "provenance": asdict(vector.provenance),
        **feature,
    }


def _conventions(vector: SteeringVector) -> dict[str, str]:
    """What is otherwise than of a vector that was read off the model."""
    if vector.feature:
        return FEATURE_CONVENTIONS
    return TRAINED_CONVENTIONS if vector.provenance.trained else {}


def _operations(vector: SteeringVector) -> list[str]:
    """The modes of a recipe that the vector's content allows."""
    counted_from = ["affine", "clamp"] if vector.references is not None else []
    of_feature = ["feature_clamp", "feature_scale", "feature_off"] if vector.feature else []
    return ["add", "ablate", "rotate", *counted_from, *(["erase"] if vector.eraser else []), *of_feature]


def load_vector(path: str | Path) -> SteeringVector:
    """Read a vector file; only tensors and JSON are read, nothing is executed.

    Raises:
        SteeringError: No such file, another kind of file, a newer format, or contents that contradict each other.
    """
    path = Path(path)
    if not is_file(path):
        raise SteeringError(f"There is no file '{path}'.", "a vector saved by the workbench.", "Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise _foreign(path, str(error)) from error
    if metadata.get("format") != FORMAT:
        raise _foreign(path, "it does not say that it is one")
    try:
        return _from_file(path, json.loads(metadata["card"]), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        what = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise _foreign(path, f"its card cannot be read ({what})") from error


def _from_file(path: Path, card: dict[str, Any], tensors: dict[str, Tensor]) -> SteeringVector:
    if card["version"] not in (1, 2, FORMAT_VERSION):
        raise SteeringError(
            f"The vector file has format version {card['version']}.",
            f"version {FORMAT_VERSION}.",
            "Update the workbench, or extract the vector again.",
        )
    shape = tuple(tensors["directions"].shape)
    said = (card.get("blocks", shape[0]), card.get("width", shape[-1]))
    if shape != said:
        raise _foreign(path, f"its card says {said[0]} blocks × width {said[1]}, its tensors have shape {shape}")
    if shape[0] > MOST_BLOCKS:
        raise _foreign(path, f"it has {shape[0]:,} blocks, and no model has more than {MOST_BLOCKS:,}")
    strength = float(card["suggested_strength"])
    if not math.isfinite(strength):
        raise _foreign(path, "its suggested strength is not finite")
    provenance = _PROVENANCE.validate_json(json.dumps(card["provenance"]))
    parts = [tensors[f"eraser_{name}"] for name in ("left", "right", "mean") if f"eraser_{name}" in tensors]
    return SteeringVector(
        name=str(card["name"]),
        site=card["site"],
        default_block=int(card["default_block"]),
        default_block_reason=str(card["default_block_reason"]),
        suggested_strength=strength,
        provenance=provenance,
        eraser=Eraser(*parts) if parts else None,
        feature=_FEATURE.validate_json(json.dumps(card.get("feature"))),
        directions=tensors["directions"],
        mean_differences=tensors["mean_differences"],
        residual_norms=tensors["residual_norms"],
        **{name: tensors.get(name) for name in (*AUROC, *MAYBE)},
    )


def _foreign(path: Path, reason: str) -> SteeringError:
    return SteeringError(
        f"'{path.name}' is no vector file: {reason}.",
        "a safetensors file written by the workbench.",
        "Choose another file. Another tool's direction goes on the shelf first: workbench import.",
    )
