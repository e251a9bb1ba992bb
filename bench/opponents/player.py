"""A library in its own process: commands go in over a pipe, times and results come out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from bench.harness.pairs import Timed
from bench.harness.row import BenchRow
from bench.harness.run import ALONE
from bench.opponents.environments import ROOT, Unavailable, python_of


class Failed(Exception):
    """What a library said when it could not do a task."""


def unmeasured(about: tuple[str, str, str, str], error: Unavailable | Failed) -> BenchRow:
    """The row of an opponent that was not timed: section, name, ours and opponent, and why."""
    return BenchRow(*about, note=str(error), status="skipped" if isinstance(error, Unavailable) else "failed")


class Player:
    """A long-lived process with one model and one library.

    Args:
        library: A key of `environments.LIBRARIES`.
        folder: Of the model.

    Raises:
        Unavailable: The library cannot be had here.
        Failed: It cannot take the model.
    """

    def __init__(self, library: str, folder: Path) -> None:
        self.library = library
        command = [python_of(library), "-m", "bench.opponents.playing", library, str(folder)]
        variables = {**os.environ, **ALONE, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables
        )
        self._answer()

    def prepare(self, task: dict[str, Any]) -> dict[str, Any]:
        """Set a task up, so that `run` does it; what the library tells of it."""
        return self._ask({"prepare": task})

    def run(self) -> Timed:
        """Do it once."""
        told = self._ask({"run": True})
        return Timed(told["seconds"], told["computing"])

    def result(self) -> Any:
        """What the last run gave."""
        return self._ask({"result": True})["result"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            print(json.dumps(what), file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise Failed("its process ended") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed("its process ended")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise Failed(told["error"])
        return told
