"""Applies the edits of `edits.safetensors` beside it to a model that vLLM serves: at blocks' outputs, on every token.

vLLM finds it by its plugin group `vllm.general_plugins` in every process it starts, where this folder is on PYTHONPATH:

    PYTHONPATH=THIS_FOLDER vllm serve MODEL --enforce-eager

It needs torch and safetensors, which vLLM brings. Written by Steering Workbench; README.md says what carries over.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn


FORMAT = "steering-workbench-block-edits"
"""What the file calls itself in its metadata; its version is 1."""
BLOCKS = "STEERING_BLOCKS"
"""Environment variable: dotted path of the list of decoder blocks, where it cannot be told which of several it is."""
MARK = "steering_edits"


@dataclass(frozen=True)
class Edits:
    """What is done at each block's output."""

    model: str
    """Name of the model that it was made for."""
    blocks: int
    """How many the model has."""
    width: int
    path: str
    """Of the list of blocks in transformers."""
    steps: dict[int, list[tuple[str, Tensor, float]]]
    """Block -> (kind, rows, share), in order; rows (n, width)."""

    def __call__(self, block: int, states: Tensor) -> Tensor:
        """New states at a block's output, (..., width), in the dtype given; the sums are float32."""
        if states.shape[-1] != self.width:
            raise ValueError(f"states of width {states.shape[-1]} at block {block}, where the edits have {self.width}")
        new = states if states.dtype == torch.float64 else states.float()
        for kind, rows, share in self.steps.get(block, ()):
            own = rows.to(new.device, new.dtype)
            new = new + own[0] if kind == "add" else new - share * (new @ own.T) @ own
        return new.to(states.dtype)


def read(path: str | Path) -> Edits:
    """Read a file of edits.

    Raises:
        ValueError: The file is another one.
    """
    with safe_open(path, framework="pt") as file:
        told = file.metadata() or {}
        if told.get("format") != FORMAT or told.get("version") != "1":
            raise ValueError(f"'{path}' is no file of block edits, version 1")
        said = json.loads(told["edits"])
        steps: dict[int, list[tuple[str, Tensor, float]]] = {}
        for each in said["steps"]:
            step = each["kind"], file.get_tensor(each["tensor"]), float(each["share"])
            steps.setdefault(each["block"], []).append(step)
    return Edits(said["model"], said["blocks"], said["width"], said["path"], steps)


def blocks_of(model: nn.Module, edits: Edits, path: str = "") -> nn.ModuleList:
    """The list of decoder blocks.

    Args:
        model: Of vLLM or transformers.
        edits: They say how many blocks there are.
        path: Where the list is; looked for where empty.

    Raises:
        ValueError: No list of that length, or several.
    """
    lists = {name: each for name, each in model.named_modules() if isinstance(each, nn.ModuleList)}
    if path:
        fitting = {name: each for name, each in lists.items() if name == path and len(each) == edits.blocks}
    else:
        fitting = {name: each for name, each in lists.items() if len(each) == edits.blocks}
        fitting = {name: fitting[name] for name in fitting if not any(name.startswith(f"{o}.") for o in fitting)}
        fitting = {edits.path: fitting[edits.path]} if edits.path in fitting else fitting
    if len(fitting) != 1:
        raise ValueError(
            f"one list of {edits.blocks} decoder blocks was expected in {type(model).__name__}, there are: "
            f"{', '.join(fitting) or 'none'} (of {', '.join(f'{n}: {len(m)}' for n, m in lists.items())}); "
            f"{BLOCKS} can name it"
        )
    return next(iter(fitting.values()))


def install(model: nn.Module, edits: Edits, path: str = "") -> list[Any]:
    """Put the edits on a model; gives handles whose `remove()` takes them off again."""
    blocks = blocks_of(model, edits, path)
    return [
        blocks[block].register_forward_hook(_hook(edits, block)) for block in edits.steps if _is_here(blocks[block])
    ]


def _is_here(block: nn.Module) -> bool:
    """Where layers are divided among processes, vLLM has placeholders for those of others."""
    return type(block).__name__ != "PPMissingLayer"


def _hook(edits: Edits, block: int) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return edits(block, output)
        first, *rest = output
        beside = rest[0] if len(rest) == 1 else None
        if not isinstance(beside, Tensor) or beside.shape != first.shape:
            return (edits(block, first), *rest)
        # vLLM's blocks give what their MLP adds and the stream before it; the next norm adds the two. The edited stream
        # goes into the first and zeros into the second, so that half precision rounds once.
        stream = edits(block, first.float() + beside.float())
        return stream.to(first.dtype), torch.zeros_like(beside)

    return hook


def register() -> None:
    """What vLLM calls in every process before it loads a model."""
    from vllm.model_executor.model_loader import BaseModelLoader  # and with it all of vLLM's own

    for loader in (BaseModelLoader, *_below(BaseModelLoader)):
        load = vars(loader).get("load_model")
        if load is not None and not hasattr(load, MARK):
            loader.load_model = _edited(load)


def _below(kind: type[Any]) -> list[type[Any]]:
    return [found for each in kind.__subclasses__() for found in (each, *_below(each))]


def _edited(load: Any) -> Any:
    def load_model(self: Any, vllm_config: Any, model_config: Any, *args: Any, **kwargs: Any) -> Any:
        model = load(self, vllm_config, model_config, *args, **kwargs)
        if model_config is not vllm_config.model_config or hasattr(model, MARK):
            return model  # a small model that drafts for it, or one that a loader above this one has given
        _check(model_config)
        edits = read(Path(__file__).with_name("edits.safetensors"))
        setattr(model, MARK, install(model, edits, os.environ.get(BLOCKS, "")))
        print(f"Steering Workbench: edits at blocks {', '.join(map(str, edits.steps))}, made for {edits.model}")
        return model

    setattr(load_model, MARK, True)
    return load_model


def _check(model_config: Any) -> None:
    """Refuse what would leave the edits out without a word: compiled code and CUDA graphs run no hooks."""
    if not model_config.enforce_eager:
        raise RuntimeError(
            "Steering Workbench's edits are hooks, which compiled graphs would leave out: start vLLM with "
            "--enforce-eager (enforce_eager=True)."
        )
