"""The page of runs in Chromium: found, chosen, noted, starred, deleted and had back."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest


pytest.importorskip("playwright")

from browser_support import SLOW, go, opened, until
from playwright.sync_api import Browser, Page, expect

from steering.origins.carriers import file_origin
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


def test_an_exported_file_brings_its_settings_back_when_it_is_dropped(
    browser: Browser, server: tuple[Workbench, str], tmp_path: Path
) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    with opened(browser, address, panel="vectors") as page:
        page.locator("#vectors-seed input").evaluate("node => node.closest('details')?.setAttribute('open', '')")
        page.locator("#vectors-seed input").fill("17")
        page.click("#extract")
        expect(page.locator("#auroc-plot svg").first).to_be_visible()
        saved = {}
        for kind in ("svg", "png"):
            with page.expect_download() as download:
                page.click(f"#auroc-plot [data-save={kind}]")
            saved[kind] = tmp_path / f"figure.{kind}"
            download.value.save_as(saved[kind])
        id = page.get_attribute(".sw-run", "data-run") or ""
        with page.expect_download() as download:
            page.click("[data-run-as=yaml]")
        assert download.value.suggested_filename == f"extract-{id[:8]}.yaml"
    origins = [file_origin(path) for path in saved.values()]
    assert origins[0] == origins[1]
    assert (origins[0].run, origins[0].settings["seed"]) == (id, 17)
    bench.runs.delete(id)  # as on another machine, where nothing of the run is known
    with opened(browser, address, panel="probe") as page:
        _drop(page, saved["png"])
        page.wait_for_url("**/vectors?**")
        expect(page.locator(".sw-was")).to_contain_text(f"run {id}")
        expect(page.locator("#vectors-seed input")).to_have_value("17")
        bench.runs.restore(id)
        _drop(page, saved["svg"])
        expect(page.locator(".sw-was")).to_contain_text("Extraction")
        (tmp_path / "mine.png").write_bytes(b"\x89PNG")
        _drop(page, tmp_path / "mine.png")
        expect(page.locator(".sw-fallen")).to_contain_text("does not say which run it comes from")


def _drop(page: Page, path: Path) -> None:
    """Let go of a file above the page, as a browser tells it."""
    data = base64.b64encode(path.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """([name, data]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], name));
          return transfer;
        }""",
        [path.name, data],
    )
    page.dispatch_event(".sw-body-column", "drop", {"dataTransfer": transfer})
