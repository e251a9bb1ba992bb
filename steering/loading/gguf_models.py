"""GGUF files that hold a whole model: looked at before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import __version__ as transformers_version

from steering.errors import SteeringError
from steering.loading.weight_files import Stored, check_no_pointer, damaged


_OTHERS = {
    "controlvector": "a control vector; the shelf and `workbench import` take it",
    "clip": "the vision tower of a multimodal model (mmproj); its language model lies in another file",
    "adapter": "an adapter; its base has to be named and merged by llama.cpp first",
}
"""What a GGUF file may hold that is no model, by its architecture or type."""


def check_gguf(path: Path) -> Stored:
    """Look through a GGUF file's header.

    Raises:
        SteeringError: It is a Git LFS pointer, cut short, no GGUF file, no model, or of an architecture that
            transformers does not read from GGUF.
    """
    check_no_pointer(path)
    size = path.stat().st_size
    header, kind = _header(path)
    end = header.data_start + max((tensor.offset + tensor.nbytes for tensor in header.tensors), default=0)
    if end > size:
        raise damaged(path, f"it has {size:,} bytes, its header speaks of {end:,}")
    if said := _OTHERS.get(header.architecture) or _OTHERS.get(kind):
        raise SteeringError(f"'{path}' is {said}.", "a GGUF file of a language model.", "Name another file.")
    if header.architecture not in _known():
        raise SteeringError(
            f"'{path}' is of the architecture '{header.architecture}', which transformers {transformers_version} "
            "cannot read from GGUF.",
            f"one of {', '.join(sorted(_known()))}.",
            "Load the same model from safetensors, or install a newer transformers.",
        )
    return Stored(size, None)


def _header(path: Path) -> tuple[Any, str]:
    from transformers.integrations.gguf import GgufHeader, read_gguf_metadata

    try:
        metadata, _ = read_gguf_metadata(str(path))
        return GgufHeader.from_file(str(path)), str(metadata.get("general.type", ""))
    except Exception as error:  # the reader raises whatever a broken file leads it to
        raise damaged(path, str(error).replace(str(path), "it") or type(error).__name__) from error


def _known() -> set[str]:
    from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    return {*GGUF_ARCHS, *GGUF_SUPPORTED_ARCHITECTURES}
