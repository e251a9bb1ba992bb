"""The Probe panel in Chromium: curves that fill, a reading in words, pairs, files, Stop, bad input."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest


pytest.importorskip("playwright")

from browser_support import drawn, hold_open, opened, until
from playwright.sync_api import Browser, Page, expect

from steering.studies.probing import Probing
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str]) -> Iterator[Page]:
    until(lambda: server[0].host is not None)
    with opened(browser, server[1], panel="probe") as page:
        expect(page.locator("#probe-run")).to_be_enabled()
        yield page


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        field = page.locator(f"#probe-{name} input")
        field.fill(value)
        page.keyboard.press("Tab")
        expect(field).to_have_value(value)


def more(page: Page, number: int) -> None:
    page.locator("#probe-fields summary").nth(number).click()


def small(page: Page) -> None:
    """40 pairs, two blocks, 20 steps, four items of behaviour."""
    for number in range(3):
        more(page, number)
    fill(page, n="40", blocks="2-3", restarts="2", steps="20")
    fill(page, **{"cause-n": "4", "cause-strengths": "-0.5, 0.5"})
    page.locator("#probe-controls").get_by_label("A meaningless marker").uncheck()


def test_a_run_leads_to_curves_words_pairs_files_and_steer(page: Page) -> None:
    expect(page.locator("#probe-found")).to_contain_text("Nothing probed yet")
    told = page.locator("#probe-size")
    expect(told).to_contain_text("27,000 steps of training")  # 6 blocks x 3 trainings x 1,500
    page.get_by_role("button", name="Quick").click()
    expect(told).to_contain_text("5,400 steps of training")
    expect(page.locator("#probe-n input")).to_have_value("120")
    small(page)
    page.click("#probe-run")
    expect(page.locator(".sw-strip .sw-over").filter(has_text="Probes: demo")).to_contain_text("done")
    expect(page.locator("#probe-run")).to_be_enabled()
    expect(page.locator("#probe-notes")).to_contain_text("Supervised ceiling")
    for name in ("curves", "polarity", "clusters", "apart", "caused"):
        drawn(page, f"#probe-{name}")
    expect(page.locator("#probe-curves")).to_contain_text("n = 40 pairs of demo, template reply")
    expect(page.locator("#probe-scores")).to_contain_text("constant probe")
    read = page.locator("#probe-reading")
    expect(read).to_contain_text("On negation pairs")
    other = "Block 2" if "block 3" in read.inner_text() else "Block 3"
    page.locator("#probe-place input").click()
    page.get_by_role("option", name=other).click()
    expect(read).to_contain_text(f"CCS at {other.lower()}")
    page.locator("#probe-part input").click()
    page.get_by_role("option", name="Negation pairs").click()
    expect(page.locator("#probe-curves")).to_contain_text("n = 15 pairs")
    pairs = page.locator("#probe-pairs details")
    expect(pairs.locator("table")).to_be_hidden()
    pairs.locator("summary").click()
    expect(page.locator("#probe-pairs tbody tr")).to_have_count(15)
    page.locator("#probe-part input").click()
    page.get_by_role("option", name="All pairs").click()
    expect(page.locator("#probe-pairs tbody tr")).not_to_have_count(15)
    expect(pairs.locator("table")).to_be_visible()  # what was opened stays open with what it shows now
    expect(page.locator("#probe-pairs")).to_contain_text("<|assistant|>")
    for name, inside in (("blocks-csv", "ccs_esa"), ("report", "Probes of harm on demo"), ("code", "find_study")):
        with page.expect_download() as file:
            page.click(f"#probe-{name}")
        assert inside in Path(file.value.path()).read_text(encoding="utf-8")
    page.click("#probe-to-steer")
    expect(page.locator("#vector-a1")).to_have_value("CCS probe")


def test_bad_input_is_one_card_and_stop_keeps_what_there_is(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    take, rounds = Probing._take, count(1)

    def slowly(*given: Any) -> None:
        if next(rounds) > 2:
            hold_open()
        take(*given)

    monkeypatch.setattr(Probing, "_take", slowly)
    for number in range(3):
        more(page, number)
    fill(page, restarts="0")
    expect(page.locator("#probe-size")).to_contain_text("from 1")
    fill(page, restarts="1", blocks="9", n="40", steps="20")
    page.click("#probe-run")
    card = page.locator(".sw-body-column").locator(".sw-error")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("0 to 5")
    fill(page, blocks="")
    page.click("#probe-run")
    drawn(page, "#probe-curves")
    page.click("#probe-stop")
    expect(page.locator(".sw-strip .sw-over")).to_contain_text("stopped")
    expect(page.locator("#probe-notes")).to_contain_text("of 6 places were probed")
    expect(page.locator("#probe-run")).to_be_enabled()
