"""Seconds until the list of 10,000 runs stands, until it is made anew, and until a run of each panel is shown again
with no model loaded. `make bench`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser_support import started, until

from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch
from workbench.runs import run_file
from workbench.runs.query import Query
from workbench.runs.run import Run, now
from workbench.runs.runs import Runs


MANY = 10_000
RUNS = {
    "vectors": ("", "#extract"),
    "steer": ("", "#run"),
    "grid": ("?grid-x-values=0,1", "#grid-run"),
    "tradeoff": ("?tradeoff-n=6&tradeoff-n-replies=2&tradeoff-random=1&tradeoff-reply-tokens=6", "#tradeoff-run"),
    "probe": ("?probe-n=20&probe-steps=20&probe-restarts=1&probe-random=5&probe-permutations=100", "#probe-run"),
}
"""By panel, settings of a short run in its address, and its button."""


def main() -> None:
    with TemporaryDirectory() as folder:
        many(Path(folder))
    with TemporaryDirectory() as folder:
        again(Path(folder))


def many(folder: Path) -> None:
    """The list of very many runs."""
    about = {"settings": {"text": "x" * 3000}, "given": ["text"]}
    run = Run("", "grid", "", "demo", panel="grid", state="done", begun=now(), ended=now(), about=about)
    for n in range(MANY):
        each = folder / f"{n:016x}"
        each.mkdir()
        run_file.write(each, replace(run, id=each.name, title=f"Run {n}"), "")
    took, runs = _timed(lambda: Runs(folder))
    print(f"{MANY:,} runs: the list is made anew from their folders in {took:.2f} s.")
    runs.close()
    opened, runs = _timed(lambda: Runs(folder))
    page, _ = _timed(lambda: (runs.find(limit=100), runs.count(), runs.known("kind"), runs.known("model")))
    search, _ = _timed(lambda: runs.find(Query(search=f"run {MANY - 1} demo"), limit=100))
    one, _ = _timed(lambda: runs.get(f"{5:016x}"))
    print(f"  opened {opened:.3f} s, its page {page:.3f} s, a search {search:.3f} s, one run {one * 1000:.2f} ms.")
    runs.close()


def again(folder: Path) -> None:
    """A run of each panel that a model has made, shown again without one."""
    bench = Workbench(workspace=folder)
    page = launch("demo", Entrance(port=0, token=""), bench=bench, prevent_thread_lock=True)
    address = str(page.local_url)
    until(lambda: bench.host is not None)
    with started() as browser:
        for panel, (query, button) in RUNS.items():
            with browser.new_context() as context:
                tab = context.new_page()
                tab.goto(f"{address}{panel}{query}")
                tab.locator(button).click()
                until(lambda panel=panel: any(run.panel == panel and run.over for run in bench.runs.find()))
        bench.model.host = None
        _stands(browser, f"{address}probe", ".sw-nav")  # the first page that is asked for is put together
        for run in bench.runs.find():
            page_alone, computing = _stands(browser, f"{address}{run.panel}", ".sw-nav")
            whole, again = _stands(browser, f"{address}{run.panel}?run={run.id}", ".sw-was")
            print(
                f"  {run.panel:9} shown again in {whole:.2f} s, of which {again:.2f} s of computing on the server; "
                f"its page alone {page_alone:.2f} s, {computing:.2f} s."
            )
    page.close(verbose=False)
    bench.lane.close()


def _stands(browser: Any, address: str, what: str) -> tuple[float, float]:
    """Seconds until something stands on a page, and of computing in this process, which is the server's."""
    with browser.new_context() as context:
        tab = context.new_page()
        computed, began = time.process_time(), time.perf_counter()
        tab.goto(address)
        tab.wait_for_selector(what)
        return time.perf_counter() - began, time.process_time() - computed


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


if __name__ == "__main__":
    main()
