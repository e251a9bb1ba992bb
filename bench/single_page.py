"""The single page that held every panel before each had its own: measured in the same run from the last commit with it.

Where that commit is not at hand (an archive, a shallow clone), what was recorded of it is printed instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browser_work import extraction, fresh, idle_share, stands
from playwright.sync_api import Browser


ROOT = Path(__file__).parent.parent
BEFORE = "0b515b2186ea592d37cdf18c8d14ffdcecb83987"
"""The last commit with a single page."""
RECORDED = (
    ("components", "952"),
    ("events", "218"),
    ("in + out", "2,848"),
    ("kB", "810"),
    ("first click", "10 to 25 s on two busy cores"),
    ("idle", "12 to 33 % of a core"),
    ("a job of 0.3 s", "8 s of browser work"),
    ("longest freeze, default trade-off", "62 s"),
    ("Stop felt", "after 10 to 26 s"),
)
"""As measured when pages of their own were decided on, on two busy cores."""
_SERVE = """
import json, sys
from pathlib import Path
from workbench.bench import Workbench
from workbench.frame.shell import build, launch
bench = Workbench(workspace=Path(sys.argv[1]) / "sizes")
config = build(bench).get_config_file()
bench.lane.close()
parts, events = config["components"], config["dependencies"]
ends = sum(len(each["inputs"]) + len(each["outputs"]) for each in events)
size = len(json.dumps([parts, events, config["layout"]], default=str))
page = launch(sys.argv[2], port=0, workspace=Path(sys.argv[1]) / "served", prevent_thread_lock=True)
print(json.dumps([len(parts), len(events), ends, size, page.local_url]), flush=True)
sys.stdin.read()
"""


def print_single_page(browser: Browser, model: str) -> None:
    """Print what the single page cost, in the words of the other tables."""
    print("\nthe single page before, recorded:")
    for name, value in RECORDED:
        print(f"  {name:36}{value}")
    if subprocess.run(["git", "cat-file", "-e", BEFORE], cwd=ROOT, capture_output=True).returncode:
        print("its commit is not at hand: not measured in this run")
        return
    with _served(model) as (parts, events, ends, size, address):
        print(f"measured in this run, commit {BEFORE[:7]}:")
        print(f"  {parts} components, {events} events, {ends} in + out, {size / 1000:.0f} kB")
        for line in _times(browser, address):
            print(f"  {line}")


def _times(browser: Browser, address: str) -> Iterator[str]:
    page, client = fresh(browser, own_time=True)
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    stands(page)
    stood = time.perf_counter() - began
    page.get_by_role("button", name="Switch model").click()
    page.locator("#model-name").wait_for()
    yield f"stands after {stood:.1f} s, first click after {time.perf_counter() - began:.1f} s"
    yield f"idle: {idle_share(page, client):.1f} % of a core"
    yield "extraction: {:.0f} ms, longest task {:.0f} ms".format(*extraction(page, client))
    page.context.close()


@contextmanager
def _served(model: str) -> Iterator[tuple[int, int, int, int, str]]:
    """Check that commit out beside this one and serve it: components, events, ends of events, bytes, address."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), BEFORE], cwd=ROOT, check=True)
        try:
            server = subprocess.Popen(
                [sys.executable, "-c", _SERVE, folder, model],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": str(tree)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            with server:
                assert server.stdout is not None
                told = server.stdout.readline()
                try:
                    yield tuple(json.loads(told))
                finally:
                    server.terminate()
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
