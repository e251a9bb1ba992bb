"""What a process takes while nobody is there, and how far that may rise."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


ROOM = {"memory": 24.0, "files": 8.0, "threads": 8.0}
"""By how much a measure may lie above the most of the warm-up at least: MB that allocators keep for themselves, and a
connection and a thread for each of eight clients that are closed a moment later."""
UNIT = {"memory": " MB"}


@dataclass(frozen=True)
class Measured:
    """The process while nobody is there."""

    memory: float
    """MB resident, once what is free was given back."""
    files: float
    threads: float

    def __str__(self) -> str:
        return f"{self.memory:.0f} MB, {self.files:.0f} files, {self.threads:.0f} threads"

    @staticmethod
    def now() -> Measured:
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files, threads = (len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task"))
        return Measured(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, files, threads)


@dataclass(frozen=True)
class Bound:
    """How far a measure may rise after the warm-up."""

    name: str
    warm: float
    """The most of the warm-up."""
    room: float
    """What is allowed above: what the later half of the warm-up varied by, and `ROOM` at least."""

    @staticmethod
    def of(name: str, warm: list[Measured]) -> Bound:
        values = [getattr(each, name) for each in warm]
        later = values[len(values) // 2 :]
        return Bound(name, max(values), max(ROOM[name], max(later) - min(later)))

    @property
    def most(self) -> float:
        return self.warm + self.room

    def __str__(self) -> str:
        unit = UNIT.get(self.name, "")
        return f"bound of {self.name}: {self.most:.0f}{unit}, {self.warm:.0f} in the warm-up and {self.room:.0f} more"
