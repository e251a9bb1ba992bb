"""The server as a process of its own: pytest imports things that hide what a bare interpreter would trip over."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steering.errors import SteeringError
from tests.conftest import ROOT
from tests.workbench.cli.test_cli import call
from workbench.doors.door import Link
from workbench.doors.entrance import Entrance
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
        at = f"http://127.0.0.1:{port}"
        assert _answer(at, server) == 401  # without the token
        home, link = tmp_path / "home", _link(log)
        found = served_at(home)
        assert found is not None
        assert str(found) == link
        assert call("link", "--workspace", str(home)).stdout.strip() == link
        page = _opened(link)
        runs = Runs(home / "runs")
        id = runs.begin(Run("", "grid", "Kept", "demo", panel="grid"))
        runs.end(id, "done")
        told = call("runs", "open", id, "--no-open", "--workspace", str(home))
        assert f"The run is at {at}/grid?run={id}&token={found.token}" in told.stderr
    finally:
        server.terminate()
        server.wait(30)
    assert served_at(home) is None  # nobody listens there any more
    assert "Steering Workbench" in page
    assert "steering-workbench" in page  # the style sheet is in the head


def test_a_taken_port_is_refused_with_the_next_step(taken: int, tmp_path: Path) -> None:
    with pytest.raises(SteeringError, match=f"127.0.0.1:{taken}") as caught:
        launch("demo", Entrance(port=taken), workspace=tmp_path, prevent_thread_lock=True)
    assert f"--port {taken + 1}" in caught.value.remedy
    told: list[Link] = []
    with pytest.raises(SteeringError):
        launch("demo", Entrance(port=taken), workspace=tmp_path, prevent_thread_lock=True, tell=told.append)
    assert not told  # no address is given out that belongs to something else


def _answer(address: str, server: subprocess.Popen[bytes]) -> int:
    """The status of what the server answers; 0 if it ended or never did."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end and server.poll() is None:
        try:
            return httpx.get(address, timeout=10).status_code
        except httpx.HTTPError:
            time.sleep(0.3)
    return 0


def _link(log: Path) -> str:
    """The link that was printed, which is the last thing that happens before the page is up."""
    end = time.monotonic() + WAIT
    while not (found := re.search(r"The workbench is at (\S+) ", log.read_text())):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return found[1]


def _opened(link: str) -> str:
    """The page, as a browser gets it that keeps cookies."""
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        answer = browser.get(link)
        assert answer.status_code == 200
        assert "token" not in str(answer.url)
        return answer.text
