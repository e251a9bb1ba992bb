"""The server as a process of its own: pytest imports things that hide what a bare interpreter would trip over."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.errors import SteeringError
from tests.conftest import ROOT
from tests.workbench.cli.test_cli import call
from workbench.frame.serving import served_at
from workbench.frame.shell import launch
from workbench.runs.run import Run
from workbench.runs.runs import Runs


pytestmark = pytest.mark.slow

WAIT = 120
"""Seconds before a server that never answers fails the test."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_the_command_serves_the_page(tmp_path: Path) -> None:
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "workbench.cli.main",
        "serve",
        "--port",
        str(port),
        "--no-open",
        "--workspace",
        str(tmp_path / "home"),
    ]
    log = tmp_path / "log"
    root = ROOT
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=root, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        page = _answer(f"http://127.0.0.1:{port}/", server)
        home, at = tmp_path / "home", f"http://127.0.0.1:{port}"
        assert served_at(home) == at
        runs = Runs(home / "runs")
        id = runs.begin(Run("", "grid", "Kept", "demo", panel="grid"))
        runs.end(id, "done")
        told = call("runs", "open", id, "--no-open", "--workspace", str(home))
        assert f"The run is at {at}/grid?run={id}" in told.stderr
    finally:
        server.terminate()
        server.wait(30)
    assert served_at(home) == ""  # nobody listens there any more
    assert page is not None, log.read_text()
    assert "Steering Workbench" in page
    assert "steering-workbench" in page  # the style sheet is in the head
    assert f"The workbench is at http://127.0.0.1:{port}" in log.read_text()


def test_a_taken_port_is_refused_with_the_next_step(taken: int, tmp_path: Path) -> None:
    with pytest.raises(SteeringError, match=f"127.0.0.1:{taken}") as caught:
        launch("demo", port=taken, workspace=tmp_path, prevent_thread_lock=True)
    assert f"--port {taken + 1}" in caught.value.remedy
    told: list[str] = []
    with pytest.raises(SteeringError):
        launch("demo", port=taken, workspace=tmp_path, prevent_thread_lock=True, tell=told.append)
    assert not told  # no address is given out that belongs to something else


def _answer(address: str, server: subprocess.Popen[bytes]) -> str | None:
    """What the server answers, None if it ended or never did."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.3)
    return None
