"""A served page in Chromium, and what it costs the browser: milliseconds of its main thread, and its longest task."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import chromium


WAIT = 120_000
"""Milliseconds to wait for anything."""
IDLE = 10.0
"""Seconds for which an idle page is watched."""
LONG_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver(list => list.getEntries().forEach(each => {
    window.longest = Math.max(window.longest, each.duration);
  })).observe({entryTypes: ['longtask']});
}"""


@dataclass(frozen=True)
class Site:
    """A workbench with a model, served by this process."""

    bench: Workbench
    address: str
    browser: Browser


@contextmanager
def site(model: str = "demo") -> Iterator[Site]:
    """Serve one and open Chromium."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bench = Workbench(workspace=Path(folder))
        page = launch(model, Entrance(port=0, token=""), bench=bench, prevent_thread_lock=True)
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        try:
            yield Site(bench, str(page.local_url), browser)
        finally:
            browser.close()
            page.close(verbose=False)
            bench.lane.close()


@contextmanager
def opened(at: Site, path: str, *, own_time: bool = False) -> Iterator[tuple[Page, CDPSession]]:
    """A panel's page, with its model, for a visitor of its own."""
    page, client = fresh(at.browser, own_time=own_time)
    try:
        page.goto(f"{at.address}{path}")
        stands(page)
        yield page, client
    finally:
        page.context.close()


def fresh(browser: Browser, *, own_time: bool = False) -> tuple[Page, CDPSession]:
    """A page of a visitor of its own, and what its work is read from.

    Args:
        browser: Opens it.
        own_time: Whether only the thread's own time counts, however busy the machine; else time on the clock.
    """
    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"} if own_time else {})
    return page, client


def work(client: CDPSession, doing: Callable[[], Any]) -> float:
    """Milliseconds of the main thread while something is done."""
    before = _busy(client)
    doing()
    return _busy(client) - before


def stands(page: Page) -> None:
    """Wait until the page shows which model is loaded."""
    page.locator(".sw-model .sw-name").wait_for()


def idle_share(page: Page, client: CDPSession) -> float:
    """Percent of a core that a page takes while nobody does anything."""
    page.wait_for_timeout(3000)
    return work(client, lambda: page.wait_for_timeout(IDLE * 1000)) / IDLE / 10


def extraction(page: Page, client: CDPSession) -> tuple[float, float]:
    """Milliseconds of an extraction, and of its longest task."""
    page.evaluate(LONG_TASKS)

    def extract() -> None:
        page.click("#extract")
        page.locator(".sw-v").first.wait_for()
        page.wait_for_timeout(2000)

    return work(client, extract), float(page.evaluate("window.longest"))


def _busy(client: CDPSession) -> float:
    metrics = client.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
