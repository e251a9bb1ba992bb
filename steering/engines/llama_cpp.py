"""A recipe as one control vector of llama.cpp: the sum of what is added at each block, strengths folded in."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from steering.engines.block_edits import BlockEdit, block_edits, not_outside
from steering.engines.notes import gguf_note
from steering.errors import SteeringError
from steering.model.host import Host
from steering.own_files import foreign
from steering.recipes.recipe import Recipe
from steering.recipes.writes import Vectors
from steering.vectors.gguf import save_rows, written_rows


def save_for_llama_cpp(recipe: Recipe, host: Host, vectors: Vectors, path: str | Path) -> Path:
    """Write a recipe as a GGUF control vector, and read it back.

    Args:
        recipe: Additions at the outputs of blocks from 1 on, on every token.
        host: The model that llama.cpp is going to run.
        vectors: By name, at least those that the recipe names.
        path: The file, which appears whole or not at all.

    Raises:
        SteeringError: What does not carry over, by intervention; a sum of nothing; a place that cannot be written; a
            file that reads back otherwise.
    """
    path = Path(path)
    if path.is_dir():
        raise foreign(path)
    rows = sums(block_edits(recipe, host, vectors))
    card = {"name": path.stem, "blocks": host.info.blocks, "recipe": recipe.to_json(), "model": host.name}
    card |= {"warnings": list(host.warnings), "note": gguf_note(recipe, host, vectors)}
    save_rows(rows, path, hint=host.info.architecture, card=card)
    back = written_rows(path)
    if back.keys() != rows.keys() or not all(torch.equal(back[block], row) for block, row in rows.items()):
        path.unlink()
        raise SteeringError(f"'{path}' does not read back as what was written.", "a sound disk.", "Write it elsewhere.")
    return path


def sums(edits: tuple[BlockEdit, ...]) -> dict[int, Tensor]:
    """What is added at each block in all, float32, (width,); blocks where that is nothing are left out.

    Raises:
        SteeringError: An ablation, block 0, or additions that cancel everywhere.
    """
    ablated = sorted({edit.block for edit in edits if edit.kind == "ablate"})
    reasons = [f"An ablation (block {', '.join(map(str, ablated))}) depends on the state"] if ablated else []
    if any(edit.block == 0 for edit in edits):
        reasons.append("llama.cpp takes no direction for block 0")
    if reasons:
        raise not_outside(reasons, "additions at the outputs of blocks from 1 on")
    rows: dict[int, Tensor] = {}
    for edit in edits:
        rows[edit.block] = rows.get(edit.block, torch.zeros_like(edit.rows[0])) + edit.rows[0]
    found = {block: row.cpu().contiguous() for block, row in sorted(rows.items()) if row.any()}
    if not found:
        raise not_outside(["Its additions cancel at every block"], "additions that do not cancel")
    return found
