"""The prompt in Chromium: its tokens by keyboard and for a screen reader, hostile and very long texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest


pytest.importorskip("playwright")

from browser_support import opened, until
from playwright.sync_api import Browser, Page, expect

from tests.workbench.controls.test_recipe_editor import EVIL
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls.token_strip import MOST_DRAWN


pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONGEST = 100_000
"""Characters that people paste. Of emoji fewer: a Chromium that has no font for them takes a minute for so many."""
PASTE = """([field, text]) => {
  const area = document.querySelector(field);
  area.focus(); area.select();
  document.execCommand('insertText', false, text);
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, server: tuple[Workbench, str]) -> Iterator[Page]:
    bench, address = server
    until(lambda: bench.host is not None)
    assert bench.host is not None
    bench.workspace.put(vector("joy", 1, bench.host.info.blocks, bench.host.info.width))
    with opened(browser, address, panel="grid") as page:
        expect(page.locator("#vector-g1")).to_be_visible()
        yield page


def test_tokens_are_picked_with_the_keyboard_alone_and_focus_stays(page: Page) -> None:
    tokens = page.get_by_role("listbox").get_by_role("option")
    expect(tokens.first).to_have_attribute("tabindex", "0")
    assert page.locator("#grid-chips [tabindex='0']").count() == 1
    tokens.first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(tokens.nth(3)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#tokens-g1")).to_have_value("3")
    expect(tokens.nth(3)).to_have_attribute("aria-selected", "true")
    expect(tokens.nth(3)).to_be_focused()  # although the tokens were drawn anew
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#tokens-g1")).to_have_value("3-6")
    expect(tokens.nth(6)).to_have_attribute("aria-label", re.compile("user, token 6, written by recipe A"))


@pytest.mark.parametrize(
    "text",
    ["The weather is fine today. " * 4000, "x" * LONGEST, "مرحبا بالعالم " * 8000, "😀🐈 " * 700],
    ids=["words", "no spaces", "right to left", "emoji"],
)
def test_a_long_pasted_text_is_taken_and_drawn_at_its_ends(page: Page, text: str) -> None:
    text = text[:LONGEST]
    page.evaluate(PASTE, ["#grid-user textarea", text])
    said = page.locator("#grid-chips [data-part=said]")
    expect(said).to_contain_text("more than the 512")
    tokens = page.locator("#grid-chips [data-token]")
    assert tokens.count() <= MOST_DRAWN
    expect(page.locator("#grid-chips .sw-chips")).to_contain_text("more …")
    assert page.locator("#grid-user textarea").input_value() == text
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.get_by_role("button", name="Bread").click()
    expect(said).to_contain_text("of 512 tokens")
    expect(page.locator("#grid-chips .sw-chips")).not_to_contain_text("more …")


def test_what_a_prompt_says_is_text(page: Page) -> None:
    page.locator("#grid-user textarea").fill(f"{EVIL} ${{1+1}}{{{{1}}}}")
    expect(page.locator("#grid-chips .sw-chips")).to_contain_text("onerror")
    assert page.locator("#grid-chips img").count() == 0
    assert page.title() != "owned"
