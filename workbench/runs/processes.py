"""Which programs use a workspace now: each holds a lock while it lives, so that others see when it is gone."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from filelock import FileLock, Timeout


_ALIVE = ".alive-"
"""How the name of a lock begins."""


class Processes:
    """The locks in a folder."""

    def __init__(self, folder: Path) -> None:
        self.own = secrets.token_hex(8)
        """The number of this one."""
        self._folder = folder
        self._alive = self._lock_of(self.own)
        self._guard = threading.Lock()

    def live(self) -> None:
        """Let others see that this process lives, from the first thing on that they must leave to it.

        Raises:
            OSError: The folder is gone, or cannot be written.
        """
        with self._guard:
            if not self._folder.is_dir():  # a lock would make it anew
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))
            if self._alive.is_locked and not Path(self._alive.lock_file).exists():  # the folder was made anew
                self._alive = self._lock_of(self.own)
            if not self._alive.is_locked:
                self._alive.acquire()

    def known(self) -> set[str]:
        """Those whose lock lies here, whether they live or not."""
        return {path.name.removeprefix(_ALIVE) for path in self._folder.glob(f"{_ALIVE}*")}

    def gone(self, some: Collection[str]) -> Iterator[str]:
        """Those among some that are gone. What they left is the caller's until the next one is asked for, and nobody
        else's.
        """
        for process in some:
            if process == self.own:
                continue
            lock = self._lock_of(process)
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):  # it lives, or nobody can say
                continue
            try:
                yield process
            finally:
                lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def close(self) -> None:
        """This one ends."""
        if self._alive.is_locked:
            self._alive.release()
            Path(self._alive.lock_file).unlink(missing_ok=True)

    def _lock_of(self, process: str) -> FileLock:
        return FileLock(self._folder / f"{_ALIVE}{process}", thread_local=False)  # the process's, not a thread's
