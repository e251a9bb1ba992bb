"""A training on its way, in a file beside what it makes: it appears whole, and another training's is not taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from steering.job import note


SECONDS = 20.0
"""Between two checkpoints; a stop writes one of its own."""


def save_checkpoint(path: Path | None, key: str, content: dict[str, Any]) -> None:
    """Write what a training goes on from; a note says where that cannot be done, and the training goes on.

    Args:
        path: The file; nothing is kept where None.
        key: Digest of all that the training depends on.
        content: As `torch.load` reads it with weights only.
    """
    if path is None:
        return
    # Written beside and renamed: a program that is killed while it saves leaves the checkpoint before.
    beside = path.with_name(f"{path.name}.writing")
    try:
        torch.save({"key": key, **content}, beside)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch says of a full disk that a file was written unexpectedly
        beside.unlink(missing_ok=True)
        reason = str(getattr(error, "strerror", None) or error).strip().partition("\n")[0]
        note(f"The training's checkpoint cannot be written ({reason[:200]}): where it is interrupted, it begins anew.")


def read_checkpoint(path: Path | None, key: str) -> dict[str, Any] | None:
    """What a training goes on from; None where there is nothing, or it is of another training.

    Args:
        path: The file.
        key: Digest of all that the training depends on.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True) if path else {}
    except Exception:  # none there, or a damaged one: the training begins anew
        return None
    return content if key and isinstance(content, dict) and content.get("key") == key else None
