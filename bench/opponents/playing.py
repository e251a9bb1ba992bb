"""The other end of `player.py`: `python -m bench.opponents.playing LIBRARY FOLDER`, in the library's environment."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any


MODULES = {
    "raw hooks": "raw_hooks",
    "nnsight": "plain_nnsight",
    "pyvene": "pyvene_library",
    "steering-vectors": "steering_vectors_library",
    "repeng": "repeng_library",
    "dialz": "dialz_library",
}
"""Beside this file: each has `open_model(folder)`, which gives an object with a method for each kind of task: `decode`,
`sweep`, `extract`, `bare`. A method sets the task up and gives the work, which gives the result."""


def main(library: str, folder: str) -> None:
    """Answer commands until the pipe closes."""
    import torch

    torch.set_num_threads(1)
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    session = _Session()
    print(json.dumps(_guarded(partial(session.open, library, folder))), file=pipe, flush=True)
    for line in sys.stdin:
        print(json.dumps(_guarded(partial(session.do, json.loads(line)))), file=pipe, flush=True)


def _guarded(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except Exception as error:  # whatever a library raises is told, and the process goes on
        traceback.print_exc(limit=-4)
        said = f"{type(error).__name__}: {error}".replace(os.getcwd(), ".")  # tables name no folders of this machine
        return {"error": said.splitlines()[0][:300]}


class _Session:
    def __init__(self) -> None:
        self.opponent: Any = None
        self.work: Callable[[], Any] = dict
        self.result: Any = None

    def open(self, library: str, folder: str) -> dict[str, Any]:
        self.opponent = importlib.import_module(f"bench.opponents.{MODULES[library]}").open_model(folder)
        return {}

    def do(self, ask: dict[str, Any]) -> dict[str, Any]:
        """One command."""
        if "prepare" in ask:
            task = ask["prepare"]
            self.work = getattr(self.opponent, task["kind"])(task)
            return {}
        if "run" in ask:
            return self._run()
        return {"result": self.result}

    def _run(self) -> dict[str, Any]:
        _synchronise()
        began, computed = time.perf_counter(), time.process_time()
        self.result = self.work()
        _synchronise()
        return {"seconds": time.perf_counter() - began, "computing": time.process_time() - computed}


def _synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(*sys.argv[1:])
