"""Folders that go with the program that made them; of one that was killed, the next one clears them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout


_ALIVE = ".alive"
"""A lock in the folder, which its program holds as long as it lives."""
_YOUNG = 60.0
"""Seconds in which a folder is left alone, since its lock may not be held yet."""
_HELD: list[FileLock] = []


def passing_folder(prefix: str) -> Path:
    """A new folder that nobody else on the machine can read and that goes when this program ends.

    Args:
        prefix: How its name begins. What programs that are gone left under the same prefix is removed first.
    """
    _clear(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))  # 0700
    lock = FileLock(folder / _ALIVE, thread_local=False)
    lock.acquire()
    _HELD.append(lock)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _clear(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            if _is_ours(folder):
                with FileLock(folder / _ALIVE, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # its program lives, or nobody can say
            continue


def _is_ours(folder: Path) -> bool:
    """Whether such a program of this user made it, and not just now."""
    known = folder.lstat()
    mine = not hasattr(os, "getuid") or known.st_uid == os.getuid()
    lock = folder / _ALIVE
    old = time.time() - known.st_mtime > _YOUNG
    return mine and old and not folder.is_symlink() and lock.is_file() and not lock.is_symlink()
