"""Streams on the page: what an update costs the browser, and how soon Stop frees the model.

Passes are slowed down, so that a reply streams for as long as one of a large model does. Stop counts from the click in
the browser until the model thread is free, less what was left of the pass that ran meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import CDPSession, Page

from bench.browser_work import LONG_TASKS, Site, opened, site, work
from bench.harness.pairs import alone
from bench.harness.row import Aim, BenchRow
from workbench.page.inputs import Page as Served


SECTION = "Streams on the page"
PAUSE = 0.1
"""Seconds that a pass takes more."""
TURNS = 8
"""Of the long conversation."""
WATCHED = 2.0
"""Seconds for which a reply is watched."""
WRITES = ".sw-pane.sw-a .sw-caret"
PASTED = {
    "words": "The weather is fine today. " * 4000,
    "no spaces": "x" * 100_000,
    "right to left": "مرحبا بالعالم " * 8000,
    "emoji": "😀🐈 " * 25_000,
}
"""Texts of which the first 100,000 characters are pasted."""
STOP = ".sw-key-stop:visible:enabled"
LINE, OVER = ".sw-strip-row [data-job]", ".sw-strip .sw-over"
WHY = "From the click to the server takes the browser some of it, more on a busy machine."


@dataclass(frozen=True)
class Stream:
    """A job of a panel that is watched."""

    panel: str
    name: str
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
    Stream("grid", "26 strengths at every block", "#grid-run", 3, "#grid-size", "#grid-cells [data-x]", _large_grid),
    Stream("refusal", "default", "#refusal-effects-run", 40, "#refusal-size", "#refusal-effects [data-pick]"),
    Stream("tradeoff", "default", "#tradeoff-run", 40, "#tradeoff-size", "#tradeoff-plane svg"),
    Stream("probe", "default", "#probe-run", 20, "#probe-size", "#probe-curves svg"),
)


DRAWN = "The click and what is drawn first count with the updates, and a short stream has few."


def rows(quick: bool) -> Iterator[BenchRow]:
    """Replies and Stop; in a whole run every panel and long texts, too."""
    with site() as at:
        with opened(at, "steer", own_time=True) as (page, client):
            page.locator("#run:visible, #start:visible").first.click()
            page.locator(OVER, has_text="done").wait_for()
            with slowed(at) as passes:
                yield from watched(page, client, "/steer, first message", "#run", WRITES, WATCHED)
                yield _stops(at, page, passes, 3 if quick else 10)
            if quick:
                return
            yield from _long_conversation(at, page, client)
            yield from _pasted(page, "/steer", ("#user textarea", "#system textarea"))
        for stream in STREAMS:
            with opened(at, stream.panel, own_time=True) as (page, client):
                page.wait_for_function("line => document.querySelector(line).innerText.trim() !== ''", arg=stream.size)
                stream.prepare(page)
                yield from watched(
                    page, client, f"/{stream.panel}, {stream.name}", stream.run, stream.shown, stream.seconds
                )


def watched(page: Page, client: CDPSession, what: str, run: str, shown: str, seconds: float) -> list[BenchRow]:
    """Watch a stream from the click until its time is over, or it is; then stop it, and see how long until it is said.

    Args:
        page: On which all is ready for the click.
        client: Reads the page's work.
        what: Named in the row.
        run: Selector of the button.
        shown: Selector of what appears with the first results, or "".
        seconds: For which it is watched at most, from the first results on.
    """
    page.evaluate(LONG_TASKS)
    with sent_updates() as sent:
        began = time.perf_counter()

        def watch() -> None:
            page.click(run)
            page.locator(STOP).first.wait_for()
            page.locator(f"{shown}, {OVER}" if shown else LINE).first.wait_for()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and page.locator(STOP).count():
                page.wait_for_timeout(200)

        worked = work(client, watch)
        took, longest, updates = time.perf_counter() - began, page.evaluate("window.longest"), len(sent)
    note = f"{updates} updates in {took:.0f} s, longest task {longest:.0f} ms"
    each, aim = [worked / max(updates, 1)], Aim(30.0, least=False)
    name = f"{what}: an update"
    found = [alone(SECTION, name, "browser's thread", each, unit="ms", aim=aim, note=note, why=DRAWN)]
    if page.locator(STOP).count():
        asked = time.perf_counter()
        page.locator(STOP).first.click()
        page.locator(OVER).first.wait_for()
        said = [time.perf_counter() - asked]
        name, aim = f"{what}: Stop until the page says so", Aim(1.0, least=False)
        found.append(
            alone(SECTION, name, "click in the browser", said, aim=aim, note="the running pass included", why=WHY)
        )
    return found


@contextmanager
def sent_updates() -> Iterator[list[Any]]:
    """Fills with what is sent to browsers while it is open, one element an update."""
    sent: list[Any] = []
    send = Served.postprocess_data

    async def counted(self: Served, event: Any, *given: Any, **options: Any) -> list[Any]:
        sent.append(event)
        return await send(self, event, *given, **options)

    Served.postprocess_data = counted  # type: ignore[method-assign,assignment]
    try:
        yield sent
    finally:
        Served.postprocess_data = send  # type: ignore[method-assign]


@dataclass
class Passes:
    """When the model's passes began and ended, seconds of `time.perf_counter`."""

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def free_of(self, moment: float) -> float:
        """When the pass that ran at a moment was over; the moment itself where none ran."""
        running = sum(begun <= moment for begun in self.begun) - 1
        return max(moment, self.ended[running]) if 0 <= running < len(self.ended) else moment


@contextmanager
def slowed(at: Site) -> Iterator[Passes]:
    """Every pass takes `PAUSE` more, and its beginning and end are noted; hooks that change nothing."""
    passes = Passes()
    model = at.bench.model.require().model._module

    def begin(*_: Any) -> None:
        passes.begun.append(time.perf_counter())
        time.sleep(PAUSE)

    def end(*_: Any) -> None:
        passes.ended.append(time.perf_counter())

    handles = [
        model.get_input_embeddings().register_forward_pre_hook(begin),
        model.get_output_embeddings().register_forward_hook(end),
    ]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def _stops(at: Site, page: Page, passes: Passes, rounds: int) -> BenchRow:
    beyond = []
    for _ in range(rounds):
        page.click("#run")
        page.locator(STOP).first.wait_for()
        page.locator(WRITES).first.wait_for()
        asked = time.perf_counter()
        page.locator(STOP).first.click()
        while at.bench.lane.jobs():
            time.sleep(0.002)
        free = time.perf_counter()
        beyond.append(1000 * (free - passes.free_of(asked)))
        page.locator(OVER).first.wait_for()
        page.wait_for_timeout(500)
    note = f"passes of {1000 * PAUSE:.0f} ms and more"
    aim = Aim(200.0, least=False)
    return alone(
        SECTION,
        "Stop until the model is free, beyond the running pass",
        "click in the browser",
        beyond,
        unit="ms",
        aim=aim,
        note=note,
        why=WHY,
    )


def _long_conversation(at: Site, page: Page, client: CDPSession) -> list[BenchRow]:
    for turn in range(TURNS):
        page.locator("#follow-up textarea").fill(f"Write a note about the meeting {turn}.")
        page.click("#send")
        page.wait_for_function(f"document.querySelectorAll('.sw-pane.sw-a .sw-past').length === {turn + 1}")
        page.locator("#send:not([disabled])").wait_for()
    page.locator("#follow-up textarea").fill("Write a review of the film.")
    with slowed(at):
        return watched(page, client, f"/steer, message {TURNS + 2}", "#send", WRITES, WATCHED)


def _pasted(page: Page, what: str, fields: tuple[str, ...]) -> Iterator[BenchRow]:
    """The longest task after each text is pasted into each field, as somebody does it: over what stands there."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for each in fields:
        longest = {}
        for name, text in PASTED.items():
            page.evaluate("text => navigator.clipboard.writeText(text)", text[:100_000])
            page.locator(each).click()
            page.keyboard.press("Control+a")
            page.evaluate(LONG_TASKS)
            page.keyboard.press("Control+v")
            page.wait_for_timeout(3000)
            longest[name] = float(page.evaluate("window.longest"))
        worst = max(longest, key=lambda name: longest[name])
        yield alone(
            SECTION, f"{what} {each.split()[0]}: 100,000 characters pasted, longest task", "browser's thread",
            [longest[worst]], unit="ms", note=f"the slowest text: {worst}",
        )  # fmt: skip
