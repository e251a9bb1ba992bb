"""How an uploaded file is named where a setting names one."""

from __future__ import annotations

from pathlib import Path

from steering.confines import UPLOAD
from steering.errors import SteeringError


def chosen(path: str | None) -> str:
    """The path of what a button uploaded.

    Raises:
        SteeringError: Nothing was.
    """
    if path is None:
        raise SteeringError("No file was chosen.", "a file.", "Choose one with the button.")
    return path


def uploaded(path: str) -> str:
    """How an uploaded file is named: by the digest of its content and its own name, without the server's folders."""
    return UPLOAD + "/".join(Path(path).parts[-2:])
