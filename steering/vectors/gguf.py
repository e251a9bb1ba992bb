"""Control vectors as llama.cpp and repeng know them: GGUF files of what is added at the output of each block.

`direction.N` is added to the output of block N, counted from 0; llama.cpp takes none for block 0. Only an addition at
the block output can be told in such a file, and neither its scale nor its site is written down in it: so the workbench
puts its own card beside the tensors, which other programs leave alone. llama.cpp adds before the final norm, as the
workbench does; of what repeng and others read from `hidden_states`, the last block's lies behind it
(`steering.vectors.card.LAST_BLOCK`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from steering.errors import SteeringError
from steering.own_files import publish, temporary_beside
from steering.paths import is_file
from steering.vectors.foreign import MOST_BLOCKS
from steering.vectors.vector import Provenance, SteeringVector


ARCHITECTURE = "controlvector"
_MOST_FIELDS = 1000
_CARD = "steering_workbench.card"


def save_gguf(vector: SteeringVector, path: str | Path, lengths: Mapping[int, float] | None = None) -> Path:
    """Write a GGUF control vector.

    Args:
        vector: What to write.
        path: Where to; the file appears whole or not at all.
        lengths: What llama.cpp adds at scale 1, block -> length in raw units, as
            `steering.recipes.control_vectors.control_lengths` works it out of an intervention; `mean_differences` where
            None.

    Raises:
        SteeringError: The vector is not one of the block output, or adds nothing there.
    """
    _at_the_output(vector)
    lengths = mean_differences(vector) if lengths is None else lengths
    if not any(lengths.values()):
        raise not_additive("nothing is added at the blocks from 1 on")
    rows = {block: length * vector.directions[block] for block, length in lengths.items()}
    card = {"name": vector.name, "blocks": vector.n_blocks, "lengths": lengths}
    card |= {"warnings": vector.provenance.warnings}
    return save_rows(rows, path, hint=vector.provenance.architecture, card=card)


def save_rows(rows: Mapping[int, torch.Tensor], path: str | Path, *, hint: str, card: Mapping[str, Any]) -> Path:
    """Write what is added at each block as a control vector.

    Args:
        rows: Block -> what llama.cpp adds at scale 1, raw units, (width,).
        path: Where to; the file appears whole or not at all.
        hint: The model's architecture.
        card: What the workbench writes down beside it: at least `name` and `blocks`, how many the model has.

    Raises:
        SteeringError: Something of somebody else's is there, or the place cannot be written.
    """
    path = Path(path)
    try:
        with temporary_beside(path) as temporary:
            _write(rows, temporary, hint, card)
            publish(temporary, path, over=_is_ours)
    except OSError as error:
        raise SteeringError(
            f"The control vector cannot be written to '{path}': {error.strerror or error}.",
            "a file in a folder that you may write to, with room on its disk.",
            "Choose another place.",
        ) from error
    return path


def _write(rows: Mapping[int, torch.Tensor], path: Path, hint: str, card: Mapping[str, Any]) -> None:
    writer = GGUFWriter(path, ARCHITECTURE)
    writer.add_string(f"{ARCHITECTURE}.model_hint", hint.lower())
    writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(rows))
    writer.add_string(_CARD, json.dumps(card))
    for block, row in rows.items():
        writer.add_tensor(f"direction.{block}", row.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(65536)
    return head.startswith(b"GGUF") and _CARD.encode() in head


def mean_differences(vector: SteeringVector) -> dict[int, float]:
    """One mean difference at all blocks from 1 on, raw units: llama.cpp takes no direction for block 0."""
    return {block: float(vector.mean_differences[block]) for block in range(1, vector.n_blocks)}


def feature_note(vector: SteeringVector) -> str:
    """What a control vector cannot tell of a vector that is a feature; "" for any other."""
    if vector.feature is None:
        return ""
    return (
        f"Such a file holds the direction alone: that it is {vector.feature.words} is lost, and with it that its "
        "activation can be clamped, scaled or switched off. A .safetensors file keeps it."
    )


def _at_the_output(vector: SteeringVector) -> None:
    if vector.site != "block_output":
        raise not_additive("it is written elsewhere than at the block output")


def not_additive(reason: str) -> SteeringError:
    """Why something cannot be told in a control vector."""
    return SteeringError(
        f"This cannot be told in a GGUF control vector: {reason}.",
        "an addition at the output of blocks from 1 on, at every token.",
        "Save it as a vector file or a recipe instead.",
    )


class _Reader(GGUFReader):
    """The reader, told by a file's own counts when to stop: it would follow any that fits into 64 bits."""

    def _build_fields(self, offs: int, count: int) -> int:
        if count > _MOST_FIELDS:
            raise ValueError(f"it says that it has {count} fields")
        fields: int = super()._build_fields(offs, count)
        return fields

    def _build_tensor_info(self, offs: int, count: int) -> Any:
        if count > MOST_BLOCKS:
            raise ValueError(f"it says that it has {count} tensors")
        return super()._build_tensor_info(offs, count)

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type == GGUFValueType.ARRAY:
            kind, count = int(self._get(orig_offs, np.uint32)[0]), int(self._get(orig_offs + 4, np.uint64)[0])
            if kind == GGUFValueType.ARRAY or count > _MOST_FIELDS:
                raise ValueError(f"it has a list of {count} items or of lists, which no control vector needs")
        return super()._get_field_parts(orig_offs, raw_type)


def _block(tensor: Any) -> int:
    number = tensor.name.removeprefix("direction.")
    if not number.isascii() or not number.isdigit() or len(number) > 5 or int(number) >= MOST_BLOCKS:
        raise ValueError(f"it has a tensor '{tensor.name[:40]}'")
    return int(number)


def _numbers(tensor: Any) -> torch.Tensor:
    if tensor.data.dtype.kind != "f":
        raise ValueError(f"{tensor.name} is quantised")
    return torch.from_numpy(tensor.data.copy()).float()


def _rows(reader: _Reader) -> dict[int, torch.Tensor]:
    architecture = reader.get_field("general.architecture")
    if architecture is None or architecture.contents() != ARCHITECTURE:
        raise ValueError("its architecture is not 'controlvector'")
    return {_block(tensor): _numbers(tensor) for tensor in reader.tensors if tensor.name.startswith("direction.")}


def written_rows(path: Path) -> dict[int, torch.Tensor]:
    """What a control vector that was just written adds at each block, float32, (width,)."""
    return _rows(_Reader(path))


def load_gguf(path: str | Path, *, blocks: int | None = None, name: str | None = None) -> SteeringVector:
    """Read a GGUF control vector: 1 x mean difference is what the file adds at scale 1.

    A block without a direction, such as block 0, gets that of its nearest neighbour with length 0: adding it does
    nothing. What the file does not say, such as residual norms, is 0 or absent.

    Args:
        path: The file.
        blocks: Blocks of the model it is for; the last one named plus 1 where None.
        name: What to call the vector; its own name or the file's where None.

    Raises:
        SteeringError: No such file, no control vector, or tensors that contradict each other.
    """
    path = Path(path)
    if not is_file(path):
        raise SteeringError(f"There is no file '{path}'.", "a GGUF control vector.", "Check the path.")
    try:
        reader = _Reader(path)
        found = _rows(reader)
        hint, card = (reader.get_field(key) for key in (f"{ARCHITECTURE}.model_hint", _CARD))
        said = json.loads(card.contents()) if card else {}
        return _vector(path, found, said, hint.contents() if hint else "", blocks or said.get("blocks"), name)
    except SteeringError:
        raise
    except Exception as error:  # the reader raises whatever a broken file leads it to
        raise SteeringError(
            f"'{path.name}' is no control vector: {error}.",
            "a GGUF file of architecture controlvector with tensors direction.1, direction.2 and so on.",
            "Choose another file.",
        ) from error


def _vector(
    path: Path, found: dict[int, torch.Tensor], said: dict[str, Any], hint: str, blocks: int | None, name: str | None
) -> SteeringVector:
    shapes = {tuple(direction.shape) for direction in found.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(f"its directions have shapes {sorted(shapes)}" if shapes else "it has no directions")
    lengths = {block: float(direction.norm()) for block, direction in found.items()}
    if not all(math.isfinite(length) for length in lengths.values()):
        raise ValueError("a direction is not finite")
    # As repeng writes it, a block of zeros is one where nothing is added.
    lengths = {block: length for block, length in lengths.items() if length}
    found = {block: found[block] for block in lengths}
    if not found:
        raise ValueError("all of its directions are zero")
    n_blocks = blocks or max(found) + 1
    if not isinstance(n_blocks, int) or not max(found) < n_blocks <= MOST_BLOCKS:
        raise ValueError(f"it has a direction for block {max(found)}, and {n_blocks!r} blocks were told")
    nearest = [min(found, key=lambda block: abs(block - wanted)) for wanted in range(n_blocks)]
    middle = min(found, key=lambda block: abs(block - (n_blocks - 1) / 2))
    return SteeringVector(
        name=name or said.get("name") or path.stem,
        directions=torch.stack([found[block] / lengths[block] for block in nearest]),
        mean_differences=torch.tensor([lengths.get(block, 0.0) for block in range(n_blocks)]),
        residual_norms=torch.zeros(n_blocks),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site="block_output",
        default_block=middle,
        default_block_reason="the one nearest to the middle that the file has",
        suggested_strength=1.0,
        provenance=Provenance.made_elsewhere(
            method="imported from GGUF", architecture=hint, warnings=tuple(map(str, said.get("warnings", ())))
        ),
    )
