"""The models that are measured: the demo, and random weights with a real vocabulary, which all read from disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bench.opponents.environments import KEPT
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.resources import resource


VOCABULARY = 151_936
"""Of Qwen 2.5 and 3: a real one."""
LOUDER = 4.0
"""Times that the blocks' weights are larger than usual: else a token is followed by itself, whatever is written."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class Model:
    """One that stands on disk."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Shape:
    """Of a random Llama."""

    width: int
    blocks: int
    inner: int
    tied: bool
    gpu: bool = False

    def config(self) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.blocks,
            num_attention_heads=self.width // 64,
            num_key_value_heads=self.width // 64 if self.width < 2048 else 8,
            max_position_embeddings=4096,
            tie_word_embeddings=self.tied,
            bos_token_id=1,
            eos_token_id=None,
            pad_token_id=0,
        )


SHAPES = {
    "random 100 M": Shape(512, 8, 1408, tied=True),
    "random 1 B": Shape(2048, 16, 8192, tied=True, gpu=True),
    "random 8 B": Shape(4096, 32, 14_336, tied=False, gpu=True),
}
GPU_MODELS = tuple(name for name, shape in SHAPES.items() if shape.gpu)
NO_GPU = "there is no GPU on this machine"


def demo_folder() -> Path:
    """Of the demo model."""
    return resource("assets", "models", "demo")


def model(name: str) -> Model:
    """A model by name; random weights are written to disk the first time.

    Args:
        name: "demo", or a key of `SHAPES`.
    """
    if name == "demo":
        return Model(name, demo_folder())
    shape = SHAPES[name]
    folder = KEPT / "models" / f"{name.replace(' ', '-')}-{shape.width}x{shape.blocks}"
    if not (folder / "written").exists():
        _write(shape, folder)
    return Model(name, folder)


def about(name: str) -> str:
    """What a model is."""
    if name == "demo":
        return "the demo model: 6 blocks of width 192, 3,072 tokens"
    shape = SHAPES[name]
    head = "tied to the head" if shape.tied else "beside a head as large"
    embedded = VOCABULARY * shape.width / 1e6
    return (
        f"random weights: {shape.blocks} blocks of width {shape.width}, {VOCABULARY:,} tokens "
        f"({embedded:.0f} M of embeddings, {head})"
    )


def _write(shape: Shape, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    with torch.device("cuda" if shape.gpu else "cpu"):
        made = LlamaForCausalLM(shape.config())
    for weight in made.model.layers.parameters():
        if weight.dim() == 2:
            weight.data.mul_(LOUDER)
    made.to(torch.bfloat16 if shape.gpu else torch.float32).save_pretrained(folder)
    for file in TOKENIZER:
        shutil.copy(demo_folder() / file, folder / file)
    (folder / "written").touch()


@cache
def host(name: str) -> Host:
    """The same on a lane of its own; one host a process and model, in float32, or in bfloat16 on a GPU."""
    demo = Host.load("demo", options=LoadOptions(dtype="float32"))
    if name == "demo":
        return demo
    read = LlamaForCausalLM.from_pretrained(model(name).folder, dtype="auto").to(demo.device)
    return Host.wrap(read, demo.tokenizer, name=name, lane=demo.lane)


@contextmanager
def endless(of: Host) -> Iterator[None]:
    """No token ends a reply, so that every side makes as many."""
    before, of.end_ids = of.end_ids, frozenset()
    try:
        yield
    finally:
        of.end_ids = before


def random_direction(width: int, seed: int = 0) -> Any:
    """A unit vector, (width,)."""
    drawn = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=0)
