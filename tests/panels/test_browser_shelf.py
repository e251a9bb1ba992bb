"""The shelf in Chromium: a vector is renamed, grouped, noted, removed and had back, by keyboard; its recipes follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


pytest.importorskip("playwright")

from browser_support import opened, until
from playwright.sync_api import Browser, Page, expect

from tests.workbench.test_workspace import vector
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]
EVIL = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def bench(server: tuple[Workbench, str]) -> Workbench:
    """The served workbench with seven vectors that fit its model."""
    bench, _ = server
    until(lambda: bench.host is not None)
    assert bench.host is not None
    for seed, name in enumerate(("mood", "calm", "fear", "awe", "hope", "pride", "joy")):
        bench.workspace.put(vector(name, seed, bench.host.info.blocks, bench.host.info.width))
    return bench


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str], bench: Workbench) -> Iterator[Page]:
    with opened(browser, server[1], panel="steer") as page:
        expect(page.locator(".sw-v")).to_have_count(7)
        yield page


def test_a_vector_is_renamed_grouped_and_noted_and_the_recipes_of_pages_follow(
    page: Page, browser: Browser, server: tuple[Workbench, str], bench: Workbench
) -> None:
    page.locator("#vector-a1").select_option("joy")
    page.locator("#strength-a1").fill("-0.7")
    digest = bench.workspace.get("joy").vector.digest
    with opened(browser, server[1], panel="grid") as other:
        other.locator("#vector-g1").select_option("joy")
        page.get_by_role("button", name="Name, group and note of joy").press("Enter")
        name = page.locator(".sw-editor [data-in=title]")
        expect(name).to_be_focused()
        name.fill("mood")
        name.press("Enter")
        expect(page.locator(".sw-editor [role=alert]")).to_contain_text("already")
        name.fill("delight")
        page.locator(".sw-editor [data-in=group]").fill(EVIL)
        page.locator(".sw-editor [data-in=note]").fill(f"Found on Monday. {EVIL}")
        page.locator(".sw-editor [data-do=save]").press("Enter")
        card = page.locator(".sw-group .sw-v")
        expect(card.locator("b")).to_have_text("delight")
        expect(card.locator(".sw-noted")).to_contain_text("Found on Monday. <img")
        expect(page.locator("[data-part=list] .sw-group summary")).to_contain_text("<img")
        expect(page.locator("#vector-a1")).to_have_value("delight")
        expect(page.locator("#strength-a1")).to_have_value("-0.7")  # all else of the recipe stands
        expect(other.locator("#vector-g1")).to_have_value("delight")
    assert bench.workspace.get("delight").vector.digest == digest
    page.reload()
    expect(page.locator("#vector-a1")).to_have_value("delight")
    expect(page.locator("#strength-a1")).to_have_value("-0.7")
    assert page.locator(".sw-shelf img").count() == 0
    search = page.get_by_role("searchbox")
    search.fill("monday")
    expect(page.locator(".sw-v:visible")).to_have_count(1)
    search.fill("")
    expect(page.locator(".sw-v:visible")).to_have_count(7)
    page.locator("[data-part=list] .sw-group summary").press("Enter")
    expect(page.locator(".sw-v:visible")).to_have_count(6)
    page.reload()
    expect(page.locator(".sw-v:visible")).to_have_count(6)  # and stays so
    page.locator("[data-part=list] .sw-group summary").press("Enter")


def test_what_is_removed_can_be_had_back_by_button_and_by_key(page: Page, bench: Workbench) -> None:
    assert bench.host is not None
    for name in ("fear", "awe"):
        page.get_by_role("button", name=f"Remove {name} from the shelf").press("Enter")
        expect(page.locator(f'.sw-v[data-name="{name}"]')).to_have_count(0)
    assert not {"fear", "awe"} & set(bench.workspace.names())
    page.get_by_role("button", name="Undo: have awe back").click()
    expect(page.locator('.sw-v[data-name="awe"]')).to_be_visible()
    page.locator(".sw-model .sw-name").click()
    page.keyboard.press("u")
    expect(page.locator('.sw-v[data-name="fear"]')).to_be_visible()
    expect(page.get_by_role("button", name="Undo: have")).to_have_count(0)
    assert {"fear", "awe"} <= set(bench.workspace.names())


def test_a_recipe_that_is_removed_can_be_had_back_as_it_was(page: Page) -> None:
    page.get_by_role("button", name="+ compare with another recipe").click()
    page.locator("#strength-b1").fill("0.25")
    page.get_by_role("button", name="Remove Recipe B").click()
    expect(page.locator("#strength-b1")).to_be_hidden()
    undo = page.get_by_role("button", name="Undo: have Recipe B back")
    expect(undo).to_be_focused()
    page.keyboard.press("u")
    expect(page.locator("#strength-b1")).to_have_value("0.25")
    expect(undo).to_be_hidden()


def test_a_recipe_is_saved_taken_again_removed_and_had_back(page: Page, bench: Workbench, tmp_path: Path) -> None:
    card = page.locator("#recipe-a")
    page.locator("#vector-a1").select_option("mood")
    page.locator("#strength-a1").fill("0.375")
    card.locator("[data-part=saved] summary").click()
    card.get_by_label("Name to save this recipe under").fill(EVIL)
    card.get_by_role("button", name="Save this one").press("Enter")
    expect(card.locator("[data-part=saved-said]")).to_contain_text("Saved as")
    (name,) = bench.workspace.recipes.names()
    assert bench.workspace.recipes.get(name).interventions[0].strength == 0.375
    page.reload()
    page.locator("#strength-a1").fill("2")
    card.locator("[data-part=saved] summary").click()
    choice = card.get_by_label("A saved or shipped recipe")
    choice.select_option(f"load {name}")
    card.get_by_role("button", name="Use it").click()
    expect(page.locator("#strength-a1")).to_have_value("0.375")
    choice.select_option(label="Remove it everywhere, as refusal is ablated")
    expect(card.get_by_role("button", name="Remove it", exact=True)).to_be_hidden()
    card.get_by_role("button", name="Use it").click()
    expect(page.locator("#mode-a1")).to_have_value("ablate")
    expect(page.locator("#vector-a1")).to_have_value("mood")
    choice.select_option(f"load {name}")
    card.get_by_role("button", name="Remove it", exact=True).click()
    undo = card.locator("[data-part=saved-undo]")
    expect(undo).to_be_focused()
    assert bench.workspace.recipes.names() == []
    page.keyboard.press("u")
    expect(undo).to_be_hidden()
    assert bench.workspace.recipes.names() == [name]

    file = tmp_path / "own.yaml"
    file.write_text("interventions:\n  - {vector: calm, strength: -0.5}\n")
    card.locator("input[type=file]").set_input_files(file)
    expect(page.locator("#strength-a1")).to_have_value("-0.5")
    file.write_text("interventions: [{vector: calm, strength: strong}]")
    card.locator("input[type=file]").set_input_files(file)
    expect(card.locator("[data-part=saved-said]")).to_contain_text("own.yaml: ")
    expect(page.locator("#strength-a1")).to_have_value("-0.5")
    assert page.locator("#recipe-a img").count() == 0
