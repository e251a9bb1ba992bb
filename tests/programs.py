"""Programs of tests, each in a process of its own, forked from one that has what takes seconds to import.

For what processes do to each other and to what they share. How an interpreter begins and ends is tested with one of its
own: these end at once, without what `atexit` was told.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "tests.conftest",
        "tests.workbench.test_workspace",
        "transformers.models.llama.modeling_llama",
        "pyarrow.parquet",
        "workbench.cli.main",
        "workbench.page.markup",
    ]
)
WAIT = 300
"""Seconds before a program that never ends, or never says what is waited for, fails its test."""


class Program:
    """Source that runs in a process of its own, with what it says in a file."""

    def __init__(self, code: str, *given: object, said: Path) -> None:
        """Start it.

        Args:
            code: What it runs.
            given: Its arguments, in `sys.argv` behind the first.
            said: Where it writes what it says.
        """
        self._said = said
        said.touch()
        argv = ["program", *map(str, given)]
        self._process = _FORKS.Process(target=_be, args=(code, argv, str(said), dict(os.environ)))
        self._process.start()

    def first_line(self) -> str:
        """Wait for the first line that it says."""
        end = time.monotonic() + WAIT
        while "\n" not in self._said.read_text():
            assert self._process.is_alive(), self._said.read_text()
            assert time.monotonic() < end, "It says nothing."
            time.sleep(0.02)
        return self._said.read_text().splitlines()[0]

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def wait(self) -> tuple[int, str]:
        """Let it end; its exit code (minus the signal that ended it), and what it said."""
        self._process.join(WAIT)
        if self._process.exitcode is None:
            self.end()
            raise AssertionError(f"It did not end: {self._said.read_text()}")
        return self._process.exitcode, self._said.read_text()

    def end(self) -> None:
        """Kill it where it still runs."""
        self._process.kill()
        self._process.join()


def _be(code: str, argv: list[str], said: str, env: dict[str, str]) -> None:
    out = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = argv
    exec(compile(code, "program", "exec"), {"__name__": "__main__"})
