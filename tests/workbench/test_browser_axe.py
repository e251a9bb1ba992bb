"""axe-core finds nothing that keeps people from using a page: on all of them, light and dark, some with results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import opened
from playwright.sync_api import Page, expect

from steering import ContrastSet, extract


pytestmark = [pytest.mark.browser, pytest.mark.slow]

_SERIOUS = ("critical", "serious", "moderate")


def _findings(page: Page) -> list[str]:
    """What axe-core finds, each with the elements it is about."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in found
        if each["impact"] in _SERIOUS
    ]


def _turn(page: Page, *, dark: bool) -> None:
    """Switch the theme, and wait until the texts have their colours: Gradio lets them fade from one to the other."""
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
    page.wait_for_function("!document.getAnimations().some(each => each instanceof CSSTransition)")


def _steered(page: Page) -> None:
    page.locator(".sw-body .sw-key-run.primary").click()
    expect(page.locator(".sw-strip .sw-over", has_text="done")).to_be_visible()


def _counted(page: Page) -> None:
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".sw-right table")).to_contain_text("times")


def _picked(page: Page) -> None:
    expect(page.locator("#vector-view .sw-h").first).to_be_visible()


def _found(page: Page) -> None:
    """The table, and a feature that is open with its texts."""
    for number, given in (("texts-n", "12"), ("n", "2"), ("permutations", "100")):
        page.locator(f"#features-{number} input").evaluate("(field) => { field.closest('details').open = true; }")
        page.locator(f"#features-{number} input").fill(given)
        page.keyboard.press("Tab")
    page.click("#features-run")
    expect(page.locator("#features-feature [role=img]").first).to_be_visible()
    page.locator("#features-snippets summary").click()


def _trained(page: Page) -> None:
    """A vector with its table, its card and replies before and after."""
    for number, given in (("n", "24"), ("steps", "4"), ("budget", ""), ("replies", "2"), ("random", "0")):
        field = page.locator(f"#train-{number} input")
        field.evaluate("(field) => { const fold = field.closest('details'); if (fold) fold.open = true; }")
        field.fill(given)
        page.keyboard.press("Tab")
    page.locator("#train-shuffled input").uncheck()
    page.click("#train-run")
    expect(page.locator("#train-texts .sw-pane").first).to_be_visible()
    expect(page.locator("#train-run")).to_be_enabled()


def _sheet(page: Page) -> None:
    page.locator(".sw-keys-open").click()
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


_PAGES: dict[str, Callable[[Page], None] | None] = {
    "": None,
    "vectors": _picked,
    "steer": _steered,
    "grid": None,
    "refusal": None,
    "tradeoff": None,
    "probe": None,
    "train": _trained,
    "features": _found,
    "glossary": _sheet,
    "echo": _counted,
    "broken": None,
}


@pytest.mark.parametrize("panel", _PAGES, ids=lambda panel: panel or "start")
def test_no_serious_finding(browser: Any, server: Any, panel: str) -> None:
    bench, address = server
    if not bench.workspace.names():
        host = bench.model.loading.result() if bench.model.loading else bench.model.require()
        bench.workspace.put(extract(host, ContrastSet.load("formality")))
    with opened(browser, address, panel=panel) as page:
        page.wait_for_function("!document.querySelector('.sw-opening')")
        act = _PAGES[panel]
        if act:
            act(page)
        for dark in (False, True):
            _turn(page, dark=dark)
            assert _findings(page) == [], "dark" if dark else "light"


def test_a_finding_would_be_seen(browser: Any, server: Any) -> None:
    _, address = server
    with opened(browser, address, panel="glossary") as page:
        page.evaluate("document.querySelector('.sw-body-column').insertAdjacentHTML('beforeend', '<input>')")
        assert any("label" in each for each in _findings(page))
