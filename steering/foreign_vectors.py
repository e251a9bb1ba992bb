"""Directions that other tools have written: tensors whose file says little, read with what it says and what is told.

Known by their looks: persona vectors (`*_avg_diff.pt`, a row a hidden state, row 0 of the embeddings; Chen et al. 2025,
arXiv 2507.21509) and the refusal direction (`direction.pt` with `direction_metadata.json` beside it: one vector at the
input of a block; Arditi et al. 2024, arXiv 2406.11717). Any other file is a tensor, one row or a row a layer, or a
mapping from layers to tensors. Nothing in a file is executed.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from steering.errors import SteeringError
from steering.sites import SITES, Site
from steering.vectors import Provenance, SteeringVector


ENDINGS = (".pt", ".pth", ".bin", ".npy", ".safetensors")
_OBJECTS = ("weights_only", "Weights only", "Python objects")
"""What the readers say of files that would run code."""
MOST_BLOCKS = 4096
MOST_NUMBERS = 64_000_000
"""Of a file; a vector of the largest models has two million."""
First = Literal["block", "embeddings"]
"""What row or layer 0 is: the output of the first block, or the embeddings in front of it."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What a file does not say of itself."""

    first: First | None = None
    """What row 0 of several is; asked for where the number of blocks does not tell."""
    block: int | None = None
    """Block of a single vector."""
    blocks: int | None = None
    """Blocks of the model."""
    site: Site = "block_output"
    """Where it was read."""
    sign: int = 1
    """-1 turns it round: its positive side should be what adding it brings."""
    scale: float = 1.0
    """What it is multiplied by; then 1 x mean difference adds it as it is."""
    tensor: str = ""
    """Which tensor of a file with several."""


def load_foreign(path: str | Path, given: Convention | None = None) -> tuple[SteeringVector, tuple[str, ...]]:
    """Read a direction of another tool.

    A block for which the file has none gets its nearest neighbour's with length 0: adding it does nothing.

    Args:
        path: A file with one of `ENDINGS`.
        given: What the file does not say.

    Returns:
        The vector, and sentences on how the file was understood.

    Raises:
        SteeringError: A file that holds something else, or what has to be said first.
    """
    path, given = Path(path), given or Convention()
    _check(given)
    if not path.is_file():
        raise SteeringError(f"There is no file '{path}'.", f"a file ending in {', '.join(ENDINGS)}.", "Check the path.")
    content = _content(path)
    given, notes = _recognised(path, content, given)
    rows = _rows(path, content, given.tensor)
    placed = _placed(path, rows, given)
    return _vector(path, placed, given), (*notes, *_said(placed, given))


def _check(given: Convention) -> None:
    for name, value in (("block", given.block), ("blocks", given.blocks)):
        if value is not None and not 0 <= value <= MOST_BLOCKS:
            raise SteeringError(f"{name} was given as {value}.", f"a number up to {MOST_BLOCKS}.", "Correct it.")
    if given.first not in (None, "block", "embeddings"):
        raise SteeringError(f"Row 0 was given as '{given.first}'.", "embeddings or block.", "Choose one of these.")
    if given.site not in SITES:
        raise SteeringError(
            f"The site '{given.site}' was given.", f"one of {', '.join(SITES)}.", "Choose one of these."
        )
    if given.sign not in (1, -1) or not math.isfinite(given.scale) or given.scale <= 0:
        raise SteeringError(
            f"The sign {given.sign} and the scale {given.scale} were given.",
            "1 or -1, and a number above 0.",
            "Correct them.",
        )


def _content(path: Path) -> Any:
    """What the file holds: a tensor, or whatever mappings and lists of tensors."""
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.dtype.kind not in "fiu":
                raise ValueError(f"its numbers are of the kind {array.dtype}")
            _bound(array.size)
            return torch.from_numpy(np.array(array, dtype=np.float32))
        if path.suffix.lower() == ".safetensors":
            _bound(path.stat().st_size // 4)
            return load_file(path)
        unpacked = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                unpacked = sum(part.file_size for part in file.infolist())
        _bound(unpacked // 4)
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160].rstrip(". ") or type(error).__name__


def _bound(numbers: int) -> None:
    if numbers > MOST_NUMBERS:
        raise SteeringError(
            f"The file holds up to {numbers:,} numbers.", f"at most {MOST_NUMBERS:,}.", "Save the direction by itself."
        )


def _recognised(path: Path, content: Any, given: Convention) -> tuple[Convention, list[str]]:
    """What the file's looks say, where nothing else was told."""
    persona = path.stem.endswith(("_avg_diff", "_last_diff")) and isinstance(content, Tensor) and content.ndim == 2
    if persona and given.first is None:
        return replace(given, first="embeddings"), ["Read as a persona vector: row 0 is that of the embeddings."]
    card = path.with_name("direction_metadata.json")
    if path.stem == "direction" and given.block is None and card.is_file() and card.stat().st_size < 10_000:
        try:
            layer = json.loads(card.read_text(encoding="utf-8"))["layer"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            layer = None
        if isinstance(layer, int) and 0 <= layer < MOST_BLOCKS:
            found = replace(given, block=layer, site="block_input")
            return found, [f"Read as a refusal direction: at the input of block {layer}, as {card.name} says."]
    return given, []


def _rows(path: Path, content: Any, name: str) -> dict[int, Tensor] | Tensor:
    """One vector, or a vector a layer by its number in the file."""
    if isinstance(content, Mapping) and name:
        if name not in content:
            raise _unfit(path, f"it has no tensor '{name[:60]}', but {_names(content)}")
        content = content[name]
    if isinstance(content, Mapping):
        if len(content) == 1 and not _number(next(iter(content))):
            return _rows(path, next(iter(content.values())), "")
        numbers = [_number(key) for key in content]
        if None in numbers or len(set(numbers)) < len(numbers) or not content:
            raise _unfit(path, f"it holds {_names(content)}, and which is meant is not told", "Name one with --tensor.")
        content = dict(zip(numbers, content.values(), strict=True))
    elif isinstance(content, list | tuple):
        content = dict(enumerate(content))
    elif isinstance(content, Tensor) and content.ndim == 2 and len(content) > 1:
        _bound(content.numel())
        content = dict(enumerate(content))
    if isinstance(content, dict):
        if not content or len(content) > MOST_BLOCKS + 1:
            raise _unfit(path, f"it has {len(content)} layers")
        rows = {int(number): _row(path, row) for number, row in content.items()}
        if len({row.shape for row in rows.values()}) > 1:
            raise _unfit(path, "its layers differ in width")
        return rows
    return _row(path, content)


def _row(path: Path, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise _unfit(path, f"it holds a {type(value).__name__}")
    _bound(value.numel())  # one number may stand for any many
    row = value.detach().squeeze()
    if row.ndim != 1 or row.is_complex() or row.is_quantized or row.dtype == torch.bool:
        raise _unfit(path, f"it has shape {tuple(value.shape)} and numbers of the kind {value.dtype}")
    row = row.float().clone()
    if not torch.isfinite(row).all():
        raise _unfit(path, "some of its numbers are not finite")
    return row


def _number(key: Any) -> int | None:
    """The layer that a key names: 12, "12", "layer_12", "model.layers.12"."""
    found = re.findall(r"\d+", str(key)[:200])
    return int(found[0]) if len(found) == 1 and len(found[0]) < 6 else None


def _placed(path: Path, rows: dict[int, Tensor] | Tensor, given: Convention) -> dict[int, Tensor]:
    """Vectors by block, those of the embeddings left out."""
    if isinstance(rows, Tensor):
        if given.block is None or given.blocks is None:
            missing = [name for name in ("block", "blocks") if getattr(given, name) is None]
            raise SteeringError(
                f"'{path.name}' holds one vector of width {len(rows)}, and not which block it is for.",
                f"{' and '.join(missing)}: its block, counted from 0, and how many blocks the model has.",
                f"Give it (on the command line: {' '.join(f'--{name} N' for name in missing)}).",
            )
        rows, first = {given.block: rows}, "block"
    else:
        first = given.first or _first(path, rows, given)
    shift = 1 if first == "embeddings" else 0
    placed = {number - shift: row for number, row in rows.items() if number >= shift}
    blocks = given.blocks or max(placed, default=-1) + 1
    if not placed or max(placed) >= blocks:
        last = max(placed, default=-1)
        raise _unfit(path, f"it has a vector for block {last}, and the model has blocks 0 to {blocks - 1}")
    kept = {block: row for block, row in placed.items() if float(row.norm()) > 0}
    if not kept:
        raise _unfit(path, "all of its numbers are zero")
    return kept


def _first(path: Path, rows: dict[int, Tensor], given: Convention) -> First:
    """What row 0 is, where the number of blocks tells it."""
    if given.blocks and max(rows) == given.blocks:
        return "embeddings"
    if given.blocks and len(rows) == given.blocks and min(rows) == 0:
        return "block"
    raise SteeringError(
        f"'{path.name}' has vectors for the layers {min(rows)} to {max(rows)}, and not what layer 0 is.",
        "embeddings (as in Hugging Face's hidden states: layer 1 is the first block's output) or block (layer 0 is).",
        "Say what it is (on the command line: --first embeddings or --first block), or give the model's number of "
        "blocks, where that tells it.",
    )


def _vector(path: Path, placed: dict[int, Tensor], given: Convention) -> SteeringVector:
    blocks = given.blocks or max(placed) + 1
    lengths = {block: float(row.norm()) * given.scale for block, row in placed.items()}
    nearest = [min(placed, key=lambda block: abs(block - wanted)) for wanted in range(blocks)]
    middle = given.block if given.block in placed else min(placed, key=lambda block: abs(block - (blocks - 1) / 2))
    settings = {"file": path.name, "sign": given.sign, "scale": given.scale, "first": given.first or ""}
    return SteeringVector(
        name=path.stem,
        directions=torch.stack([given.sign * placed[block] / placed[block].norm() for block in nearest]),
        mean_differences=torch.tensor([lengths.get(block, 0.0) for block in range(blocks)]),
        residual_norms=torch.zeros(blocks),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site=given.site,
        default_block=int(middle),
        default_block_reason="the one that was named" if middle == given.block else "the one nearest to the middle",
        suggested_strength=1.0,
        provenance=Provenance.made_elsewhere(method=f"imported from {path.suffix.lower()}", settings=settings),
    )


def _said(placed: dict[int, Tensor], given: Convention) -> list[str]:
    blocks = given.blocks or max(placed) + 1
    turned = "turned round" if given.sign < 0 else "with the sign that it has"
    scaled = "" if given.scale == 1 else f", times {given.scale:g}"
    said = [f"1 × mean difference adds what the file holds, {turned}{scaled}, at the {given.site.replace('_', ' ')}."]
    if len(placed) > 1 and blocks - 1 in placed:
        said.append(
            "Many tools read the last block's state behind the final norm; then the vector of block "
            f"{blocks - 1} is of another space than the one that it is written to here. Use an earlier block."
        )
    return said


def _names(content: Mapping[Any, Any]) -> str:
    names = ", ".join(repr(str(key)[:40]) for key in list(content)[:6])
    return f"{len(content)} tensors ({names}{', …' if len(content) > 6 else ''})" if content else "no tensors"


def _unfit(path: Path, why: str, remedy: str = "Save the direction by itself.") -> SteeringError:
    return SteeringError(
        f"'{path.name}' holds no direction: {why}.",
        "one vector, a row a layer (layer, width), or a mapping from layers to vectors.",
        remedy,
    )
