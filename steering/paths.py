"""What a path that somebody typed names; what cannot be a path, such as a name of a thousand letters, names nothing."""

from __future__ import annotations

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
