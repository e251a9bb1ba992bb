"""How long things take to begin, each from a fresh process: commands, the import, and until the page answers."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial

from bench.harness.pairs import Timed, alone, paired
from bench.harness.row import Aim, BenchRow


SECTION = "Beginning"
COMMANDS = {
    "workbench --help": ["-m", "workbench.cli.main", "--help"],
    "workbench models": ["-m", "workbench.cli.main", "models"],
    "workbench runs list": ["-m", "workbench.cli.main", "runs", "list"],
    "import steering": ["-c", "import steering"],
}
LIBRARIES = ["-c", "import gradio, torch, transformers, nnsight"]
SOON = Aim(1.0, least=False)


def rows(quick: bool) -> Iterator[BenchRow]:
    """Commands under a second, and the page beside importing its libraries alone."""
    with tempfile.TemporaryDirectory() as home:
        for name, command in COMMANDS.items():
            times = [_seconds(command, home) for _ in range(4 if quick else 10)][1:]
            computing = statistics.median(each.computing for each in times)
            yield alone(
                SECTION, name, "a fresh process", [each.seconds for each in times], aim=SOON, computing=computing
            )
        found = paired(partial(_page, home), partial(_seconds, LIBRARIES, home), 1 if quick else 5)
    note = f"it answers after {found.ours:.1f} s"
    yield found.row(SECTION, "the page answers", "workbench serve", "importing its libraries alone", note=note)


def _seconds(command: list[str], home: str) -> Timed:
    began, children = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *command], check=True, env=_variables(home), stdout=subprocess.DEVNULL)
    return Timed(time.perf_counter() - began, _children(children))


def _page(home: str) -> Timed:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began, children = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "workbench.cli.main", "serve", "--port", str(port), "--no-open"]
    server = subprocess.Popen(command, env=_variables(home), stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/", server)
        answered = time.perf_counter() - began
    finally:
        server.kill()
        server.wait()
    return Timed(answered, _children(children))


def _variables(home: str) -> dict[str, str]:
    return {**os.environ, "STEERING_WORKBENCH_HOME": home}


def _children(before: os.times_result) -> float:
    """Seconds of computing of the processes that have ended since."""
    now = os.times()
    return now.children_user + now.children_system - before.children_user - before.children_system


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except urllib.error.HTTPError:
            return  # it answers, if only that it wants a token
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"workbench serve ended with code {server.returncode} before it answered")
