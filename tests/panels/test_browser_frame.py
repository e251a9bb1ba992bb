"""The frame in Chromium: an idle page rests, the shelf by mouse and keyboard, and what a switch of the model says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM


pytest.importorskip("playwright")

from browser_support import SLOW, opened, until
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ARCHITECTURES
from tests.loading_support import randomise, saved
from tests.workbench.controls.test_recipe_editor import EVIL
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]
WATCHED = 6000
"""Milliseconds for which a page that does nothing is watched."""
FRAMES = """() => {
  window.frames_drawn = 0;
  const own = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = call => { window.frames_drawn++; return own(call); };
}"""

STREAMED = """() => {
  const cells = text => `<section class="sw-card"><table><tr><td class="sw-faint">${text}</td>`
    + '<td>two</td></tr></table></section>';
  const element = document.body.appendChild(document.createElement('div')), props = {value: cells('one')};
  let update;
  streamedMarkup(element, props, (name, call) => { update = call; });
  element.querySelector('td').classList.add('of-another');
  const seen = new MutationObserver(() => {});
  seen.observe(element, {subtree: true, attributes: true, childList: true, characterData: true});
  const changed = value => {
    props.value = value;
    update();
    return seen.takeRecords().map(each => `${each.type} ${each.target.nodeName} ${each.attributeName ?? ''}`.trim());
  };
  const text = changed(cells('three')), marked = changed(cells('three').replace('sw-faint', 'sw-done'));
  const classes = element.querySelector('td').className.split(' ').sort().join(' ');
  element.remove();
  return {text, marked: [...new Set(marked)], classes};
}"""
COPIES = """() => {
  const given = {list: [1, {deep: null}], when: new Date(5)}, copy = structuredClone(given);
  const raises = value => { try { structuredClone(value); return ''; } catch (error) { return error.name; } };
  const same = [undefined, null, true, -0, NaN, 10n, 'text'].every(value => Object.is(structuredClone(value), value));
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, {transfer: [buffer]});
  return {same, raise: [() => 1, Symbol('x'), {call: () => 1}].map(raises), moved: buffer.byteLength,
    copied: copy !== given && copy.list[1] !== given.list[1] && JSON.stringify(copy) === JSON.stringify(given)};
}"""


@pytest.fixture(scope="module")
def bench(server: tuple[Workbench, str]) -> Workbench:
    """The served workbench with two vectors that fit its model, one of them with a hostile name."""
    bench, _ = server
    until(lambda: bench.host is not None)
    assert bench.host is not None
    bench.workspace.put(vector("joy", 0, bench.host.info.blocks, bench.host.info.width))
    path = bench.workspace.shelf / "joy.safetensors"
    (bench.workspace.shelf / f"{EVIL.replace('/', '')[:60]}.safetensors").write_bytes(path.read_bytes())
    return bench


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str], bench: Workbench) -> Iterator[Page]:
    with opened(browser, server[1]) as page:
        expect(page.locator(".sw-v")).to_have_count(len(bench.workspace.entries()))
        yield page


def test_an_idle_page_sends_no_event_and_draws_no_frames(browser: Browser, server: tuple[Workbench, str]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(f"({FRAMES})()")
    page.goto(f"{server[1]}vectors")
    page.wait_for_selector(".sw-model .sw-name", timeout=SLOW)
    page.wait_for_timeout(WATCHED)  # what opening the page set off has come to its end
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("window.frames_drawn = 0")
    page.wait_for_timeout(WATCHED)
    assert not [url for url in asked if "queue" in url]
    assert len(asked) <= 2  # looks at the server, four seconds apart
    assert page.evaluate("window.frames_drawn") < 10  # of some 360
    assert page.evaluate("document.getAnimations().length") == 0
    page.evaluate("requestAnimationFrame(() => requestAnimationFrame(() => {}))")  # the count can count
    page.wait_for_function("window.frames_drawn >= 2")
    context.close()


def test_an_update_changes_what_differs_alone(page: Page) -> None:
    """What is around it would be styled anew by the browser, every cell of a table in each update."""
    found = page.evaluate(STREAMED)
    assert found["text"] == ["characterData #text"]
    assert found["marked"] == ["attributes TD class"]
    assert found["classes"] == "of-another sw-done"  # what others added stays


def test_what_is_no_object_is_its_own_copy_and_all_else_is_copied(page: Page) -> None:
    assert page.evaluate("structuredClone.toString().includes('native code')") is False  # it is ours
    found = page.evaluate(COPIES)
    assert found == {"same": True, "copied": True, "raise": ["DataCloneError"] * 3, "moved": 0}


def test_a_vector_that_another_page_makes_appears_without_a_click(page: Page, bench: Workbench) -> None:
    before = page.locator(".sw-v").count()
    bench.workspace.put(bench.workspace.get("joy").vector, "later")
    expect(page.locator(".sw-v")).to_have_count(before + 1)
    bench.workspace.remove("later")
    expect(page.locator(".sw-v")).to_have_count(before)


def test_names_on_the_shelf_are_text_and_cards_are_reached_by_keys(page: Page, bench: Workbench) -> None:
    names = page.locator(".sw-v b").all_inner_texts()
    assert any("<img" in name or "<script" in name for name in names)
    assert page.locator(".sw-shelf img, .sw-shelf script").count() == 0
    page.locator(".sw-v .sw-pick").first.focus()
    page.keyboard.press("ArrowDown")
    second = page.locator(".sw-v").nth(1)
    expect(second.locator(".sw-pick")).to_be_focused()
    page.keyboard.press("Enter")
    expect(second).to_have_class(re.compile("sw-on"))
    expect(second.locator(".sw-pick")).to_have_attribute("aria-pressed", "true")
    expect(second.locator(".sw-pick")).to_be_focused()  # although the cards were drawn anew
    page.reload()
    expect(page.locator(".sw-v.sw-on b")).to_have_text(names[1])
    assert page.evaluate("[...document.querySelectorAll('.sw-v')].every(each => each.scrollWidth <= each.clientWidth)")


def test_a_vector_is_downloaded_and_added_from_its_card(page: Page, bench: Workbench, tmp_path: Path) -> None:
    with page.expect_download() as started:
        page.get_by_role("button", name="Download joy", exact=True).click()
    path = tmp_path / "again.safetensors"
    started.value.save_as(path)
    assert path.read_bytes() == bench.workspace.get("joy").path.read_bytes()
    bench.workspace.remove("joy")
    expect(page.get_by_role("button", name="Download joy", exact=True)).to_have_count(0)
    page.locator(".sw-shelf input[type=file]").set_input_files(path)
    expect(page.get_by_role("button", name="Download joy", exact=True)).to_be_visible()


def test_after_a_switch_pages_say_of_which_model_their_results_are(
    browser: Browser, server: tuple[Workbench, str], bench: Workbench, tmp_path: Path, caplog: Any
) -> None:
    config = AutoConfig.for_model("llama", bos_token_id=1, eos_token_id=None, **ARCHITECTURES["llama"])
    folder = saved(randomise(AutoModelForCausalLM.from_config(config)), tmp_path / "a-long-folder" / "other")
    with opened(browser, server[1]) as page:
        page.locator("#extract").click()
        expect(page.locator(".sw-strip .sw-over")).to_contain_text("done")
        expect(page.locator("#steer-with-it")).to_be_enabled()
        expect(page.locator(".sw-was")).to_have_count(0)
        bench.model.load(str(folder)).result(SLOW / 1000)
        try:
            expect(page.locator(".sw-was")).to_contain_text("those of demo")
            expect(page.locator(".sw-was")).to_contain_text("other")
            expect(page.locator("#steer-with-it")).to_be_disabled()
            expect(page.locator(".sw-v").first).to_contain_text("other has")
            expect(page.locator(".sw-strip .sw-over")).to_be_hidden()
            assert str(folder.parent) not in page.locator(".sw-shelf").inner_text()
            page.reload()
            expect(page.locator(".sw-was")).to_contain_text("those of demo")
        finally:
            bench.model.load("demo").result(SLOW / 1000)
        expect(page.locator(".sw-was")).to_have_count(0)
        expect(page.locator("#steer-with-it")).to_be_enabled()
    assert "list of choices" not in caplog.text
