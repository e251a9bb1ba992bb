"""What all opponents do alike: the model as it is loaded, batches, and what `generate` is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


BATCH = 32
"""Prompts of a sweep or an extraction that are read together."""


def load(folder: str) -> Any:
    """The model in float32, or in bfloat16 on a GPU, whose generation ends at no token."""
    from transformers import AutoModelForCausalLM, GenerationConfig

    gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model = model.to("cuda" if gpu else "cpu", torch.bfloat16 if gpu else torch.float32)
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=None)
    return model.requires_grad_(False)


def tokenizer(folder: str) -> Any:
    """The model's tokenizer, read as a bare file, since its configuration may name classes of another version."""
    from transformers import PreTrainedTokenizerFast

    read = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    read.pad_token = read.convert_ids_to_tokens(0)
    read.padding_side = "left"
    return read


def asked(model: Any, task: dict[str, Any]) -> dict[str, Tensor]:
    """The prompt of a decoding task, as often as the batch is large."""
    ids = torch.tensor([task["ids"]] * task["batch"], device=model.device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def how(task: dict[str, Any]) -> dict[str, Any]:
    """What `generate` is told of a decoding task."""
    drawn = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 0} if task["sampled"] else {}
    return {"max_new_tokens": task["new_tokens"], "do_sample": False, **drawn}


def new_tokens(task: dict[str, Any], ids: Tensor) -> list[list[int]]:
    """The replies alone."""
    tokens: list[list[int]] = ids[:, len(task["ids"]) :].tolist()
    return tokens


def direction(model: Any, task: dict[str, Any]) -> Tensor:
    """What is added at full strength, (width,)."""
    return torch.tensor(task["direction"], device=model.device, dtype=model.dtype)


def padded(prompts: Sequence[Sequence[int]], device: Any) -> dict[str, Tensor]:
    """Prompts padded on the left, with the places of their tokens."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[*[0] * (longest - len(each)), *each] for each in prompts], device=device)
    mask = torch.tensor([[*[0] * (longest - len(each)), *[1] * len(each)] for each in prompts], device=device)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}


def chances(model: Callable[..., Any], task: dict[str, Any], device: Any) -> list[list[float]]:
    """Probability that a reply begins with each letter, (prompt, letter)."""
    rows: list[list[float]] = []
    for start in range(0, len(task["prompts"]), BATCH):
        with torch.no_grad():
            logits = model(**padded(task["prompts"][start : start + BATCH], device)).logits[:, -1]
        found = torch.softmax(logits.double(), dim=-1)
        rows += torch.stack([found[:, tokens].sum(dim=-1) for tokens in task["letters"]], dim=1).tolist()
    return rows
