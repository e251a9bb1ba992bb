"""What a run's folder says once its program is gone, what is cleared of it, and how it goes."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from workbench.runs import run_file
from workbench.runs.run import now


NEW = ".new-"
"""How the name of what is being written begins."""


def left(folder: Path) -> dict[str, Any]:
    """How a run ended whose program is gone, as columns of the list: as its folder says, which is whole before the list
    is told; else it was interrupted.
    """
    with suppress(SteeringError):
        found = run_file.read(folder)
        if found is not None and found[0].over:
            return {name: getattr(found[0], name) for name in ("state", "ended", "error", "size")}
    return {"state": "interrupted", "ended": now(), "size": run_file.size_of(folder)}


def tidy(folder: Path) -> None:
    """Clear what was being written."""
    for path in (
        *folder.parent.glob(f".{folder.name}-*"),
        *folder.glob(f"{NEW}*"),
        *folder.glob(f".{run_file.NAME}*"),
    ):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Take a run's folder away: at once for whoever looks, then its files."""
    gone = folder.with_name(f".{folder.name}-gone")
    with suppress(OSError):
        os.replace(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)
