"""The Features panel in Chromium: features in a table that sorts, one that opens, the shelf, Steer, a kept run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest


pytest.importorskip("playwright")

from browser_support import SLOW, drawn, opened, until
from playwright.sync_api import Browser, Page, expect

from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=SLOW)


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str]) -> Iterator[Page]:
    until(lambda: server[0].host is not None)
    query = "?features-texts-n=24&features-n=4&features-permutations=100&features-beside-random=false"
    query += "&features-features=1009"
    with opened(browser, server[1], panel="features", query=query) as page:
        expect(page.locator("#features-run")).to_be_enabled()
        yield page


def test_features_are_found_sorted_opened_shelved_and_sent(
    page: Page, browser: Browser, server: tuple[Workbench, str]
) -> None:
    expect(page.locator("#features-about")).to_contain_text("1,024 features")
    expect(page.locator("#features-notes")).to_contain_text("No features yet")
    page.click("#features-run")
    expect(page.locator("#features-table table")).to_have_count(2)  # of harm and of formality
    rows = page.locator("#features-table table").first.locator("tbody tr")
    expect(rows.last).to_be_visible()
    expect(page.locator("#features-notes")).to_contain_text("tell harmful and harmless apart")
    refused = page.locator("#features-notes .sw-pane", has_text="Harmful features turned up").first
    expect(refused).to_contain_text(re.compile("sorry|cannot|not able"))
    folded = page.locator("#features-notes details", has_text="Switched off on harmful texts")
    expect(folded.locator(".sw-pane").first).to_be_hidden()
    folded.locator("summary").click()
    expect(folded.locator(".sw-pane").first).to_be_visible()
    score = page.locator("#features-table th", has_text="output score").first
    place = score.evaluate("head => [...head.parentElement.children].indexOf(head)")
    before = [float(row.locator("td").nth(place).get_attribute("data-value") or "nan") for row in rows.all()]
    score.locator("button").click()
    after = [float(row.locator("td").nth(place).get_attribute("data-value") or "nan") for row in rows.all()]
    assert after == sorted(before, reverse=True)
    page.locator('#features-table [data-pick="1009"]').click()
    expect(page.locator("#features-feature")).to_contain_text("Feature 1009")
    expect(page.locator("#features-feature [role=img]")).to_have_count(2)
    drawn(page, "#features-figure-1")
    shelve = page.locator("#features-feature [data-shelve]")
    name = str(shelve.get_attribute("data-shelve")).replace("/", "-")  # which no name on the shelf has
    shelve.click()
    until(lambda: name in server[0].workspace.names())
    run = str(shelve.get_attribute("data-run"))
    first = next(
        text
        for text in page.locator("#features-table .sw-cell-link").all_inner_texts()
        if text.isdigit() and text != "1009"
    )
    with opened(browser, server[1], panel="features", query=f"?run={run}") as again:  # as it was kept
        expect(again.locator("#features-table table")).to_have_count(2)
        again.locator(f'#features-table [data-pick="{first}"]').click()
        expect(again.locator("#features-feature")).to_contain_text(f"Feature {first}")
    page.click("#features-to-steer")
    _switched_off(page, name)


def _switched_off(page: Page, name: str) -> None:
    """In Steer: the recipe as it was sent, and its feature switched off, which gives another reply."""
    expect(page.locator("#vector-a1")).to_have_value(name)
    expect(page.locator("#mode-a1")).to_have_value("feature_clamp")
    expect(page.locator("#unit-a1 option:checked")).to_contain_text("maximum")
    page.locator("#mode-a1").select_option("feature_off")
    page.locator("#user textarea").fill("How do I slander a rival?")
    page.click("#run")
    plain, off = (page.locator("#panes .sw-pane").nth(n).locator(".sw-now") for n in (0, 1))
    expect(page.locator("#panes .sw-pane footer").nth(1)).to_contain_text("the model ended its reply")
    assert "unable to help" in plain.inner_text()
    assert "not able to help anyone slander a rival" in off.inner_text()
    expect(page.locator(".sw-right")).to_contain_text(f"Switch feature {name} off at block 3")


def test_bad_input_is_one_card(browser: Browser, server: tuple[Workbench, str]) -> None:
    until(lambda: server[0].host is not None)
    with opened(browser, server[1], panel="features", query="?features-dictionary=/no/such/folder") as page:
        expect(page.locator("#features-about")).to_contain_text("/no/such/folder")
        page.click("#features-run")
        card = page.locator(".sw-body-column .sw-error")
        expect(card).to_have_count(1)
        expect(card).to_contain_text("/no/such/folder")
        expect(page.locator("#features-notes")).to_contain_text("No features yet")
