"""The Trade-off panel in Chromium: charts that fill, the items behind a point, files and figures, Stop, bad input."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest


pytest.importorskip("playwright")

from browser_support import drawn, go, hold_open, opened, until
from playwright.sync_api import Browser, Page, expect

from steering.extraction.extract import extract
from steering.lane import Job
from steering.studies import STUDIES
from steering.studies.tradeoff.comparison import Comparison
from steering.texts.contrast import ContrastSet
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def vector(server: tuple[Workbench, str]) -> None:
    """Sentiment on the shelf."""
    bench, _ = server
    until(lambda: bench.host is not None)
    assert bench.host is not None
    bench.workspace.put(extract(bench.host, ContrastSet.load("sentiment"), name="sentiment"))


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str]) -> Iterator[Page]:
    with opened(browser, server[1], panel="tradeoff") as page:
        expect(page.locator("#tradeoff-size")).to_contain_text("readings")
        expect(page.locator("#vector-t1")).to_have_value("sentiment")
        yield page


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        field = page.locator(f"#tradeoff-{name} textarea, #tradeoff-{name} input").first
        field.fill(value)
        page.keyboard.press("Tab")
        expect(field).to_have_value(value)


def small(page: Page) -> None:
    """22 points on 6 items an axis, 12 of them on 20 replies for KL."""
    fill(page, strengths="-2..2 step 1", n="6", random="2")
    for name in ("Sums, generated", "False refusal", "Degenerate"):
        page.locator("#tradeoff-also").get_by_label(name).uncheck()
    # Few enough to stand without a comma, and no replies; how many of them are kept depends on the tests before.
    expect(page.locator("#tradeoff-size")).to_contain_text(re.compile(r"(Up to \d{3} readings|Kept already)"))


def run(page: Page, *, ended: str = "done") -> None:
    page.click("#tradeoff-run")
    expect(page.locator(".sw-strip .sw-over").filter(has_text="Trade-off: sentiment")).to_contain_text(ended)
    expect(page.locator("#tradeoff-run")).to_be_enabled()


def test_a_run_leads_to_charts_items_files_and_steer(page: Page) -> None:
    expect(page.locator("#tradeoff-found")).to_contain_text("Nothing measured yet")
    expect(page.locator("#tradeoff-strengths input, #tradeoff-strengths textarea").first).to_have_value(
        "-3..3 step 0.3"
    )
    small(page)
    run(page)
    expect(page.locator("#tradeoff-notes")).to_contain_text("recommended strength")
    for name in ("strength", "plane", "nats"):
        drawn(page, f"#tradeoff-{name}")
    expect(page.locator("#tradeoff-strength figcaption")).to_contain_text("n = 6")
    expect(page.locator("#tradeoff-strength h2")).to_contain_text("alignment on sentiment")
    page.click("#tradeoff-stops tr[data-pick]")
    items = page.locator("#tradeoff-items details")
    expect(items.locator(".sw-one").first).to_be_hidden()
    items.first.locator("summary").click()
    expect(items.first.locator(".sw-one")).to_have_count(6)
    expect(items.first).to_contain_text("nats a token")
    for name, inside in (
        ("csv", "kl_p95_nats"),
        ("report", "Alignment against helpfulness on demo"),
        ("recipe", '"model": "demo"'),
    ):
        with page.expect_download() as file:
            page.click(f"#tradeoff-{name}")
        assert inside in Path(file.value.path()).read_text(encoding="utf-8")
    with page.expect_download() as file:
        page.click("#tradeoff-all")
    with zipfile.ZipFile(file.value.path()) as packed:
        assert {"reproduce.py", "sentiment.safetensors", "items.csv"} <= set(packed.namelist())
    for kind, begins in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with page.expect_download() as file:
            page.locator(".sw-save").first.locator(f"[data-save={kind}]").click()
        assert Path(file.value.path()).read_bytes().startswith(begins)
    page.click("#tradeoff-to-steer")
    expect(page.locator("#vector-a1")).to_have_value("sentiment")


def test_what_stands_is_there_after_another_page_and_the_quick_settings_are_those_of_the_command_line(
    page: Page,
) -> None:
    fill(page, strengths="-1..1 step 0.5")
    quick = "#tradeoff-extent [data-pick=quick]"
    page.click(quick)
    for name in ("random", "n"):
        expect(page.locator(f"#tradeoff-{name} input").first).to_have_value(str(STUDIES["tradeoff"].quick[name]))
    expect(page.locator(quick)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#tradeoff-strengths input").first).to_have_value("-1..1 step 0.5")
    small(page)
    run(page)
    go(page, "Steer")
    go(page, "Trade-off")
    expect(page.locator("#tradeoff-strengths input").first).to_have_value("-2..2 step 1")
    expect(page.locator("#tradeoff-notes")).to_contain_text("recommended strength")
    drawn(page, "#tradeoff-plane")
    expect(page.locator("#tradeoff-size")).to_contain_text("Kept already")


def test_a_vector_of_which_nothing_says_what_it_is_about_is_asked_for(
    page: Page, server: tuple[Workbench, str]
) -> None:
    bench, _ = server
    assert bench.host is not None
    happy = ContrastSet.of(["good"] * 4 + ["fine"] * 4, ["bad"] * 4 + ["poor"] * 4, name="happy", paired=False)
    name = bench.workspace.put(extract(bench.host, happy, name="happy"))
    page.reload()
    page.locator("#vector-t1").select_option(name)
    expect(page.locator("#tradeoff-size")).to_contain_text("On what is alignment to be measured?")
    page.click("#tradeoff-run")
    expect(page.locator(".sw-body-column .sw-error")).to_contain_text("harmlessness, honesty, fairness")
    bench.workspace.remove(name)


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While this is set, a trade-off waits in its middle."""
    held, whole = threading.Event(), Comparison.run
    held.set()

    def slowly(found: Comparison, job: Job[None]) -> Iterator[None]:
        for part, _ in enumerate(whole(found, job)):
            yield
            if part == 1:  # the first items were read
                hold_open(held.is_set)

    monkeypatch.setattr(Comparison, "run", slowly)
    yield held
    held.clear()


def _shown(page: Page) -> list[str]:
    """What a page shows of the trade-off that has ended."""
    expect(page.locator("#tradeoff-notes")).to_contain_text("recommended strength")
    expect(page.locator("#tradeoff-run")).to_be_enabled()
    return [page.locator(f"#tradeoff-{part}").inner_text() for part in ("notes", "points", "stops")]


def test_reload_back_another_tab_and_another_browser_in_its_middle_all_show_the_same_end(
    page: Page, browser: Browser, server: tuple[Workbench, str], brake: threading.Event
) -> None:
    bench, address = server
    small(page)
    fill(page, n="7")  # nothing of it is kept
    page.click("#tradeoff-run")
    goes_on = page.locator("#tradeoff-stop")
    expect(goes_on).to_be_enabled()
    until(lambda: bench.lane.jobs())
    (job,) = bench.lane.jobs()
    run = bench.runs.find(limit=1)[0]
    page.reload()
    expect(goes_on).to_be_enabled()
    page.goto(f"{address}steer")
    expect(page.locator(".sw-strip .sw-elsewhere a")).to_have_text(job.title)
    page.go_back()
    expect(goes_on).to_be_enabled()
    page.go_forward()
    expect(page.locator("#run")).to_be_visible()
    page.go_back()
    expect(goes_on).to_be_enabled()
    tab = page.context.new_page()
    tab.goto(page.url)
    with opened(browser, address, panel="tradeoff", query=f"?run={run.id}") as other:
        for each in (tab, other):
            expect(each.locator("#tradeoff-stop")).to_be_enabled()
        assert not job.finished
        assert bench.lane.jobs() == [job]  # nothing was begun anew
        brake.clear()
        ends = [_shown(each) for each in (page, tab, other)]
    assert job.state == "done"
    assert ends[0] == ends[1] == ends[2]
    assert all(ends[0])
    with opened(browser, address, panel="tradeoff", query=f"?run={run.id}") as later:
        assert _shown(later) == ends[0]
    assert [each.id for each in bench.runs.find(limit=1)] == [run.id]


def test_another_method_is_shown_over_strength(page: Page) -> None:
    small(page)
    run(page)
    page.locator("#tradeoff-which input").click()
    page.get_by_role("option", name="ablation").click()
    drawn(page, "#tradeoff-strength")
    expect(page.locator("#tradeoff-strength svg")).to_contain_text("share ablated")


def test_a_sent_recipe_is_taken(page: Page) -> None:
    go(page, "Steer")
    page.locator("#mode-a1").select_option(label="Ablate")
    page.get_by_role("button", name="Send to Trade-off").click()
    expect(page.locator("#mode-t1")).to_have_value("ablate")


def test_stop_keeps_what_there_is(page: Page) -> None:
    small(page)
    fill(page, strengths="-2..2 step 0.1")
    page.click("#tradeoff-run")
    drawn(page, "#tradeoff-plane")
    page.click("#tradeoff-stop")
    expect(page.locator(".sw-strip .sw-over")).to_contain_text("stopped")
    expect(page.locator("#tradeoff-stops tr[data-pick]").first).to_be_visible()
    expect(page.locator("#tradeoff-run")).to_be_enabled()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("strengths", "1, 0", "not in order"),
        ("strengths", "0, inf", "is no number"),
        ("n", "1", "from 2"),
    ],
)
def test_bad_input_is_told_beforehand_and_is_one_card(page: Page, field: str, value: str, said: str) -> None:
    small(page)
    fill(page, **{field: value})
    expect(page.locator("#tradeoff-size")).to_contain_text(said)
    page.click("#tradeoff-run")
    card = page.locator(".sw-body-column").locator(".sw-error")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(said)


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, server: tuple[Workbench, str]) -> None:
    with opened(browser, server[1], width=390, panel="tradeoff", query="?__theme=dark") as page:
        expect(page.locator("#vector-t1")).to_have_value("sentiment")
        small(page)
        run(page)
        drawn(page, "#tradeoff-plane")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
