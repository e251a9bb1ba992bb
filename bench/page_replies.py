"""What replies and long texts cost the browser: streamed updates, Stop, and 100,000 pasted characters.

Called by `bench/page.py`. Tokens are slowed down, so that a reply streams for as long as one of a large model does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browser_work import LONG_TASKS, fresh, stands
from page_streams import print_stream
from playwright.sync_api import Browser, Page

from steering.passes import decoding


PAUSE = 0.1
"""Seconds that a token takes more."""
TURNS = 8
"""Of the long conversation."""
WATCHED = 2.0
"""Seconds for which a reply is watched."""
_WRITES = ".sw-pane.sw-a .sw-caret"
PASTED = {
    "words": "The weather is fine today. " * 4000,
    "no spaces": "x" * 100_000,
    "right to left": "مرحبا بالعالم " * 8000,
    "emoji": "😀🐈 " * 25_000,
}
"""Texts of which the first 100,000 characters are pasted."""


def print_replies(browser: Browser, address: str) -> None:
    """Print what a streamed update and a pasted text cost, and how soon Stop is felt."""
    page, client = fresh(browser, own_time=True)
    page.goto(f"{address}steer")
    stands(page)
    page.locator("#run:visible, #start:visible").first.click()
    page.locator(".sw-pane.sw-a .sw-tok").first.wait_for()
    with _slow():
        print_stream(page, client, "/steer, first message", "#run", _WRITES, WATCHED)
    for turn in range(TURNS):
        page.locator("#follow-up textarea").fill(f"Write a note about the meeting {turn}.")
        page.click("#send")
        page.wait_for_function(f"document.querySelectorAll('.sw-pane.sw-a .sw-past').length === {turn + 1}")
        page.locator("#send:not([disabled])").wait_for()
    page.locator("#follow-up textarea").fill("Write a review of the film.")
    with _slow():
        print_stream(page, client, f"/steer, message {TURNS + 2}", "#send", _WRITES, WATCHED)
    _print_pasted(page, "/steer", ("#user textarea", "#system textarea"))
    page.goto(f"{address}grid")
    page.locator("#grid-size", has_text="replies").wait_for()
    _print_pasted(page, "/grid", ("#grid-user textarea",))
    page.context.close()


def _print_pasted(page: Page, what: str, fields: tuple[str, ...]) -> None:
    """The longest task after each text is pasted into each field, as somebody does it: over what stands there."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for field in fields:
        for name, text in PASTED.items():
            page.evaluate("text => navigator.clipboard.writeText(text)", text[:100_000])
            page.locator(field).click()
            page.keyboard.press("Control+a")
            page.evaluate(LONG_TASKS)
            page.keyboard.press("Control+v")
            page.wait_for_timeout(3000)
            print(f"{what} {field.split()[0]}, {name}: longest task {page.evaluate('window.longest'):.0f} ms")


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
