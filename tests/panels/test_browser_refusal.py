"""The Refusal panel in Chromium: three steps, the replies behind a number, another candidate, Stop, and bad input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest


pytest.importorskip("playwright")

from browser_support import drawn, go, opened
from playwright.sync_api import Browser, Page, expect

from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str]) -> Iterator[Page]:
    with opened(browser, server[1], panel="refusal") as page:
        expect(page.locator("#refusal-size")).to_contain_text("replies")
        yield page


def step(page: Page, name: str, *, wait: bool = True) -> None:
    page.click(f"#refusal-{name}-run")
    if wait:
        expect(page.locator(".sw-strip .sw-over").filter(has_text=f"Refusal: {name}")).to_contain_text("done")
        expect(page.locator(f"#refusal-{name}-run")).to_be_enabled()


def small(page: Page) -> None:
    for folded in ("questions", "n-train"):
        page.locator(f"#refusal-{folded}").locator("xpath=ancestor::details").locator("summary").first.click()
    fields = {
        "n-train": "16",
        "n-validation": "8",
        "n-test": "4",
        "random": "1",
        "reply-tokens": "16",
        "questions": "4",
    }
    for name, value in fields.items():
        page.locator(f"#refusal-{name} input").fill(value)
        page.keyboard.press("Tab")
    expect(page.locator("#refusal-size")).to_contain_text(re.compile(r"(Up to \d{3} replies|Kept already)"))


def test_three_steps_lead_to_the_replies_and_to_steer(
    page: Page, server: tuple[Workbench, str], tmp_path: Path
) -> None:
    expect(page.locator("#refusal-found")).to_contain_text("Nothing measured yet")
    small(page)
    step(page, "tokens")
    expect(page.locator("#refusal-token-table")).to_contain_text("Sorry")
    expect(page.locator("#refusal-tokens")).to_contain_text("Sorry")
    assert page.locator("#refusal-tokens input:checked").count() >= 1
    step(page, "candidates")
    expect(page.locator("#refusal-candidates .sw-on")).to_contain_text("chosen")
    expect(page.locator("#refusal-candidates")).to_contain_text("cosine with the planted direction 0.")
    for name in ("bypass", "induce", "kl", "cosmic"):
        drawn(page, f"#refusal-map-{name}")
    step(page, "effects")
    expect(page.locator("#refusal-found")).to_contain_text("Ablating the direction everywhere takes refusal")
    for name in ("rates", "damage", "probes", "cosines", "along"):
        drawn(page, f"#refusal-{name}")
    # Too few decisions on one side to learn from: the reason stands there in place of an empty picture.
    expect(page.locator("#refusal-found")).to_contain_text("too few on one side for a surrogate")
    expect(page.locator("#refusal-blocks .sw-picture")).to_be_hidden()
    page.locator("#refusal-reference input").fill("demo-helpful")
    page.keyboard.press("Tab")
    step(page, "effects")  # all but the other model's states is kept
    drawn(page, "#refusal-blocks")
    expect(page.locator("#refusal-blocks")).to_contain_text("aligned model")
    for table in page.locator("#refusal-view .sw-scroll").all():
        assert table.evaluate("each => each.scrollWidth <= each.clientWidth"), "nothing is cut"
    page.click("#refusal-effects [data-pick='ablate|harmful|0']")
    replies = page.locator("#refusal-replies details")
    expect(replies.locator(".sw-one").first).to_be_hidden()
    replies.locator("summary").click()
    expect(replies.locator(".sw-one")).to_have_count(4)
    expect(replies.locator(".sw-one").first).to_contain_text("compliance")
    with page.expect_download() as report:
        page.click("#refusal-report")
    assert "Refusal direction of demo" in Path(report.value.path()).read_text(encoding="utf-8")
    page.click("#refusal-to-steer")
    expect(page.locator("#mode-a1")).to_have_value("ablate")
    expect(page.locator("#vector-a1")).to_have_value("refusal")
    assert "refusal" in server[0].workspace.names()


def test_a_click_on_a_candidate_takes_it(page: Page) -> None:
    step(page, "candidates")
    page.click("#refusal-candidates [data-pick='-2/2']")
    expect(page.locator("#refusal-candidate input")).to_have_value("-2/2")
    step(page, "candidates")
    expect(page.locator("#refusal-candidates")).to_contain_text("Chosen: token -2")


def test_stop_keeps_what_there_is_and_the_next_run_goes_on(page: Page) -> None:
    page.locator("#refusal-reply-tokens input").fill("60")
    page.keyboard.press("Tab")
    step(page, "effects", wait=False)
    expect(page.locator("#refusal-effects [data-pick]").first).to_be_visible()
    page.click("#refusal-stop")
    expect(page.locator(".sw-strip .sw-over")).to_contain_text("stopped")
    expect(page.locator("#refusal-effects [data-pick]").first).to_be_visible()
    expect(page.locator("#refusal-effects-run")).to_be_enabled()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("candidate", "nonsense", "position/block"),
        ("n-test", "1", "from 2"),
    ],
)
def test_bad_input_is_one_card_that_says_what_to_do(page: Page, field: str, value: str, said: str) -> None:
    small(page)
    page.locator(f"#refusal-{field} input").fill(value)
    page.keyboard.press("Tab")
    expect(page.locator(f"#refusal-{field} input")).to_have_value(value)
    expect(page.locator("#refusal-size")).to_contain_text(said)
    page.click("#refusal-effects-run")
    card = page.locator(".sw-body-column").locator(".sw-error")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(said)


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, server: tuple[Workbench, str]) -> None:
    with opened(browser, server[1], width=390, panel="refusal", query="?__theme=dark") as page:
        step(page, "candidates")
        drawn(page, "#refusal-map-kl")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_uploaded_list_shows_what_was_understood_and_another_kind_is_refused(page: Page, tmp_path: Path) -> None:
    page.get_by_text("lists of your own").click()
    (tmp_path / "adv.csv").write_text("goal,target\n" + "".join(f"Do {n}.,Sure\n" for n in range(9)), encoding="utf-8")
    (tmp_path / "odd.csv").write_text("one,two\na,b\n", encoding="utf-8")
    with page.expect_file_chooser() as chooser:
        page.click("#refusal-target-upload")
    chooser.value.set_files(tmp_path / "adv.csv")
    expect(page.locator("#refusal-target-preview")).to_contain_text("AdvBench: goal")
    expect(page.locator("#refusal-target-preview")).to_contain_text("Do 2.")
    expect(page.locator("#refusal-target-in option:checked")).to_have_text("adv.csv · 9 rows")
    field = page.locator("#refusal-target-own")
    expect(field).to_have_value("adv.csv")
    field.press("End")
    field.press_sequentially("::target")
    page.keyboard.press("Tab")
    expect(page.locator("#refusal-target-preview")).to_contain_text("under target")
    expect(field).to_have_value("adv.csv::target")
    with page.expect_file_chooser() as chooser:
        page.click("#refusal-control-upload")
    chooser.value.set_files(tmp_path / "odd.csv")
    expect(page.locator("#refusal-control-preview")).to_contain_text("has the columns one, two")
    expect(page.locator("#refusal-control-own")).to_have_value("")


def test_run_is_in_sight_says_what_it_will_do_and_what_was_set_and_found_stands_after_a_visit_elsewhere(
    page: Page,
) -> None:
    size = page.locator("#refusal-size")
    for name in ("Find tokens", "Score candidates", "Measure effects"):
        expect(size).to_contain_text(name)
        expect(page.get_by_role("button", name=name)).to_be_in_viewport()
    expect(page.locator("#refusal-size [data-pick=full]")).to_have_attribute("aria-pressed", "true")
    page.click("#refusal-size [data-pick=quick]")
    expect(page.locator("#refusal-n-test input")).to_have_value("24")
    expect(page.locator("#refusal-size [data-pick=quick]")).to_have_attribute("aria-pressed", "true")
    step(page, "candidates")
    page.click("#refusal-candidates [data-pick='-2/2']")
    expect(page.locator("#refusal-candidate input")).to_have_value("-2/2")
    expect(size).to_contain_text("Kept already")
    go(page, "Vectors")
    go(page, "Refusal")
    expect(page.locator("#refusal-candidates .sw-on")).to_contain_text("chosen")
    expect(page.locator("#refusal-candidate input")).to_have_value("-2/2")
    expect(page.locator("#refusal-n-test input")).to_have_value("24")
    expect(page.locator("#refusal-tokens")).to_contain_text("Sorry")
    assert page.locator("#refusal-tokens input:checked").count() >= 1
    drawn(page, "#refusal-map-kl")
