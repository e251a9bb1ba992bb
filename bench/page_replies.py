"""What replies and long texts cost the browser: streamed updates, Stop, and 100,000 pasted characters.

Called by `bench/page.py`. Tokens are slowed down, so that a reply streams for as long as one of a large model does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from steering.passes import decoding


WAIT = 120_000
PAUSE = 0.1
"""Seconds that a token takes more."""
TURNS = 8
"""Of the long conversation."""
PASTED = {
    "words": "The weather is fine today. " * 4000,
    "no spaces": "x" * 100_000,
    "right to left": "مرحبا بالعالم " * 8000,
    "emoji": "😀🐈 " * 25_000,
}
"""Texts of which the first 100,000 characters are pasted."""
WATCH = """() => {
  window.tasks = []; window.updates = 0;
  const seen = list => list.getEntries().forEach(each => tasks.push(each.duration));
  new PerformanceObserver(seen).observe({entryTypes: ['longtask']});
  const panes = document.querySelector('#panes, #grid-cells');
  new MutationObserver(() => updates++).observe(panes, {subtree: true, childList: true, characterData: true});
}"""
PASTE = """([field, text]) => {
  const area = document.querySelector(field);
  area.focus(); area.select();
  document.execCommand('insertText', false, text);
}"""


def print_replies(browser: Browser, address: str) -> None:
    """Print what a streamed update and a pasted text cost, and how soon Stop is felt."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(WAIT)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"{address}steer")
    page.locator(".sw-model .sw-name").wait_for()
    page.locator("#run:visible, #start:visible").first.click()
    page.locator(".sw-pane.sw-a .sw-tok").first.wait_for()
    _print_stream(page, client, "/steer, first message")
    for turn in range(TURNS):
        page.locator("#follow-up textarea").fill(f"Write a note about the meeting {turn}.")
        page.click("#send")
        page.wait_for_function(f"document.querySelectorAll('.sw-pane.sw-a .sw-past').length === {turn + 1}")
        page.locator("#send:not([disabled])").wait_for()
    page.locator("#follow-up textarea").fill("Write a review of the film.")
    _print_stream(page, client, f"/steer, message {TURNS + 2}", run="#send")
    _print_pasted(page, "/steer", ("#user textarea", "#system textarea"))
    page.goto(f"{address}grid")
    page.locator("#grid-size", has_text="replies").wait_for()
    page.locator("#grid-x-values :is(input, textarea)").fill("0..1 step 0.04")
    page.locator("#grid-size", has_text="26").wait_for()
    _print_stream(page, client, "/grid, 26 cells", run="#grid-run", stop="#grid-stop", shown="#grid-cells .sw-grid")
    _print_pasted(page, "/grid", ("#grid-user textarea",))
    page.context.close()


def _print_stream(
    page: Page,
    client: CDPSession,
    what: str,
    *,
    run: str = "#run",
    stop: str = "#steer-stop",
    shown: str = ".sw-pane.sw-a .sw-caret",
) -> None:
    """Watch two seconds of a stream, then stop it."""
    page.evaluate(WATCH)
    with _slow():
        page.click(run)
        page.locator(shown).first.wait_for()
        page.wait_for_timeout(500)
        page.evaluate("tasks = []; updates = 0")
        worked = _work(client, lambda: page.wait_for_timeout(2000))
        longest, updates = page.evaluate("[Math.max(0, ...tasks), updates]")
        said = "the reply was over before Stop"  # a short one on a fast machine
        if page.is_enabled(stop):
            began = time.perf_counter()
            page.click(stop)
            page.locator(".sw-strip .sw-over", has_text="stopped").wait_for()
            said = f"Stop felt after {time.perf_counter() - began:.2f} s"
    each = f"{worked / updates:.0f} ms each" if updates else "none"
    print(f"{what}: {updates} updates, {each}, longest task {longest:.0f} ms; {said}")


def _print_pasted(page: Page, what: str, fields: tuple[str, ...]) -> None:
    """The longest task after each text is pasted into each field."""
    for field in fields:
        for name, text in PASTED.items():
            page.evaluate("tasks = []")
            page.evaluate(PASTE, [field, text[:100_000]])
            page.wait_for_timeout(3000)
            print(f"{what} {field.split()[0]}, {name}: longest task {page.evaluate('Math.max(0, ...tasks)'):.0f} ms")
            page.locator(field).fill("Hello.")
            page.wait_for_timeout(500)


@contextmanager
def _slow() -> Iterator[None]:
    read_token = decoding.read_token

    def slowly(*args: Any, **options: Any) -> Any:
        time.sleep(PAUSE)
        return read_token(*args, **options)

    decoding.read_token = slowly
    try:
        yield
    finally:
        decoding.read_token = read_token


def _work(client: CDPSession, doing: Callable[[], Any]) -> float:
    """Milliseconds of the main thread while something is done."""
    before = _busy(client)
    doing()
    return _busy(client) - before


def _busy(client: CDPSession) -> float:
    metrics = client.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
