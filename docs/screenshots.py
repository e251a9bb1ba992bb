"""Make the pictures of the README from the real page on the demo model: `python docs/screenshots.py`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import chromium  # noqa: E402 - it lies beside the browser tests


OUT = ROOT / "assets" / "screenshots"
SETS = ("truth", "harm", "formality")
"""Extracted in this order, so that the last one is picked."""
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
WIDE = {"width": 1600, "height": 1000}


def main() -> None:
    """Serve the demo model, do the main job once, and take every picture."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", default="demo")
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument("--only", nargs="*", help="Names of pictures such as steer-dark; all where none is named.")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=120_000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        served = launch(given.model, Entrance(port=0, token=""), workspace=folder, prevent_thread_lock=True)
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        try:
            _fill_the_shelf(browser, served.local_url)
            for name, size, theme, panel in (
                ("steer-light", DESKTOP, "light", "Steer"),
                ("steer-dark", DESKTOP, "dark", "Steer"),
                ("steer-phone", PHONE, "light", "Steer"),
                ("grid-light", DESKTOP, "light", "Grid"),
                ("vectors-light", DESKTOP, "light", "Vectors"),
                ("train-light", WIDE, "light", "Train"),
                ("refusal-light", DESKTOP, "light", "Refusal"),
                ("tradeoff-light", WIDE, "light", "Trade-off"),
                ("probe-light", WIDE, "light", "Probe"),
                ("features-light", WIDE, "light", "Features"),
            ):
                if given.only and name not in given.only:
                    continue
                page = _open(browser, f"{served.local_url}{panel.lower().replace('-', '')}", size, theme)
                if panel == "Steer":
                    _steer(page)
                elif panel == "Grid":
                    _sweep(page)
                elif panel == "Train":
                    _train(page)
                elif panel == "Refusal":
                    _ablate(page)
                elif panel == "Trade-off":
                    _compare(page)
                elif panel == "Probe":
                    _probe(page)
                elif panel == "Features":
                    _find(page)
                else:
                    expect(page.locator("#auroc-plot .point").first).to_be_visible()
                page.wait_for_timeout(500)
                page.screenshot(path=given.out / f"{name}.png")
                page.context.close()
        finally:
            browser.close()
            served.close(verbose=False)


def _open(browser: Browser, address: str, size: dict[str, int], theme: str) -> Page:
    page = browser.new_context(viewport=size).new_page()  # type: ignore[arg-type]
    page.goto(f"{address}?__theme={theme}", wait_until="domcontentloaded")
    expect(page.locator(".sw-model .sw-name")).to_be_visible()
    return page


def _fill_the_shelf(browser: Browser, address: str) -> None:
    page = _open(browser, f"{address}vectors", DESKTOP, "light")
    for name in SETS:
        page.locator("#contrast input").click()
        page.get_by_role("option", name=name, exact=True).click()
        page.click("#extract")
        expect(page.locator(f".sw-pick[data-pick='{name}']")).to_be_visible()
        expect(page.locator("#extract")).to_be_enabled()
    page.context.close()


def _steer(page: Page) -> None:
    expect(page.locator("#vector-a1")).to_have_value(SETS[-1])
    page.click("#run")
    expect(page.locator(".sw-strip .sw-over")).to_contain_text("done")
    expect(page.get_by_text("The first token that differs")).to_be_visible()
    page.mouse.move(0, 0)


def _train(page: Page) -> None:
    _quickly(page)
    for loss in ("bipo", "reps"):
        page.locator(f"#train-losses input[value={loss}]").check()
    page.click("#train-run")
    expect(page.locator("#train-run")).to_be_disabled()
    expect(page.locator("#train-run")).to_be_enabled(timeout=600_000)
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.move(0, 0)


def _ablate(page: Page) -> None:
    _quickly(page)
    page.click("#refusal-effects-run")
    expect(page.locator("#refusal-effects-run")).to_be_disabled()
    expect(page.locator("#refusal-effects-run")).to_be_enabled(timeout=600_000)
    page.locator("#refusal-effects").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 0)")


def _compare(page: Page) -> None:
    expect(page.locator("#vector-t1")).to_have_value(SETS[-1])
    _quickly(page)
    page.click("#tradeoff-run")
    expect(page.locator("#tradeoff-run")).to_be_disabled()
    expect(page.locator("#tradeoff-run")).to_be_enabled(timeout=600_000)
    expect(page.locator("#tradeoff-plane .point").first).to_be_visible()
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.move(0, 0)


def _probe(page: Page) -> None:
    _quickly(page)
    page.click("#probe-run")
    expect(page.locator("#probe-run")).to_be_disabled()
    expect(page.locator("#probe-run")).to_be_enabled(timeout=600_000)
    expect(page.locator("#probe-curves .point").first).to_be_visible()
    page.locator("#probe-curves").scroll_into_view_if_needed()
    page.mouse.move(0, 0)


def _find(page: Page) -> None:
    page.click("#features-run")
    expect(page.locator("#features-table tbody tr").first).to_be_visible(timeout=600_000)
    page.evaluate("document.getElementById('features-notes').scrollIntoView()")
    page.mouse.move(0, 0)


def _quickly(page: Page) -> None:
    quick = page.locator(".sw-extent[data-pick=quick]")
    quick.click()
    expect(quick).to_have_attribute("aria-pressed", "true")


def _sweep(page: Page) -> None:
    page.locator("#grid-y input").click()
    page.get_by_role("option", name="Block", exact=True).click()
    page.locator("#grid-y-values input, #grid-y-values textarea").fill("3, 4, all")
    expect(page.locator("#grid-size")).to_contain_text("15 replies")
    page.click("#grid-run")
    expect(page.locator("#grid-csv")).to_be_visible()
    page.mouse.move(0, 0)


if __name__ == "__main__":
    main()
