"""Folders of tiny random-weight models with the demo tokenizer and a chat template of one's choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steering.resources import resource
from tests.conftest import tiny_model


def odd_model(folder: Path, template: str | None, architecture: str = "llama") -> Path:
    """Write a tiny model that is no demo model; without a template where None."""
    return saved(folder, tiny_model(architecture), template)


def saved(folder: Path, model: Any, template: str | None = "") -> Path:
    """Write a model with the demo tokenizer: its own template where "", none where None."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(resource("assets", "models", "demo"))
    if template != "":
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
