"""The recipe editor in Chromium: edited by keyboard, pasted into, given hostile names, and updated while one types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest


pytest.importorskip("playwright")

from browser_support import go, opened, until
from playwright.sync_api import Browser, Locator, Page, expect

from steering.recipes.recipe import Intervention, Recipe
from tests.workbench.controls.test_recipe_editor import EVIL
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]
RIGHT_TO_LEFT = "\u202eسعادة"
THREE = Recipe(interventions=tuple(Intervention(vector="joy", strength=n) for n in (1, 2, 3)))


@pytest.fixture(scope="module")
def bench(server: tuple[Workbench, str]) -> Workbench:
    """The served workbench with two vectors that fit its model."""
    bench, _ = server
    until(lambda: bench.host is not None)
    assert bench.host is not None
    for seed, name in enumerate(("mood", "joy")):
        bench.workspace.put(vector(name, seed, bench.host.info.blocks, bench.host.info.width))
    return bench


@pytest.fixture(scope="module")
def page(browser: Browser, server: tuple[Workbench, str], bench: Workbench) -> Iterator[Page]:
    with opened(browser, server[1], panel="steer") as page:
        expect(page.locator("#vector-a1 option")).to_have_count(2)
        editor(page).locator("[data-part=json] summary").click()
        yield page


def editor(page: Page) -> Locator:
    return page.locator("#recipe-a")


def paste(page: Page, recipe: Recipe | str) -> None:
    if not editor(page).locator("textarea").is_visible():  # another page was open meanwhile
        editor(page).locator("[data-part=json] summary").click()
    editor(page).locator("textarea").fill(recipe if isinstance(recipe, str) else recipe.to_json())
    editor(page).get_by_role("button", name="Use this recipe").click()
    expect(editor(page).locator("[data-part=json-said]")).not_to_be_empty()  # the server has read it


def value(page: Page) -> dict[str, Any]:
    """What the editor holds, as it shows it."""
    return json.loads(editor(page).locator("textarea").input_value())


def strengths(page: Page) -> list[float]:
    return [each["strength"] for each in value(page)["interventions"]]


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')")


def test_a_recipe_is_made_with_the_keyboard_alone(page: Page) -> None:
    paste(page, Recipe(interventions=(Intervention(vector="joy"),)))
    expect(page.locator("#strength-a1")).to_have_value("1")
    page.locator("#vector-a1").focus()
    page.keyboard.type("mood")
    expect(page.locator("#strength-a1")).to_have_value("1.5")  # its own suggestion
    page.keyboard.press("Tab")
    assert focused(page) == "mode-a1"
    page.keyboard.type("Rot")
    expect(editor(page).locator("[data-part=strength-label]")).to_have_text("Degrees towards it")
    page.keyboard.press("Tab")
    page.keyboard.type("these")
    page.keyboard.press("Tab")
    assert focused(page) == "numbers-a1"
    page.keyboard.press("Control+A")
    page.keyboard.type("1-3, 5")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("-45")
    assert focused(page) == "strength-a1"
    made = value(page)["interventions"]
    assert len(made) == 1
    assert Recipe.model_validate({"interventions": made}).interventions == (
        Intervention(vector="mood", mode="rotate", blocks=(1, 2, 3, 5), strength=-45),
    )


def test_a_change_of_unit_keeps_the_strength_and_says_it_in_the_others(page: Page) -> None:
    paste(page, Recipe(interventions=(Intervention(vector="joy", strength=2.0),)))
    told = editor(page).locator("[data-part=told]")
    expect(told).to_have_text("= 0.5 × residual norm = 2 raw, at block 1")  # 1 and 4 long, as it was made
    page.locator("#unit-a1").select_option("residual_norm")
    expect(page.locator("#strength-a1")).to_have_value("0.5")
    expect(told).to_have_text("= 2 × mean difference = 2 raw, at block 1")
    slider = page.locator("#slider-a1")
    assert [slider.get_attribute(end) for end in ("min", "max")] == ["-1", "1"]
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#strength-a1")).to_have_value("1")
    assert slider.get_attribute("aria-valuetext") == "1 × residual norm"


def test_interventions_are_moved_doubled_and_removed_by_keys_and_by_dragging(page: Page) -> None:
    paste(page, THREE)
    grips = editor(page).locator("[data-do=grip]")
    expect(grips).to_have_count(3)
    grips.first.focus()
    page.keyboard.press("ArrowDown")
    assert strengths(page) == [2, 1, 3]
    assert "intervention 2 of 3" in focused(page)
    expect(editor(page).locator("[data-part=moved]")).to_contain_text("2 of 3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # it is the last one already
    assert strengths(page) == [2, 3, 1]
    grips.nth(2).evaluate("each => each.scrollIntoView({block: 'center'})")  # clear of the bar with Run
    below, above = grips.nth(2).bounding_box(), grips.nth(1).bounding_box()
    assert below
    assert above
    page.mouse.move(below["x"] + 5, below["y"] + 5)
    page.mouse.down()
    page.mouse.move(above["x"] + 5, above["y"] + 5, steps=8)
    page.mouse.up()
    assert strengths(page) == [2, 1, 3]
    editor(page).get_by_role("button", name="Duplicate intervention 2").press("Enter")
    assert strengths(page) == [2, 1, 1, 3]
    assert focused(page) == "vector-a3"
    editor(page).get_by_role("button", name="Remove intervention 1").press("Enter")
    assert strengths(page) == [1, 1, 3]
    assert focused(page) == "vector-a1"


def test_changes_are_undone_by_button_and_by_key(page: Page) -> None:
    paste(page, THREE)
    expect(page.locator("#strength-a3")).to_have_value("3")
    editor(page).locator("[data-do=remove]").nth(1).click()
    page.locator("#strength-a1").fill("7")
    page.locator("#strength-a1").blur()
    assert strengths(page) == [7, 3]
    undo = editor(page).get_by_role("button", name="Undo")
    undo.click()
    assert strengths(page) == [1, 3]
    undo.press("u")
    expect(page.locator("#strength-a3")).to_have_value("3")
    assert strengths(page) == [1, 2, 3]


def test_what_is_wrong_stands_at_its_field_and_in_one_card(page: Page) -> None:
    paste(page, THREE)
    page.locator("#blocks-a2").select_option("list")
    page.locator("#numbers-a2").fill("2, many")
    said = editor(page).locator(".sw-slot-card").nth(1).locator("[data-field=blocks] .sw-wrong")
    expect(said).to_contain_text("'2, many'")
    expect(page.locator("#numbers-a2")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#numbers-a2")).to_have_attribute("aria-describedby", said.get_attribute("id") or "?")
    assert page.locator("#numbers-a1").get_attribute("aria-invalid") is None
    page.click("#run")
    card = page.locator(".sw-body-column").locator(".sw-error")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("'2, many'")
    page.locator("#numbers-a2").fill("999")
    expect(said).to_contain_text("Block 999")
    page.locator("#numbers-a2").fill("2")
    expect(said).to_be_hidden()
    expect(page.locator("#numbers-a2")).not_to_have_attribute("aria-invalid", "true")


def test_a_text_that_is_no_recipe_changes_nothing(page: Page) -> None:
    paste(page, THREE)
    expect(editor(page).locator(".sw-slot-card")).to_have_count(3)
    for text, why in (("{", "The text"), ('{"interventions": [{"vector": "joy", "unit": "miles"}]}', "miles")):
        paste(page, text)
        expect(editor(page).locator("[data-part=json-said]")).to_contain_text(why)
        expect(editor(page).locator(".sw-slot-card")).to_have_count(3)


def test_hostile_names_are_shown_as_the_texts_that_they_are(page: Page) -> None:
    names = (EVIL, RIGHT_TO_LEFT, "\"'\\", "x" * 10_000)
    paste(page, Recipe(interventions=tuple(Intervention(vector=name) for name in names), model=EVIL))
    expect(editor(page).locator(".sw-slot-card")).to_have_count(4)
    assert [each["vector"] for each in value(page)["interventions"]] == list(names)
    assert page.locator("#vector-a1").input_value() == EVIL
    expect(editor(page).locator(".sw-slot-card").first).to_contain_text("is not on the shelf")
    expect(editor(page).locator("[data-part=model]")).to_contain_text("onerror")
    assert editor(page).locator("img").count() == 0
    assert page.title() != "owned"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    # A sentence goes on from left to right behind such a name.
    label = page.locator("#vector-a2 option:checked").inner_text()
    assert label.startswith("\u2068\u202e")
    assert "\u2069" in label


def test_focus_and_what_is_typed_stay_while_the_shelf_changes(page: Page, bench: Workbench) -> None:
    paste(page, Recipe(interventions=(Intervention(vector="joy", strength=2),)))
    field = page.locator("#strength-a1")
    expect(field).to_have_value("2")
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("-0.50")
    assert bench.host is not None
    bench.workspace.put(vector("<b>third</b>", 7, bench.host.info.blocks, bench.host.info.width))
    expect(page.locator("#vector-a1 option")).to_have_count(3)
    assert focused(page) == "strength-a1"
    assert field.input_value() == "-0.50"
    page.keyboard.type("5")
    assert strengths(page) == [-0.505]
    assert editor(page).locator("b", has_text="third").count() == 0


def test_a_picked_token_stands_in_the_recipe_and_starts_no_chain_of_events(page: Page) -> None:
    asked: list[int] = []
    page.on(
        "request",
        lambda request: asked.append(request.post_data_json["fn_index"]) if "queue/join" in request.url else None,
    )
    go(page, "Grid")
    expect(page.locator("#vector-g1")).to_be_visible()
    page.locator("#grid-chips [data-token]").nth(3).click()
    expect(page.locator("#tokens-g1")).to_have_value("3")
    expect(page.locator("#grid-chips .sw-picked")).to_have_count(1)

    page.wait_for_timeout(1500)  # what the pick itself asked for
    del asked[:]
    page.wait_for_timeout(3000)  # a chain would go on and on; the page looks at the server without events
    assert max(map(asked.count, asked), default=0) <= 1
    go(page, "Steer")


def test_a_link_opens_the_prompt_and_the_recipe_elsewhere(
    page: Page, browser: Browser, server: tuple[Workbench, str]
) -> None:
    paste(page, Recipe(interventions=(Intervention(vector="joy", strength=0.75),)))
    page.locator("#user textarea").fill("Ask for سعادة & <b>.")
    page.get_by_role("button", name="Copy prompt and recipes as link").click()
    field = page.locator("#steer-linked input")
    expect(field).to_have_value(re.compile(r"/steer\?recipe=1\."))
    with opened(browser, server[1], panel="steer") as other:
        other.goto(field.input_value())
        expect(other.locator("#user textarea")).to_have_value("Ask for سعادة & <b>.")
        expect(other.locator("#strength-a1")).to_have_value("0.75")
        expect(other.locator(".sw-was")).to_have_text("The prompt and the recipes come from a link.")
        assert "recipe=" not in other.url  # loaded again, the page keeps what was changed since
        other.goto(field.input_value()[:-9])
        expect(other.locator(".sw-error")).to_contain_text("The link cannot be read.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_it_whole(browser: Browser, server: tuple[Workbench, str], bench: Workbench, theme: str) -> None:
    with opened(browser, server[1], width=390, query=f"?__theme={theme}") as page:
        go(page, "Steer")
        expect(page.locator("#vector-a1")).to_be_visible()
        page.locator("#mode-a1").select_option("ablate")
        expect(editor(page).get_by_text("their span is removed")).to_be_visible()
        for summary in editor(page).locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        ground = page.locator("#vector-a1").evaluate("each => getComputedStyle(each).backgroundColor")
        assert (ground == "rgb(20, 22, 26)") == (theme == "dark")
        assert re.search("joy|mood|third", page.locator("#vector-a1 option:checked").inner_text())


def test_a_recipe_is_saved_as_a_file_for_another_engine(page: Page) -> None:
    paste(page, Recipe(interventions=(Intervention(vector="joy", blocks=(2,), scope="reply"),)))
    said = editor(page).locator("[data-part=engine-said]")
    editor(page).get_by_role("button", name="For vLLM").click()
    expect(said).to_contain_text("does not carry over")
    paste(page, Recipe(interventions=(Intervention(vector="joy", blocks=(2,)),)))
    with page.expect_download() as loaded:
        editor(page).get_by_role("button", name="For llama.cpp").click()
    assert loaded.value.suggested_filename == "recipe.gguf"
    expect(said).to_have_text("Saved as recipe.gguf.")
