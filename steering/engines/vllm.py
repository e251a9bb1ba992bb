"""A recipe as a folder that vLLM finds as its plugin: the edits by block, the code that applies them, and a note."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from steering.engines import vllm_plugin
from steering.engines.block_edits import BlockEdit, block_edits
from steering.engines.notes import vllm_note
from steering.engines.parity import check_same, logits_of_the_bare_model, logits_under
from steering.errors import SteeringError
from steering.lane import Job, whole
from steering.model.host import Host
from steering.own_files import check_replaceable
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.recipes.writes import Vectors


MODULE, EDITS, NOTE = "steering_edits.py", "edits.safetensors", "README.md"
_FOUND = "steering_edits-1.dist-info"
"""What makes Python list an entry point of a folder on its path, without anything being installed."""
_ENTRY = "[vllm.general_plugins]\nsteering_edits = steering_edits:register\n"
_METADATA = (
    "Metadata-Version: 2.1\nName: steering-edits\nVersion: 1\nSummary: Edits of a recipe of Steering Workbench\n"
)


def save_for_vllm(recipe: Recipe, host: Host, vectors: Vectors, folder: str | Path) -> Path:
    """Write a recipe for vLLM, and read it back: its hooks on the plain model must give the logits of the recipe here.

    Args:
        recipe: Additions and ablations at block outputs, on every token.
        host: The model that vLLM is going to serve.
        vectors: By name, at least those that the recipe names.
        folder: New or empty, or one that was written so before.

    Raises:
        SteeringError: What does not carry over, by intervention; a folder of somebody else's or that cannot be written;
            hooks that do not give the recipe's logits.
    """
    folder = Path(folder)
    check_replaceable(folder, f"{_FOUND}/entry_points.txt")
    edits = block_edits(recipe, host, vectors)
    try:
        (folder / _FOUND).mkdir(parents=True, exist_ok=True)
        _save(edits, host, folder / EDITS)
        shutil.copyfile(vllm_plugin.__file__, folder / MODULE)
        (folder / _FOUND / "METADATA").write_text(_METADATA, encoding="utf-8")
        (folder / _FOUND / "entry_points.txt").write_text(_ENTRY, encoding="utf-8")
        (folder / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
        (folder / NOTE).write_text(vllm_note(recipe, host, vectors, edits), encoding="utf-8")
    except OSError as error:
        raise SteeringError(
            f"'{folder}' cannot be written: {error.strerror or error}.",
            "a folder that you may write to, with room on its disk.",
            "Choose another place.",
        ) from error
    try:
        _check(recipe, host, vectors, folder / EDITS)
    except SteeringError:
        shutil.rmtree(folder)
        raise
    return folder


def _save(edits: Sequence[BlockEdit], host: Host, path: Path) -> None:
    names = [f"{number:03}.block{edit.block}.{edit.kind}" for number, edit in enumerate(edits)]
    steps = [
        {"tensor": name, "block": edit.block, "kind": edit.kind, "share": edit.share}
        for name, edit in zip(names, edits, strict=True)
    ]
    said = {"model": host.name, "blocks": host.info.blocks, "width": host.info.width, "path": host.sites.blocks_path}
    told = {"format": vllm_plugin.FORMAT, "version": "1", "edits": json.dumps({**said, "steps": steps})}
    rows = {name: edit.rows.cpu().contiguous() for name, edit in zip(names, edits, strict=True)}
    save_file(rows, path, metadata=told)


def _check(recipe: Recipe, host: Host, vectors: Vectors, path: Path) -> None:
    edits = vllm_plugin.read(path)
    plan = plan_of(recipe, recipe.on(host), vectors)

    def work(job: Job[torch.Tensor]) -> torch.Tensor:
        with whole():  # nobody else may meet the hooks
            handles = vllm_plugin.install(host.model._module, edits, host.sites.blocks_path)
            try:
                return logits_of_the_bare_model(host)
            finally:
                for handle in handles:
                    handle.remove()

    found = host.run(work, title="Reading the export back")
    check_same(host, found, logits_under(host, plan), "The exported hooks", remedy="Run the recipe in the workbench.")
