"""The page of runs in Chromium: found, chosen, noted, starred, deleted and had back."""

from __future__ import annotations

import base64
from pathlib import Path

import pandas as pd
import pytest


pytest.importorskip("playwright")

from browser_support import go, opened, until
from playwright.sync_api import Browser, Page, expect

from steering.origins.carriers import file_origin
from steering.studies.study import Measure, Result
from tests.workbench.controls.test_recipe_editor import EVIL
from tests.workbench.runs.test_runs import RUN, _result
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.runs.archive import write_archive
from workbench.runs.run import Run
from workbench.runs.runs import Runs


pytestmark = [pytest.mark.browser, pytest.mark.slow]


_CLICK_AN_OLD_ROW = """(list, id) => {
  const row = Object.assign(document.createElement('div'), {textContent: 'Of an older list'});
  row.dataset.pick = id;
  list.querySelector('[data-part="bar"]').append(row);
  row.click();
}"""


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


def test_runs_are_compared_exported_imported_and_cleared_away(
    browser: Browser, server: tuple[Workbench, str], tmp_path: Path
) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    table = pd.DataFrame({"block": [0, 1], "auroc": [0.5, 1.0], "auroc_low": [0.4, 0.9], "auroc_high": [0.6, 1.0]})
    ids = []
    for n, share in ((3, 0.2), (4, 0.8)):
        measures = (Measure("share", share, share - 0.1, share + 0.1, 50), Measure(EVIL, 1.0, None, None, 1))
        result = _result(study="extract", measures=measures, tables={"blocks": table}, headline="blocks")
        run = Run(
            "", "extract", f"Number {n} {EVIL}", "demo", panel="vectors", about={"settings": {"n": n}, "given": ["n"]}
        )
        ids.append(_kept(bench, run, result))
    with opened(browser, address, panel="runs") as page:
        page.locator("#runs-search input").fill("Number")
        expect(page.locator("[data-tick]")).to_have_count(2)
        expect(page.locator("[data-do=compare]")).to_be_disabled()
        for id in ids:
            page.check(f'[data-tick="{id}"]')
        page.click("[data-do=compare]")
        expect(page.locator("#runs-compared")).to_contain_text("settings: n")
        expect(page.locator("#runs-measures")).to_contain_text("+0.6+0.459 to +0.741differ")
        expect(page.locator("#runs-curves-1 svg")).to_be_visible()
        assert f"?compare={ids[0]},{ids[1]}" in page.url
        page.locator(f'[data-pick="{ids[0]}"] [data-do=star]').click()  # the list is drawn anew, ticks stay
        expect(page.locator(f'[data-pick="{ids[0]}"] [data-do=star]')).to_have_attribute("aria-pressed", "true")
        expect(page.locator(f'[data-tick="{ids[0]}"]')).to_be_checked()
        with page.expect_download() as download:
            page.click("[data-do=export]")
        download.value.save_as(tmp_path / "runs.zip")
        page.set_input_files("#runs-list input[type=file]", tmp_path / "runs.zip")
        expect(page.locator("#runs-list")).to_contain_text("is here already")
        (tmp_path / "bad.zip").write_text("no archive")
        page.set_input_files("#runs-list input[type=file]", tmp_path / "bad.zip")
        expect(page.locator(".sw-error")).to_contain_text("bad.zip cannot be read")
        page.get_by_text("Make room").click()
        page.locator("#runs-latest input").fill("0")
        page.get_by_role("button", name="What would go").click()
        expect(page.locator("#runs-offer")).to_contain_text("1 run of")
        page.click("[data-do=tidy]")
        expect(page.locator("[data-tick]")).to_have_count(1)  # the other one has a star
        page.click("#runs-undo")
        expect(page.locator("[data-tick]")).to_have_count(2)
        page.goto(f"{address}runs?compare={ids[1]},{ids[0]}")
        expect(page.locator("#runs-measures")).to_contain_text("-0.6-0.741 to -0.459differ")
        assert page.title() != "owned"
        assert page.locator("#runs-measures img, #runs-compared img").count() == 0
        page.click("[data-do=close]")
        expect(page.locator("#runs-measures")).to_be_empty()
        assert "compare" not in page.url


def test_a_run_of_another_workspace_opens_as_it_was_and_nothing_of_it_runs(
    browser: Browser, server: tuple[Workbench, str], tmp_path: Path
) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    there = Runs(tmp_path / "there")
    figure = {"traces": [{"type": "scatter", "x": [0, 1], "y": [0, 1], "name": EVIL}], "layout": {}, "title": EVIL}
    hostile = {"value": f"<p>As it was</p>{EVIL}", "js_on_load": "document.title='owned'", "html_template": EVIL}
    id = there.begin(Run("", "tradeoff", EVIL, "demo", panel="tradeoff", about=RUN.about))
    there.end(
        id, "done", result=_result(), view={"shown": {"tradeoff-plane": {"value": figure}, "tradeoff-found": hostile}}
    )
    made = there.begin(Run("", "extract", "Made there", "demo", panel="vectors", about=RUN.about))
    there.end(made, "done", result=_result(vectors={"of-there": vector("of-there", 0)}), view={"shown": {}})
    with (tmp_path / "runs.zip").open("wb") as file:
        write_archive(there, [id, made], file)
    with opened(browser, address, panel="runs") as page:
        page.set_input_files("#runs-list input[type=file]", tmp_path / "runs.zip")
        row = page.locator(f'[data-pick="{id}"]')
        expect(row).to_contain_text("imported")
        row.locator("td").nth(2).click()
        expect(page.locator("#runs-run")).to_contain_text("Imported from runs.zip")
        row.locator("a").click()
        expect(page.locator("#tradeoff-found")).to_contain_text("As it was")
        assert page.locator("#tradeoff-found img, #tradeoff-plane img").count() == 0
        assert page.title() != "owned"
        page.goto(f"{address}vectors?run={made}")
        page.click("[data-vectors]")  # what an extraction made goes onto this shelf
        expect(page.locator('.sw-v[data-name="of-there"]')).to_be_visible()
    assert bench.workspace.get("of-there").vector.digest == vector("of-there", 0).digest


def test_who_is_not_alone_sees_their_own_runs_only(
    browser: Browser, server: tuple[Workbench, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    others = _kept(bench, Run("", "grid", "Somebody's", "demo", owner="somebody else", about=RUN.about), _result())
    with opened(browser, address, panel="runs") as page:
        expect(page.locator(f'[data-pick="{others}"]')).to_be_visible()
        monkeypatch.setattr(bench, "only_here", False)
        # In one step, since the list may be drawn anew at any time, and without the row then.
        page.locator("#runs-list").evaluate(_CLICK_AN_OLD_ROW, others)
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
        expect(page.locator("#download")).to_be_visible()
        page.check(".sw-run [data-bare]")
        expect(page.locator("#download")).to_be_hidden()  # it gives its file whole
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
