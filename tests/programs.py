"""Programs of tests, each in a process of its own, forked from one that has all that this process imported.

For what processes do to each other and to what they share, and for how one ends. What an interpreter trips over that
has to import everything first is tested with one of its own.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import warnings
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

import torch


WAIT = 300
"""Seconds before a program that never ends, or never says what is waited for, fails its test."""


class Program:
    """Source that runs in a process of its own, with what it says in a file."""

    def __init__(self, code: str, *given: object, said: Path, whole: bool = False, **variables: object) -> None:
        """Start it.

        Args:
            code: What it runs.
            given: Its arguments, in `sys.argv` behind the first.
            said: Where it writes what it says.
            whole: Whether it ends as an interpreter does: threads are waited for, what `atexit` was told is done,
                modules are taken down. Otherwise it ends at once.
            variables: Of its environment, beside those of this process.
        """
        self._said = said
        said.touch()
        env = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        asked = {"code": code, "argv": ["program", *map(str, given)], "said": str(said), "env": env, "whole": whole}
        self._pid = int(_asked({**asked, "folder": os.getcwd()}))
        self._code: int | None = None

    def first_line(self) -> str:
        """Wait for the first line that it says."""
        end = time.monotonic() + WAIT
        while "\n" not in self._said.read_text():
            assert self.ended() is None, self._said.read_text()
            assert time.monotonic() < end, "It says nothing."
            time.sleep(0.02)
        return self._said.read_text().splitlines()[0]

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._pid, number)

    def wait(self) -> tuple[int, str]:
        """Let it end; its exit code (minus the signal that ended it), and what it said."""
        end = time.monotonic() + WAIT
        while self.ended() is None:
            if time.monotonic() > end:
                self.end()
                raise AssertionError(f"It did not end: {self._said.read_text()}")
            time.sleep(0.01)
        assert self._code is not None
        return self._code, self._said.read_text()

    def end(self) -> None:
        """Kill it where it still runs."""
        if self.ended() is None:
            self.send(signal.SIGKILL)
            self.wait()

    def ended(self) -> int | None:
        """The exit code, once there is one."""
        if self._code is None:
            self._code = _asked({"ended": self._pid})
        return self._code


class _Forks:
    """The process that forks programs, seen from this one."""

    here: _Forks | None = None

    def __init__(self) -> None:
        self._mine, its = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            self._mine.close()
            _fork_what_is_asked_for(its)
        its.close()
        self.file = self._mine.makefile("rw", encoding="utf-8")

    def end(self) -> None:
        self.file.close()
        self._mine.close()
        os.waitpid(self._pid, 0)


def begin() -> None:
    """Fork the process that programs are forked from, while this one has all modules and no threads yet."""
    _Forks.here = _Forks.here or _Forks()


def end() -> None:
    """End it, and what was forked from it."""
    if _Forks.here:
        _Forks.here.end()
        _Forks.here = None


def _asked(what: dict[str, Any]) -> Any:
    assert _Forks.here is not None, "Programs are forked from what pytest has collected."
    print(json.dumps(what), file=_Forks.here.file, flush=True)
    return json.loads(_Forks.here.file.readline())


def _fork_what_is_asked_for(asker: socket.socket) -> NoReturn:
    """Be that process until nobody can ask any more; what still runs then ends, too."""
    _leave_pytest()
    file, running = asker.makefile("rw", encoding="utf-8"), set[int]()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in file:
        what = json.loads(line)
        if "ended" in what:
            pid, status = os.waitpid(what["ended"], os.WNOHANG)
            running.discard(pid)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                asker.close()
                file.close()
                _be(what)
            running.add(answer)
        print(json.dumps(answer), file=file, flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _leave_pytest() -> None:
    """Warnings, failures and what is logged go where they go without pytest."""
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    logging.getLogger().handlers.clear()
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__


def _be(what: dict[str, Any]) -> NoReturn:
    """Be a program."""
    out = os.open(what["said"], os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, "utf-8", closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(what["env"])
    os.chdir(what["folder"])
    tempfile.tempdir = None  # as its own environment says
    torch.set_num_threads(1)  # torch makes its pool anew behind a fork, and not for two threads at once
    sys.argv = what["argv"]
    code = 0
    try:
        exec(compile(what["code"], "program", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    if what["whole"]:
        ctypes.pythonapi.Py_Exit(code)
    util._exit_function()  # which ends processes of its own
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
