"""What every page costs: until it stands, until a first click is answered, idle, and under an extraction and a reply.

A reply through the page is held against the same run without a page, in the same process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.browser_work import LONG_TASKS, Site, extraction, fresh, idle_share, opened, site, stands, work
from bench.harness.pairs import Timed, alone, clocked, paired
from bench.harness.row import BenchRow
from bench.models import endless
from steering.studies import STUDIES
from steering.studies.steer import SteerSettings
from workbench.bench import Workbench
from workbench.frame.shell import build


SECTION = "The page"
OFTEN = ("vectors", "steer")
"""Pages of a short run."""
OVER = ".sw-strip .sw-over"


def rows(quick: bool) -> Iterator[BenchRow]:
    """Sizes without a browser, then times and work in Chromium."""
    sizes = page_sizes()
    heaviest = max(sizes, key=lambda page: sizes[page].kilobytes)
    yield alone(
        SECTION, f"configuration of the heaviest page, /{heaviest}", "sent once", [sizes[heaviest].kilobytes],
        unit="kB", note=sizes[heaviest].words,
    )  # fmt: skip
    with site() as at:
        with opened(at, "vectors"):
            pass  # the first page that anybody asks for is put together
        for page in OFTEN if quick else sizes:
            yield from _times(at, page, sizes[page], 2 if quick else 5)
        yield from _work(at)
        yield _tokens(at, 3 if quick else 9)


@dataclass(frozen=True)
class Size:
    """Of a page's configuration."""

    components: int
    events: int
    ends: int
    """Inputs and outputs of all events."""
    kilobytes: float

    @property
    def words(self) -> str:
        return f"{self.components} components, {self.events} events with {self.ends:,} ends, {self.kilobytes:.0f} kB"


def page_sizes() -> dict[str, Size]:
    """By page."""
    with TemporaryDirectory() as folder:
        bench = Workbench(workspace=Path(folder))
        config = build(bench).get_config_file()
        bench.lane.close()
    sizes = {}
    for page, here in config["page"].items():
        parts = [each for each in config["components"] if each["id"] in set(here["components"])]
        events = [each for each in config["dependencies"] if each["id"] in set(here["dependencies"])]
        ends = sum(len(each["inputs"]) + len(each["outputs"]) for each in events)
        size = len(json.dumps([parts, events, here["layout"]], default=str)) / 1000
        sizes[page] = Size(len(parts), len(events), ends, size)
    return sizes


def _times(at: Site, path: str, size: Size, rounds: int) -> Iterator[BenchRow]:
    found = [_opened(at, path) for _ in range(rounds)]
    for n, what in enumerate(("stands", "first click handled", "stands again after a switch")):
        note = size.words if n == 0 else ""
        yield alone(
            SECTION, f"/{path or 'start'}: {what}", "from asking for it", [each[n] for each in found], note=note
        )


def _opened(at: Site, path: str) -> tuple[float, float, float]:
    """Seconds until a page stands and until it has handled a click, from asking for it; and of a switch to it."""
    page, _ = fresh(at.browser)
    began = time.perf_counter()
    page.goto(f"{at.address}{path}", wait_until="commit")
    stands(page)
    stood = time.perf_counter() - began
    page.get_by_role("button", name="Switch model").click()
    page.locator("#model-name").wait_for()
    click = time.perf_counter() - began
    page.goto(at.address)
    stands(page)
    began = time.perf_counter()
    page.locator(f'.sw-nav a[href="./{path}"]').first.click()
    page.wait_for_url(f"{at.address}{path}*")
    stands(page)
    switch = time.perf_counter() - began
    page.context.close()
    return stood, click, switch


def _work(at: Site) -> Iterator[BenchRow]:
    """The browser's own work: an idle page, an extraction, and a streamed reply."""
    with opened(at, "vectors", own_time=True) as (page, client):
        yield alone(SECTION, "/vectors idle", "browser", [idle_share(page, client)], unit="% of a core")
        spent, longest = extraction(page, client)
        note = f"longest task {longest:.0f} ms"
        yield alone(SECTION, "/vectors extraction", "browser's thread", [spent], unit="ms", note=note)
    with opened(at, "steer", own_time=True) as (page, client):
        page.evaluate(LONG_TASKS)

        def steer() -> None:
            page.click("#run")
            page.locator(OVER, has_text="done").wait_for()

        spent = work(client, steer)
        note = f"longest task {page.evaluate('window.longest'):.0f} ms"
        yield alone(SECTION, "/steer reply", "browser's thread", [spent], unit="ms", note=note)


def _tokens(at: Site, rounds: int) -> BenchRow:
    """The default run of Steer through a page, from the click until it is done, beside the same settings without; no
    reply ends before its 60 tokens.
    """
    with endless(at.bench.model.require()):
        return _beside_headless(at, rounds)


def _beside_headless(at: Site, rounds: int) -> BenchRow:
    own = at.bench.model.require()

    def through_page() -> Timed:
        with opened(at, "steer") as (page, _):
            page.locator("#run:visible").wait_for()
            began, computed = time.perf_counter(), time.process_time()
            page.click("#run")
            page.locator(OVER, has_text="done").wait_for()
            return Timed(time.perf_counter() - began, time.process_time() - computed)

    through_page()
    run = next(run for run in at.bench.runs.find() if run.kind == "steer")
    study, said = STUDIES["steer"], at.bench.runs.result(run.id)
    assert said is not None
    settings = SteerSettings.model_validate({**said.settings, "vectors": str(at.bench.workspace.shelf)})
    found = paired(through_page, clocked(lambda: study.start(own, settings).result()), rounds, warm=0)
    made = sum(settings.recipes[0].decode.max_new_tokens for _ in said.tables["replies"].index)
    note = (
        f"{made / found.ours:,.0f} tokens/s through the page, {made / found.theirs:,.0f} headless, two replies at once"
    )
    return found.row(SECTION, "tokens per second of a reply", "through the page", "the same run headless", note=note)
