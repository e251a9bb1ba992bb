"""A training on its way: in a file beside what it makes, or among a study's finished parts. It appears whole, and that
of another training is not taken.
"""

from __future__ import annotations

import io
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import torch

from steering.job import note
from steering.store import Kept


SECONDS = 20.0
"""Between two checkpoints; a stop writes one of its own."""
Place = Path | Kept | None
"""A file; a store, which keeps what is finished, too; or nowhere."""


def save_checkpoint(place: Place, key: str, content: dict[str, Any]) -> None:
    """Write what a training goes on from; a note says where that cannot be done, and the training goes on.

    Args:
        place: Where; nothing is kept where None.
        key: Digest of all that the training depends on.
        content: As `torch.load` reads it with weights only.
    """
    if place is None:
        return
    if not isinstance(place, Path):
        written = io.BytesIO()
        torch.save(content, written)
        place[key] = {"checkpoint": b64encode(written.getvalue()).decode("ascii")}
        return
    # Written beside and renamed: a program that is killed while it saves leaves the checkpoint before.
    beside = place.with_name(f"{place.name}.writing")
    try:
        torch.save({"key": key, **content}, beside)
        os.replace(beside, place)
    except (OSError, RuntimeError) as error:  # torch says of a full disk that a file was written unexpectedly
        beside.unlink(missing_ok=True)
        reason = str(getattr(error, "strerror", None) or error).strip().partition("\n")[0]
        note(f"The training's checkpoint cannot be written ({reason[:200]}): where it is interrupted, it begins anew.")


def read_checkpoint(place: Place, key: str) -> dict[str, Any] | None:
    """What a training goes on from; None where there is nothing, or it is of another training.

    Args:
        place: Where.
        key: Digest of all that the training depends on.
    """
    if place is None or not key:
        return None
    try:
        kept: Any = place
        if not isinstance(place, Path):
            kept = io.BytesIO(b64decode(place[key]["checkpoint"]))
        content = torch.load(kept, map_location="cpu", weights_only=True)
    except Exception:  # none there, or a damaged one: the training begins anew
        return None
    own = isinstance(content, dict) and (not isinstance(place, Path) or content.get("key") == key)
    return content if own else None


def clear_checkpoint(place: Place) -> None:
    """Remove the file of a training that has come to its end; a store keeps what it has."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
