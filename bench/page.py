"""What every page costs: `python bench/page.py`.

Components, events and configuration of each page, then in Chromium: time until it stands, until a first click is
answered, a first and a second switch to it, and what an idle page, an extraction, replies, pasted texts and what
streams on each panel cost the browser.
All times are of this machine and this run; the last column is a ratio to the page with least of it. Beside them stands
the single page that held every panel before (`single_page.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from browser_work import LONG_TASKS, WAIT, extraction, fresh, idle_share, stands, work
from playwright.sync_api import Browser, sync_playwright
from single_page import print_single_page

from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import build, launch


sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import chromium
from page_replies import print_replies
from page_streams import print_streams


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", default="demo")
    arguments.add_argument("--sizes", action="store_true", help="only what needs no browser")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = page_sizes(Path(folder) / "sizes")
        print_sizes(sizes)
        if given.sizes:
            return
        served = launch(
            given.model, Entrance(port=0, token=""), workspace=Path(folder) / "served", prevent_thread_lock=True
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
            try:
                print_times(browser, served.local_url, list(sizes))
                print_work(browser, served.local_url)
                print_replies(browser, served.local_url)
                print_streams(browser, served.local_url)
                print_single_page(browser, given.model)
            finally:
                browser.close()
                served.close(verbose=False)


def page_sizes(workspace: Path) -> dict[str, tuple[int, int, int, int]]:
    """By page: components, events, inputs and outputs of all events, bytes of its configuration."""
    bench = Workbench(workspace=workspace)
    config = build(bench).get_config_file()
    bench.lane.close()
    sizes = {}
    for page, here in config["page"].items():
        parts = [each for each in config["components"] if each["id"] in set(here["components"])]
        events = [each for each in config["dependencies"] if each["id"] in set(here["dependencies"])]
        ends = sum(len(each["inputs"]) + len(each["outputs"]) for each in events)
        sizes[page] = (len(parts), len(events), ends, len(json.dumps([parts, events, here["layout"]], default=str)))
    return sizes


def print_sizes(sizes: dict[str, tuple[int, int, int, int]]) -> None:
    """The first table."""
    least = min(size[3] for size in sizes.values())
    print(f"{'page':12}{'components':>12}{'events':>8}{'in + out':>10}{'kB':>8}{'ratio':>8}")
    for page, (parts, events, ends, size) in sizes.items():
        print(f"{'/' + page:12}{parts:12}{events:8}{ends:10}{size / 1000:8.0f}{size / least:8.1f}")


def print_times(browser: Browser, address: str, pages: list[str]) -> None:
    """Seconds until a page stands, until its first click is answered, and of two switches to it from the start page."""
    print(f"\n{'page':12}{'stands':>8}{'click':>8}{'switch':>8}{'again':>8}{'ratio':>8}")
    rows = {page: _times(browser, address, page) for page in pages}
    least = min(stood for stood, *_ in rows.values())
    for page, row in rows.items():
        print(f"{'/' + page:12}" + "".join(f"{value:8.1f}" for value in (*row, row[0] / least)))


def _times(browser: Browser, address: str, path: str) -> tuple[float, float, float, float]:
    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT)
    began = time.perf_counter()
    page.goto(f"{address}{path}", wait_until="commit")
    stands(page)
    stood = time.perf_counter() - began
    page.get_by_role("button", name="Switch model").click()
    page.locator("#model-name").wait_for()
    click = time.perf_counter() - began
    switches = []
    for _ in range(2):
        page.goto(address)
        stands(page)
        began = time.perf_counter()
        page.locator(f'.sw-nav a[href="./{path}"]').click()
        page.wait_for_url(f"{address}{path}*")
        stands(page)
        switches.append(time.perf_counter() - began)
    page.context.close()
    return stood, click, switches[0], switches[1]


def print_work(browser: Browser, address: str) -> None:
    """Browser work (ms of the page's main thread) of an idle page, an extraction and a streamed reply."""
    page, client = fresh(browser, own_time=True)
    page.goto(f"{address}vectors")
    stands(page)
    print(f"\n/vectors idle: {idle_share(page, client):.1f} % of a core")
    print("/vectors extraction: {:.0f} ms, longest task {:.0f} ms".format(*extraction(page, client)))
    page.goto(f"{address}steer")
    stands(page)
    page.evaluate(LONG_TASKS)

    def steer() -> None:
        page.click("#run")
        page.locator(".sw-strip .sw-over", has_text="done").wait_for()

    began = time.perf_counter()
    steered = work(client, steer)
    seconds = time.perf_counter() - began
    longest = page.evaluate("window.longest")
    print(f"/steer reply: {steered:.0f} ms in {seconds:.1f} s, longest task {longest:.0f} ms")
    page.context.close()


if __name__ == "__main__":
    main()
