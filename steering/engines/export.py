"""One door to every engine that a recipe can be written for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from steering.engines.checkpoint import save_checkpoint
from steering.engines.llama_cpp import save_for_llama_cpp
from steering.engines.vllm import save_for_vllm
from steering.errors import SteeringError
from steering.model.host import Host
from steering.own_files import check_replaceable
from steering.recipes.recipe import Recipe
from steering.recipes.writes import Vectors


Engine = Literal["vllm", "gguf", "checkpoint"]
_SAVED = {"vllm": save_for_vllm, "gguf": save_for_llama_cpp, "checkpoint": save_checkpoint}
_USE = {
    "vllm": "PYTHONPATH={0} vllm serve MODEL --enforce-eager",
    "gguf": "llama-server -m MODEL.gguf --control-vector {0}",
    "checkpoint": "It loads as any folder of a model does; README.md in it says what it is.",
}


def export_recipe(to: str, recipe: Recipe, host: Host, vectors: Vectors, out: str | Path) -> list[str]:
    """Write a recipe for an engine, read it back, and say what was written and how it is used.

    Args:
        to: vllm (a folder with a plugin), gguf (a control vector of llama.cpp) or checkpoint (a folder of weights).
        recipe: What to apply.
        host: The model that the engine is going to run.
        vectors: By name, at least those that the recipe names.
        out: The file or folder.

    Raises:
        SteeringError: What `check_place` and the three `save_…` raise.
    """
    check_place(to, out)
    path = _SAVED[to](recipe, host, vectors, out)
    return [f"Written to {path}, and read back.", _USE[to].format(path)]


def check_place(to: str, out: str | Path) -> None:
    """Raise what stands against an export before a model is loaded for it.

    Raises:
        SteeringError: No such engine, another ending than .gguf, or a folder that holds something already.
    """
    if to not in _SAVED:
        raise SteeringError(f"A recipe for '{to[:40]}' was asked for.", f"one of {', '.join(get_args(Engine))}.")
    if (Path(out).suffix == ".gguf") != (to == "gguf"):
        kind = "a file whose name ends in .gguf" if to == "gguf" else "a folder"
        raise SteeringError(f"'{out}' was to be written for {to}.", f"{kind}.", "Choose another name.")
    if to == "checkpoint":
        check_replaceable(Path(out))
