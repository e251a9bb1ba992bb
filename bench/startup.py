"""Seconds until the page answers, from a fresh process, beside what importing Gradio alone takes. `make bench`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        command = [sys.executable, "-m", "workbench.cli.main", "serve", "--port", str(port), "--no-open"]
        server = subprocess.Popen(command, env={**os.environ, "STEERING_WORKBENCH_HOME": home})
        try:
            _wait(f"http://127.0.0.1:{port}/")
            page = time.perf_counter() - start
        finally:
            server.terminate()
            server.wait()
    alone = _seconds([sys.executable, "-c", "import gradio, torch, transformers, nnsight"])
    print(f"The page answers after {page:.1f} s; importing its libraries alone takes {alone:.1f} s.")


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def _wait(address: str) -> None:
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


if __name__ == "__main__":
    main()
