"""Seconds until the list of 10,000 runs stands, until it is made anew, and until a run of each panel is shown again
with no model loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.browser_work import Site, opened, site
from bench.harness.pairs import alone
from bench.harness.row import BenchRow
from workbench.runs import run_file
from workbench.runs.query import Query
from workbench.runs.run import Run, now
from workbench.runs.runs import Runs


SECTION = "Runs"
MANY = 10_000
WAIT = 300.0
"""Seconds that a run of a panel may take."""
RUNS = {
    "vectors": ("", "#extract"),
    "steer": ("", "#run"),
    "grid": ("?grid-x-values=0,1", "#grid-run"),
    "tradeoff": ("?tradeoff-n=6&tradeoff-n-replies=2&tradeoff-random=1&tradeoff-reply-tokens=6", "#tradeoff-run"),
    "probe": ("?probe-n=20&probe-steps=20&probe-restarts=1&probe-random=5&probe-permutations=100", "#probe-run"),
}
"""By panel, settings of a short run in its address, and its button."""


def rows(quick: bool) -> Iterator[BenchRow]:
    """The list, then in a whole run a run of each panel."""
    with TemporaryDirectory() as folder:
        yield from _many(Path(folder), MANY // 10 if quick else MANY)
    if not quick:
        with site() as at:
            yield from _again(at)


def _many(folder: Path, count: int) -> Iterator[BenchRow]:
    """The list of very many runs."""
    about = {"settings": {"text": "x" * 3000}, "given": ["text"]}
    run = Run("", "grid", "", "demo", panel="grid", state="done", begun=now(), ended=now(), about=about)
    for n in range(count):
        each = folder / f"{n:016x}"
        each.mkdir()
        run_file.write(each, replace(run, id=each.name, title=f"Run {n}"), "")
    began = time.perf_counter()
    Runs(folder).close()
    yield _row(f"{count:,} runs: the list made anew from their folders", [time.perf_counter() - began])
    runs = Runs(folder)
    for what, call in (
        ("opened", lambda: Runs(folder).close()),
        ("its page", lambda: (runs.find(limit=100), runs.count(), runs.known("kind"), runs.known("model"))),
        ("a search", lambda: runs.find(Query(search=f"run {count - 1} demo"), limit=100)),
        ("one run", lambda: runs.get(f"{5:016x}")),
    ):
        yield _row(f"{count:,} runs: {what}", [_seconds(call) for _ in range(9)])
    runs.close()


def _again(at: Site) -> Iterator[BenchRow]:
    """A run of each panel that a model has made, shown again without one."""
    bench = at.bench
    for panel, (query, button) in RUNS.items():
        with opened(at, f"{panel}{query}") as (tab, _):
            tab.locator(button).click()
            end = time.monotonic() + WAIT
            while not any(run.panel == panel and run.over for run in bench.runs.find()):
                if time.monotonic() > end:
                    raise TimeoutError(f"the run of {panel} does not end")
                time.sleep(0.05)
    bench.model.host = None
    _stands(at, "probe", ".sw-nav")  # the first page that is asked for is put together
    for run in bench.runs.find():
        shown = [_stands(at, f"{run.panel}?run={run.id}", ".sw-was") for _ in range(3)]
        page = _stands(at, run.panel, ".sw-nav")
        note = f"{shown[-1][1]:.2f} s of computing on the server; its page alone {page[0]:.2f} s, {page[1]:.2f} s"
        yield _row(f"{run.panel} shown again without a model", [each[0] for each in shown], note)


def _stands(at: Site, path: str, what: str) -> tuple[float, float]:
    """Seconds until something stands on a page, and of computing in this process, which is the server's."""
    with at.browser.new_context() as context:
        tab = context.new_page()
        computed, began = time.process_time(), time.perf_counter()
        tab.goto(f"{at.address}{path}")
        tab.wait_for_selector(what)
        return time.perf_counter() - began, time.process_time() - computed


def _row(name: str, seconds: list[float], note: str = "") -> BenchRow:
    return alone(SECTION, name, "", [1000 * each for each in seconds], unit="ms", note=note)


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
