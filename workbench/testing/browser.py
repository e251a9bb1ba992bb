"""The check that opens a panel in a browser, where Playwright and a Chromium are there."""

from __future__ import annotations

import os
import shutil
import threading
from typing import Any

from workbench.bench import Workbench
from workbench.discovery import Catalogue
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch
from workbench.panel import Panel
from workbench.testing.trial import Bench, Fault, Skip


_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_WIDTHS = (1280, 390)
_PATIENCE = 60_000
"""Milliseconds for a page to stand."""


def in_a_browser(bench: Bench) -> str:
    """The panel's page stands wide and narrow, without an error in the browser; a form that was made from settings has
    every field.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skip("Playwright is not installed.", "pip install playwright, and have a Chromium.") from None
    workbench = Workbench(workspace=bench.shelf(bench.demo), lane=bench.lane)
    workbench.catalogue = Catalogue((bench.panel,), {bench.panel.id: "the check"}, ())
    workbench.model.host = bench.demo
    page = launch("", Entrance(port=0, token=""), bench=workbench, prevent_thread_lock=True)
    try:
        return _in_a_thread(lambda: _opened(sync_playwright, f"{page.local_url}{bench.panel.id}", bench))
    finally:
        page.close(verbose=False)


def _opened(playwright: Any, address: str, bench: Bench) -> str:
    with playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=_chromium(), args=list(_ARGUMENTS))
        except Exception as error:  # Playwright's own, which is not there without it
            raise Skip(f"No Chromium could be started ({str(error).splitlines()[0]}).", "Install one.") from error
        for width in _WIDTHS:
            _look(browser, address, width, bench)
        browser.close()
    return f"Its page stands at {' and '.join(map(str, _WIDTHS))} px, without an error in the browser."


def _look(browser: Any, address: str, width: int, bench: Bench) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(_PATIENCE)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector(".sw-model .sw-name")
    page.wait_for_function("document.querySelector('.sw-opening') === null")
    cards = page.locator(".sw-body-column .sw-error").all_inner_texts()
    if cards:
        raise Fault(f"At {width} px its page shows an error: {' '.join(cards[0].split())}", "Mend build().")
    if complaints:
        raise Fault(f"At {width} px the browser says: {complaints[0][:300]}", "Mend the script or markup of build().")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
        raise Fault(
            f"At {width} px its page is wider than the window.", "Let columns stack: min_width=0, no fixed widths."
        )
    if bench.panel.needs(bench.demo) is None and type(bench.panel).build is Panel.build:
        page.wait_for_selector(f"#{bench.panel.id}-run")
    page.close()


def _chromium() -> str | None:
    """Path of the system's Chromium; None lets Playwright use its own."""
    return os.environ.get("CHROMIUM") or next((path for name in _NAMES if (path := shutil.which(name))), None)


def _in_a_thread(work: Any) -> Any:
    """What some work gives: Playwright does not start where another one, or a loop of asyncio, is at work."""
    found: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="browser")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
