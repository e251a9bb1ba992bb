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
        form = page.locator(".sw-left .sw-term:visible")
        assert form.count() > 2
        stops = page.locator(".sw-left .sw-term[tabindex='0']")
        expect(stops).to_have_count(1)  # a form is one tab stop, however many terms it has
        stops.focus()
        page.keyboard.press("ArrowRight")
        expect(form.nth(1)).to_be_focused()
        expect(hint).to_be_visible()
        expect(stops).to_have_count(1)
        last = page.locator(".sw-card p").last
        for text, change in (("log-odds", "p.firstChild.data = text"), ("cosine", "p.replaceChildren(text)")):
            last.evaluate(f"(p, text) => {{ p.textContent = 'x'; {change}; }}", f"By {text}.")
            expect(last.locator(".sw-term")).to_have_text(text)
        go(page, "Glossary")
        expect(page.locator(".sw-glossary dt")).to_have_count(len(glossary()))
        assert page.locator(".sw-glossary .sw-term").count() == 0
