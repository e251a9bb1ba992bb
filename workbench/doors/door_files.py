"""Files that hold a secret: read by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from steering.errors import SteeringError


def text_of_secret(path: Path, what: str) -> str:
    """What a file holds.

    Args:
        path: It.
        what: Of what it is the file, such as "the token".

    Raises:
        SteeringError: It cannot be read, or others may read it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SteeringError(f"The file of {what} cannot be read: {why}.", "a text file.", "Check its path.") from error
    check_private(path)
    return text


def check_private(path: Path) -> None:
    """Raise where other users of the machine may read a file that holds a secret.

    Raises:
        SteeringError: They may.
    """
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise SteeringError(
            f"Other users of this machine may read '{path}'.", "a file for yourself alone.", f"chmod 600 '{path}'"
        )
