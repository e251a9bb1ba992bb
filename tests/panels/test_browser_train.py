"""The Train panel in Chromium: curves while it trains, the vector and its card, the shelf, Steer, Stop, a kept run."""

from __future__ import annotations

import pytest


pytest.importorskip("playwright")

from browser_support import SLOW, drawn, opened, until
from playwright.sync_api import Browser, expect

from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=SLOW)
SMALL = (
    "?train-n=30&train-batch=4&train-budget=&train-random=0&train-shuffled=false&train-replies=2&train-reply-tokens=12"
)
"""No budget, whose search takes longer than all else, and no control."""


def test_a_vector_is_trained_opened_shelved_and_sent(browser: Browser, server: tuple[Workbench, str]) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    with opened(browser, address, panel="train", query=f"{SMALL}&train-steps=6&train-losses=dpo,sft") as page:
        expect(page.locator("#train-found")).to_contain_text("Nothing trained yet")
        expect(page.locator("#train-size")).to_contain_text("12 steps of training")
        page.click("#train-run")
        rows = page.locator("#train-methods tbody tr")
        expect(rows).to_have_count(4)  # two losses, unsteered, mean difference
        expect(page.locator("#train-vector")).to_contain_text("digest")
        expect(page.locator("#train-run")).to_be_enabled()
        for name in ("loss", "margin", "mark", "gains"):
            drawn(page, f"#train-{name}")
        best = page.locator("#train-vector h2").inner_text()
        assert best in bench.workspace.names()  # by itself
        sign, legend = page.locator("#train-vector-shelved"), page.locator("#shelf [data-part=note]")
        expect(sign).to_have_text(f"On the shelf now: {best}.")
        expect(legend).to_have_text("")  # nothing there has an AUROC
        other = next(loss for loss in ("dpo", "sft") if not best.endswith(loss))
        page.locator(f'#train-methods [data-pick="{other}"]').click()
        expect(page.locator("#train-vector h2")).to_have_text(f"demo-formality {other}")
        expect(sign).to_have_text("")
        page.locator("#train-vector [data-shelve]").click()
        expect(sign).to_have_text(f"On the shelf now: demo-formality {other}.")
        expect(page.locator("#shelf .sw-pick")).to_have_count(2)
        page.locator('#train-methods [data-pick="sft"]').click()
        expect(page.locator("#train-vector h2")).to_have_text("demo-formality sft")
        expect(page.locator("#train-texts .sw-pane b").nth(2)).to_have_text("Likelihood (SFT)")
        run = bench.workspace.runs.find()[0].id
        with opened(browser, address, width=390, panel="train", query=f"?run={run}&__theme=dark") as again:
            expect(again.locator("#train-methods tbody tr")).to_have_count(4)
            again.locator('#train-methods [data-pick="dpo"]').click()
            expect(again.locator("#train-vector h2")).to_have_text("demo-formality dpo")
            assert again.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.click("#train-to-steer")
        expect(page.locator("#vector-a1")).to_have_value("demo-formality sft")
        expect(page.locator("#recipe-a")).to_contain_text("block 3")
        expect(page.locator('#recipe-a [data-in="unit"] option:checked').first).to_have_text("× trained length")


def test_stop_keeps_the_vector_so_far(browser: Browser, server: tuple[Workbench, str]) -> None:
    bench, address = server
    until(lambda: bench.host is not None)
    with opened(browser, address, panel="train", query=f"{SMALL}&train-steps=5000&train-patience=0") as page:
        page.click("#train-run")
        expect(page.locator("#train-loss svg")).to_be_visible()
        page.click("#train-stop")
        expect(page.locator("#train-run")).to_be_enabled()
        expect(page.locator("#train-vector")).to_contain_text("It was stopped after")
        expect(page.locator("#train-found")).to_contain_text("DPO was not compared")
        (kept,) = [each for each in bench.workspace.runs.find() if each.state == "stopped"]
        assert list(bench.workspace.runs.result(kept.id).vectors) == ["demo-formality dpo"]


def test_pairs_of_a_contrast_set_stand_in_the_form_with_their_judge(
    browser: Browser, server: tuple[Workbench, str]
) -> None:
    until(lambda: server[0].host is not None)
    with opened(browser, server[1], panel="train", query="?train-pairs-n=8") as page:
        page.locator("summary", has_text="Make pairs").click()
        page.get_by_role("button", name="Make pairs").click()
        expect(page.locator("#train-found")).to_contain_text("of 8 requests gave a pair")
        expect(page.locator("#train-data option:checked")).to_contain_text("pairs formality.jsonl")
        expect(page.locator("#train-judge option:checked")).to_have_text("Formal words, less informal ones")
        expect(page.locator("#train-size")).to_contain_text("replies of at most")


def test_bad_input_is_one_card_and_marked_at_its_field(browser: Browser, server: tuple[Workbench, str]) -> None:
    until(lambda: server[0].host is not None)
    with opened(browser, server[1], panel="train", query="?train-blocks=99&train-losses=dpo") as page:
        expect(page.locator("#train-blocks input")).to_have_attribute("aria-invalid", "true")
        page.click("#train-run")
        card = page.locator(".sw-body-column .sw-error")
        expect(card).to_have_count(1)
        expect(card).to_contain_text("99")
        assert [run for run in server[0].workspace.runs.find() if run.state == "failed"] == []
        expect(page.locator("#train-found")).to_contain_text("Nothing trained yet")
