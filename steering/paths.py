"""What a path that somebody typed names; what cannot be a path, such as a name of a thousand letters, names nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def is_file(path: str | Path) -> bool:
    """Whether there is such a file."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long, or a NUL
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def bytes_in(folder: str | Path) -> int:
    """What the files in a folder take, but for those that go meanwhile: others write and rename beside this."""
    size = 0
    for at, _, names in os.walk(folder):  # which passes over folders that are gone
        for name in names:
            with contextlib.suppress(OSError):
                size += os.stat(os.path.join(at, name)).st_size
    return size
