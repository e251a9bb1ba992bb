"""A served workbench and a Chromium for the browser tests."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chromium
from playwright.sync_api import Browser, Page, TimeoutError, expect, sync_playwright

from steering.lane import look_for_stop
from tests.conftest import NO_TOKEN
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


MODEL = os.environ.get("STEERING_BROWSER_MODEL", "demo")
"""What the tests open; any model with a chat template will do."""
SLOW = int(os.environ.get("STEERING_BROWSER_WAIT", "240")) * 1000
"""Milliseconds that a retrying assertion waits at most: two shared cores may be busy."""
expect.set_options(timeout=SLOW)
PANELS = {
    "echo.py": """
from pydantic import BaseModel, Field
from steering.studies.study import Measure, Result
from workbench.panel import Panel

class Settings(BaseModel):
    times: int = Field(3, description="How often.")

class Echo(Panel):
    id, title, summary, order, settings = "echo", "Echo", "Counts to a number.", 90, Settings
    def run(self, host, settings, job):
        job.report(1, 1, "counted")
        measure = Measure("times", float(settings.times), None, None, 1)
        return Result("echo", {}, (), {}, (measure,), {}, "")

panel = Echo()
""",
    "picky.py": """
from workbench.panel import Panel

class Picky(Panel):
    id, title, summary, order = "picky", "Picky", "Works on nothing.", 91
    def needs(self, host):
        return "It wants a <model> of 1000 blocks."
    def run(self, host, settings, job):
        raise NotImplementedError

panel = Picky()
""",
    "broken.py": "raise RuntimeError('cannot <load>')\n",
}
"""Third parties' panels: one that works, one that fits no model, one that cannot be imported."""


@contextmanager
def served(folder: Path) -> Iterator[tuple[Workbench, str]]:
    """Serve a workbench with `PANELS` on a free port; gives it and its address."""
    panels = folder / "panels"
    panels.mkdir(parents=True)
    for name, text in PANELS.items():
        (panels / name).write_text(text, encoding="utf-8")
    bench = Workbench(workspace=folder / "workspace", panels_dir=panels)
    page = launch(MODEL, Entrance(port=0, token=NO_TOKEN), bench=bench, prevent_thread_lock=True)
    try:
        yield bench, str(page.local_url)
    finally:
        page.close(verbose=False)
        bench.lane.close()


@contextmanager
def started() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, address: str, *, width: int = 1280, panel: str = "vectors", query: str = ""
) -> Iterator[Page]:
    """The page of a panel, on which the model stands; the start page where `panel` is empty.

    Fails at the end if the console showed an error or anything was fetched from elsewhere.
    """
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    complaints: list[str] = []
    loaded: list[str] = []
    told(page)
    page.on("domcontentloaded", lambda page: loaded.append(page.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if _elsewhere(request.url, address) else None)
    try:
        page.goto(f"{address}{panel}{query}", wait_until="domcontentloaded")
        page.wait_for_selector(".sw-model .sw-name")
        yield page
    finally:
        context.close()
    complaints = _without_leaving(complaints, len(loaded))
    assert not complaints, complaints


def told(page: Page) -> None:
    """Print what a page asks for in vain, and where it goes: pytest shows it where its test fails."""
    page.on("requestfailed", lambda request: print("failed:", request.method, request.url, request.failure))
    page.on("response", lambda answer: print(answer.status, answer.url) if answer.status >= 400 else None)
    page.on("framenavigated", lambda frame: print("at", frame.url))
    page.on("crash", lambda page: print("crashed:", page.url))


def go(page: Page, name: str) -> None:
    """Open the page of another panel by its link, and wait until it stands as it stood."""
    link = page.locator(".sw-nav a", has_text=re.compile(rf"^{name}$"))
    try:
        with page.expect_request(lambda request: request.is_navigation_request(), timeout=20_000):
            link.click()
    except TimeoutError:  # a busy machine has been seen to lose the click; somebody would click again
        warnings.warn(f"A click on {name} asked for no page.", stacklevel=2)
        link.click()
    expect(page.locator(".sw-nav a[aria-current]")).to_have_text(name)
    page.wait_for_selector(".sw-model .sw-name")


def drawn(page: Page, place: str) -> None:
    """Scroll to a figure and expect that it is drawn: it is not before somebody sees it."""
    part = page.locator(f"{place} .sw-drawing")
    part.scroll_into_view_if_needed()
    expect(part.locator("svg")).to_be_visible()


def _without_leaving(complaints: list[str], left: int) -> list[str]:
    """Without what Gradio says when a page is left: it closes its streams, and takes that for failures."""
    if left < 2:
        return complaints
    return [
        each
        for each in complaints
        if not any(sign in each for sign in _LEFT) and not (each.startswith("AbortError") and ".close (" in each)
    ]


_LEFT = ("Connection errored out", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "TypeError: network error")
"""A stream whose page has gone: what Gradio says, what Chromium says, and how reading on from it ends."""


def hold_open(goes_on: Callable[[], bool] = lambda: True) -> None:
    """Wait in a job until somebody stops it, so that there is something to stop however fast the machine is.

    Args:
        goes_on: Whether to wait on.
    """
    end = time.monotonic() + SLOW / 1000
    while goes_on() and time.monotonic() < end:
        look_for_stop()
        time.sleep(0.02)


def until(condition: Callable[[], Any], seconds: float = SLOW / 1000) -> None:
    """Wait for something that the browser cannot see."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:", "about:"))
