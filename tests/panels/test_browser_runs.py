"""The page of runs in Chromium: found, chosen, noted, starred, deleted and had back."""

from __future__ import annotations

import pytest


pytest.importorskip("playwright")

from browser_support import SLOW, go, opened, until
from playwright.sync_api import Browser, expect

from steering.studies.study import Result
from tests.workbench.controls.test_recipe_editor import EVIL
from tests.workbench.runs.test_runs import RUN, _result
from workbench.bench import Workbench
from workbench.runs.run import Run


pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=SLOW)


def _kept(bench: Workbench, run: Run, result: Result) -> str:
    id = bench.runs.begin(run)
    bench.runs.end(id, "done", result=result, view={"shown": {}, "settings": {}})
    return id


def test_runs_are_found_noted_starred_deleted_and_had_back(browser: Browser, server: tuple[Workbench, str]) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    about = {"settings": {"n": EVIL}, "given": ["n"], "model": {"dtype": "float32"}}
    first = _kept(bench, Run("", "tradeoff", "Of yesterday", "demo", panel="tradeoff", about=about), _result())
    second = _kept(bench, Run("", "grid", EVIL, "other", about=RUN.about), _result())
    with opened(browser, address, panel="steer") as page:
        go(page, "Runs")
        row = page.locator(f'[data-pick="{first}"]')
        expect(page.locator(f'[data-pick="{second}"]')).to_contain_text("onerror")
        assert page.locator("#runs-list img").count() == 0
        row.locator("td").nth(2).click()
        expect(page.locator("#runs-run")).to_contain_text("auroc")
        expect(page.locator("#runs-run")).to_contain_text("onerror")
        page.locator("#runs-note textarea").fill("For the talk.")
        page.locator("#runs-tags :is(input, textarea)").fill("talk, two")
        page.click("#runs-save")
        expect(row).to_contain_text("For the talk.")
        row.locator("[data-do=star]").click()
        expect(row.locator("[data-do=star]")).to_have_attribute("aria-pressed", "true")
        page.locator("#runs-search input").fill("talk yesterday")
        expect(page.locator(f'[data-pick="{second}"]')).to_have_count(0)
        row.locator("[data-do=remove]").click()
        expect(page.locator("#runs-list")).to_contain_text("No runs")
        page.click("#runs-undo")
        expect(row).to_contain_text("For the talk.")
        row.locator("a").click()
        expect(page.locator(".sw-was")).to_contain_text("Of yesterday")
    assert bench.runs.get(first).tags == ("talk", "two")
    assert bench.runs.get(first).favourite


def test_who_is_not_alone_sees_their_own_runs_only(
    browser: Browser, server: tuple[Workbench, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    others = _kept(bench, Run("", "grid", "Somebody's", "demo", owner="somebody else", about=RUN.about), _result())
    with opened(browser, address, panel="runs") as page:
        expect(page.locator(f'[data-pick="{others}"]')).to_be_visible()
        monkeypatch.setattr(bench, "only_here", False)
        page.locator(f'[data-pick="{others}"] td').nth(2).click()
        expect(page.locator(".sw-error")).to_contain_text("another visitor's")
        page.reload()
        expect(page.locator("#runs-list")).to_contain_text("No runs")
