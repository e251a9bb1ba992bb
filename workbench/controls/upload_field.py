"""How an uploaded file is named where a setting names one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

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


def sent_file(path: Any) -> Path | None:
    """The file that a script says was sent, which must lie in the folder of uploads; None where it does not."""
    if not isinstance(path, str):
        return None
    home, parts = Path(get_upload_folder()).resolve(), Path(path).parts[-2:]
    try:
        found = home.joinpath(*parts).resolve()
        return found if len(parts) == 2 and found.parent.parent == home and found.is_file() else None
    except (OSError, ValueError):  # what can be no path
        return None


def uploaded(path: str) -> str:
    """How an uploaded file is named: by the digest of its content and its own name, without the server's folders."""
    return UPLOAD + "/".join(Path(path).parts[-2:])
