"""Keys: Run, Stop, panels, prompt, vectors and their sheet; none of them while one types."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser_support import opened
from playwright.sync_api import expect

from steering import ContrastSet, extract


pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_keys_do_what_the_sheet_says(browser: Any, server: Any) -> None:
    bench, address = server
    host = bench.model.loading.result() if bench.model.loading else bench.model.require()
    for name in ("formality", "sentiment"):
        bench.workspace.put(extract(host, ContrastSet.load(name)))
    with opened(browser, address, panel="steer") as page:
        prompt = page.locator("#user textarea")
        page.wait_for_function("!document.querySelector('.sw-opening')")
        page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keys")
        expect(sheet).to_be_visible()
        expect(sheet).to_contain_text("Next panel")
        expect(sheet).not_to_contain_text("Undo")  # nothing here can be undone
        page.keyboard.press("n")  # behind the sheet nothing happens
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        assert page.url.split("?")[0].endswith("/steer")

        page.keyboard.press("p")
        expect(prompt).to_be_focused()
        page.keyboard.press("Control+a")
        page.keyboard.type("snrb?v ")  # typed, and nothing else
        expect(prompt).to_have_value("snrb?v ")
        expect(sheet).to_be_hidden()
        page.keyboard.press("Control+Enter")
        expect(page.locator(".sw-pane .sw-reply.sw-now").first).not_to_have_text("Waiting …")
        expect(page.locator(".sw-strip .sw-over", has_text="done")).to_be_visible()

        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("v")
        first = page.locator(".sw-shelf [data-pick]:focus")
        expect(first).to_have_attribute("aria-pressed", "true")
        picked = first.get_attribute("data-pick")
        page.keyboard.press("ArrowDown")
        other = page.locator(".sw-shelf [data-pick]:focus")
        expect(other).not_to_have_attribute("data-pick", picked or "")
        page.keyboard.press("Enter")
        expect(page.locator('.sw-shelf [aria-pressed="true"]')).not_to_have_attribute("data-pick", picked or "")

        page.locator(".sw-keys-open").click()
        sheet.get_by_label("Single keys").uncheck()
        page.keyboard.press("Escape")
        expect(page.locator(".sw-keys-open")).to_be_focused()  # where one was
        page.keyboard.press("n")
        page.keyboard.press("?")
        expect(sheet).to_be_visible()
        sheet.get_by_label("Single keys").check()
        sheet.get_by_role("button", name="Close").click()
        page.keyboard.press("n")
        expect(page.locator(".sw-nav a[aria-current]")).to_have_text("Grid")


def test_a_third_partys_panel_runs_by_key(browser: Any, server: Any) -> None:
    _, address = server
    with opened(browser, address, panel="echo") as page:
        page.wait_for_function("!document.querySelector('.sw-opening')")
        page.keyboard.press("r")
        expect(page.locator(".sw-right table")).to_contain_text("times")
        page.keyboard.press("b")
        expect(page.locator(".sw-nav a[aria-current]")).to_have_text(re.compile("^Runs$"))
