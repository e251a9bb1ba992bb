"""What a page costs the browser: milliseconds of its main thread, and its longest task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page


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
