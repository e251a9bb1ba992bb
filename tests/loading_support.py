"""Tiny model folders with random weights, and what the tests of loading do with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from steering.resources import resource


TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def with_tokenizer(folder: Path) -> Path:
    """Put the demo model's tokenizer into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copy(resource("assets", "models", "demo", name), folder / name)
    return folder


def randomise(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Weights wide enough that an argmax is never a near-tie."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
    return model.eval()


def saved(model: PreTrainedModel, folder: Path) -> Path:
    """A model folder as transformers saves it, with the demo model's tokenizer."""
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    return with_tokenizer(folder)


def edited(folder: Path, **changes: Any) -> Path:
    """A folder whose config.json says something else; None takes a key out."""
    file = folder / "config.json"
    said = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in said.items() if value is not None}))
    return folder
