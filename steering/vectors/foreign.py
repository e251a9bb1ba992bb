"""Directions that other tools have written: tensors whose file says little, read with what it says and what is told.

Known by their looks: persona vectors (`*_avg_diff.pt`, a row a hidden state, row 0 of the embeddings; Chen et al. 2025,
arXiv 2507.21509) and the refusal direction (`direction.pt` with `direction_metadata.json` beside it: one vector at the
input of a block; Arditi et al. 2024, arXiv 2406.11717). Any other file is a tensor, one row or a row a layer, or a
mapping from layers to tensors. Nothing in a file is executed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.sites import SITES
from steering.paths import is_file
from steering.vectors.foreign_layouts import MOST_BLOCKS, Convention, First, recognised
from steering.vectors.tensor_files import ENDINGS, bound, read_tensors, without_notes
from steering.vectors.vector import Provenance, SteeringVector


__all__ = ["ENDINGS", "MOST_BLOCKS", "Convention", "load_foreign"]


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
    if not is_file(path):
        raise SteeringError(f"There is no file '{path}'.", f"a file ending in {', '.join(ENDINGS)}.", "Check the path.")
    content = read_tensors(path)
    content, left = without_notes(content)
    given, notes = recognised(path, content, given)
    notes += [f"Not read: {', '.join(left)}, which are no vectors."] if left else []
    rows = _rows(path, content, given.tensor)
    placed = _placed(path, rows, given, left)
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


def _rows(path: Path, content: Any, name: str) -> dict[int, Tensor] | Tensor:
    """One vector, or a vector a layer by its number in the file."""
    if isinstance(content, Mapping) and name:
        key = next((key for key in content if str(key) in (name, name.rpartition("/")[0])), None)
        if key is None:
            raise _unfit(path, f"it has no tensor '{name[:60]}', but {_names(content)}")
        content, name = content[key], "" if str(key) == name else name.rpartition("/")[2]
    if isinstance(content, Mapping):
        if len(content) == 1 and _number(next(iter(content))) is None:
            return _rows(path, next(iter(content.values())), "")
        numbers = [_number(key) for key in content]
        if None in numbers or len(set(numbers)) < len(numbers) or not content:
            raise _unfit(path, f"it holds {_names(content)}, and which is meant is not told", "Name one with --tensor.")
        content = dict(zip(numbers, content.values(), strict=True))
    elif isinstance(content, list | tuple):
        content = {number: row for number, row in enumerate(content) if row is not None}
    elif isinstance(content, Tensor):
        content = _layers(path, content, name)
    if isinstance(content, dict):
        if not content or len(content) > MOST_BLOCKS + 1:
            raise _unfit(path, f"it has {len(content)} layers")
        rows = {int(number): _row(path, row) for number, row in content.items()}
        if len({row.shape for row in rows.values()}) > 1:
            raise _unfit(path, "its layers differ in width")
        return rows
    return _row(path, content)


def _layers(path: Path, content: Tensor, name: str) -> Tensor | dict[int, Tensor]:
    """A tensor's rows, or the vector that it is, or that its entry `name` is."""
    bound(content.numel())  # one number may stand for any many
    shape = tuple(content.shape)
    if name:
        if not re.fullmatch(r"-?[0-9]{1,9}", name) or not shape or not -shape[0] <= int(name) < shape[0]:
            raise _unfit(path, f"it has shape {shape}, and no entry '{name[:60]}'", "Name an entry by its number.")
        content = content[int(name)]
    if content.ndim > 2:
        content = content.squeeze()
    if content.ndim == 3:
        raise _unfit(
            path,
            f"it has shape {shape}, a row a layer for each of {shape[0]} positions or concepts",
            "Say which (on the command line: --tensor=-1 for the last).",
        )
    if content.ndim != 2 or len(content) == 1:
        return content
    if len(content) > content.shape[1] > 1:
        raise _unfit(
            path, f"it has shape {shape}, more rows than a row is wide", "Transpose it, or name one row with --tensor."
        )
    return dict(enumerate(content)) if content.shape[1] > 1 else content


def _row(path: Path, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise _unfit(path, f"it holds a {type(value).__name__}")
    bound(value.numel())  # one number may stand for any many
    row = value.detach().squeeze()
    if row.ndim != 1 or row.is_complex() or row.is_quantized or row.dtype == torch.bool:
        raise _unfit(path, f"it has shape {tuple(value.shape)} and numbers of the kind {value.dtype}")
    row = row.float().clone()
    if not torch.isfinite(row).all():
        raise _unfit(path, "some of its numbers are not finite")
    return row


def _number(key: Any) -> int | None:
    """The layer that a key names: 12, "12", "layer_12", "model.layers.12"; below 0 it counts from the last one."""
    text = str(key)[:200].strip()
    if re.fullmatch(r"-[0-9]{1,5}", text):
        return int(text)
    found = re.findall(r"\d+", text)
    return int(found[0]) if len(found) == 1 and len(found[0]) < 6 else None


def _placed(path: Path, rows: dict[int, Tensor] | Tensor, given: Convention, told: list[str]) -> dict[int, Tensor]:
    """Vectors by block, those of the embeddings left out."""
    if isinstance(rows, Tensor):
        if given.block is None or given.blocks is None:
            numbers = ", ".join(each for each in told if each.endswith(")"))
            said = f" It says {numbers}, as its own tool counts." if numbers else ""
            missing = [name for name in ("block", "blocks") if getattr(given, name) is None]
            raise SteeringError(
                f"'{path.name}' holds one vector of width {len(rows)}, and not which block it is for.{said}",
                f"{' and '.join(missing)}: its block, counted from 0, and how many blocks the model has.",
                f"Give it (on the command line: {' '.join(f'--{name} N' for name in missing)}).",
            )
        rows, first = {given.block: rows}, "block"
    elif min(rows) < 0:
        rows, first = _from_the_end(path, rows, given), "block"
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


def _from_the_end(path: Path, rows: dict[int, Tensor], given: Convention) -> dict[int, Tensor]:
    """Layers that RepE and others count from the last: -1 is the last block, with embeddings in front or without."""
    if max(rows) >= 0:
        raise _unfit(path, f"its layers {min(rows)} to {max(rows)} are counted from both ends")
    if given.blocks is None:
        raise SteeringError(
            f"'{path.name}' counts its layers from the last one: {min(rows)} to {max(rows)}.",
            "how many blocks the model has.",
            "Give it (on the command line: --blocks N).",
        )
    if -min(rows) > given.blocks + 1:
        raise _unfit(path, f"it has a layer {min(rows)}, and the model has {given.blocks} blocks")
    return {given.blocks + number: row for number, row in rows.items() if given.blocks + number >= 0}


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
    if given.site == "block_output" and len(placed) > 1 and blocks - 1 in placed:
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
