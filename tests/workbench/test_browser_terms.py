"""Hints on the glossary's terms: at the pointer, on focus by keyboard, for a screen reader; and a page of them all."""

from __future__ import annotations

from typing import Any

import pytest
from browser_support import go, opened
from playwright.sync_api import expect

from steering.glossary import glossary


pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_terms_say_what_they_mean_where_they_stand(browser: Any, server: Any) -> None:
    _, address = server
    bypass = next(term for term in glossary() if term.term == "bypass")
    with opened(browser, address, panel="refusal") as page:
        term, hint = page.locator('.sw-term[data-term="bypass"]').first, page.locator("#sw-hint")
        expect(term).to_be_visible()
        assert page.locator('.sw-card:has-text("Choose by") .sw-term[data-term="bypass"]').count() == 1  # once a card
        described = page.locator(f"#{term.get_attribute('aria-describedby')}")
        expect(described).to_have_text(f"{bypass.means} {bypass.formula}")
        term.hover()
        expect(hint).to_be_visible()
        expect(hint).to_contain_text(bypass.means)
        hint.hover()  # it stays while the pointer is over it
        page.wait_for_timeout(400)
        expect(hint).to_be_visible()
        page.keyboard.press("Escape")
        expect(hint).to_be_hidden()
        assert page.locator("button .sw-term, a .sw-term, .sw-reply .sw-term, input .sw-term").count() == 0
        before = page.locator('.sw-card:has-text("Choose by") .sw-term').first
        before.evaluate("element => element.focus({focusVisible: true})")
        expect(hint).to_be_visible()
        page.keyboard.press("Tab")
        box = hint.bounding_box()
        assert box is None or box["x"] >= 0
        go(page, "Glossary")
        expect(page.locator(".sw-glossary dt")).to_have_count(len(glossary()))
        assert page.locator(".sw-glossary .sw-term").count() == 0
