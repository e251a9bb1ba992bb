"""What a stream costs the browser on every panel: its updates, its longest task, and how soon Stop is felt.

Called by `bench/page.py`. An update is one step of an event that the server sent, whatever changed with it: a token, a
cell, a figure, or the job strip's line alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from browser_work import LONG_TASKS, fresh, stands, work
from playwright.sync_api import Browser, CDPSession, Page

from workbench.page.inputs import Page as Served


_STOP = ".sw-key-stop:visible:enabled"
_COUNTED = "line => document.querySelector(line).innerText.trim() !== ''"
_LINE = ".sw-strip-row [data-job]"
_OVER = ".sw-strip .sw-over"


@dataclass(frozen=True)
class Stream:
    """A job of a panel that is watched."""

    panel: str
    """The panel's id."""
    name: str
    """What runs."""
    run: str
    """Selector of its button."""
    seconds: float
    """For which it is watched at most."""
    size: str
    """Selector of the line beside the button that says how much it is, once that is counted."""
    shown: str = ""
    """Selector of what appears with the first results; the job strip's line where empty."""
    prepare: Callable[[Page], None] = lambda page: None
    """What is filled in before."""


def _large_grid(page: Page) -> None:
    """26 strengths at every block."""
    values = "#grid-x-values :is(input, textarea)"
    page.wait_for_function(f"document.querySelector('{values}').value.startsWith('-')")
    page.wait_for_timeout(1000)  # strengths that follow the vector are in place
    page.locator(values).fill("0..1 step 0.04")
    page.locator("#grid-y input").click()
    page.get_by_role("option", name="Block", exact=True).click()
    page.wait_for_function("document.querySelector('#grid-size').innerText.includes('replies')")
    page.wait_for_timeout(1000)


STREAMS = (
    Stream("vectors", "all methods", "#methods", 10, "#extract-size"),
    Stream("vectors", "all methods, stopped early", "#methods", 0, "#extract-size"),
    Stream("grid", "26 strengths at every block", "#grid-run", 3, "#grid-size", "#grid-cells [data-x]", _large_grid),
    Stream("refusal", "default", "#refusal-effects-run", 40, "#refusal-size", "#refusal-effects [data-pick]"),
    Stream("tradeoff", "default", "#tradeoff-run", 40, "#tradeoff-size", "#tradeoff-plane svg"),
    Stream("probe", "default", "#probe-run", 40, "#probe-size", "#probe-curves svg"),
)


def print_streams(browser: Browser, address: str) -> None:
    """Print a line for every panel but Steer; see `page_replies.py` for that one."""
    for stream in STREAMS:
        page, client = fresh(browser, own_time=True)
        page.goto(f"{address}{stream.panel}")
        stands(page)
        page.wait_for_function(_COUNTED, arg=stream.size)
        stream.prepare(page)
        print_stream(page, client, f"/{stream.panel}, {stream.name}", stream.run, stream.shown, stream.seconds)
        page.context.close()


def print_stream(page: Page, client: CDPSession, what: str, run: str, shown: str, seconds: float) -> None:
    """Watch a stream from the click until its time is over, or it is; then stop it.

    Args:
        page: On which all is ready for the click.
        client: Reads the page's work.
        what: Named in the line.
        run: Selector of the button.
        shown: Selector of what appears with the first results, or "".
        seconds: For which it is watched at most, from the first results on.
    """
    page.evaluate(LONG_TASKS)
    with sent_updates() as sent:
        began = time.perf_counter()

        def watch() -> None:
            page.click(run)
            page.locator(f"{_STOP}").first.wait_for()
            page.locator(f"{shown}, {_OVER}" if shown else _LINE).first.wait_for()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and page.locator(_STOP).count():
                page.wait_for_timeout(200)

        worked = work(client, watch)
        took, longest, updates = time.perf_counter() - began, page.evaluate("window.longest"), len(sent)
    each = f"{worked / updates:.0f} ms each" if updates else "none"
    print(f"{what}: {updates} updates in {took:.0f} s, {each}, longest task {longest:.0f} ms; {_stopped(page)}")


@contextmanager
def sent_updates() -> Iterator[list[Any]]:
    """Fills with what is sent to browsers while it is open, one element an update."""
    sent: list[Any] = []
    send = Served.postprocess_data

    async def counted(self: Served, event: Any, *given: Any, **options: Any) -> list[Any]:
        sent.append(event)
        return await send(self, event, *given, **options)

    Served.postprocess_data = counted  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        Served.postprocess_data = send  # type: ignore[method-assign]


def _stopped(page: Page) -> str:
    if not page.locator(_STOP).count():
        return "it was over before Stop"
    began = time.perf_counter()
    page.locator(_STOP).first.click()
    page.locator(_OVER).first.wait_for()
    if not page.locator(_OVER, has_text="stopped").count():
        return "it was over before Stop"
    return f"Stop felt after {time.perf_counter() - began:.2f} s"
