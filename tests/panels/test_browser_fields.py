"""A form that is one control in Chromium: by keyboard, with hostile words, changed from the server while one types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest


pytest.importorskip("playwright")

from browser_support import MODEL, opened
from playwright.sync_api import Browser, Page, expect

from tests.conftest import NO_TOKEN
from tests.workbench.controls.test_fields import EVIL
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


pytestmark = [pytest.mark.browser, pytest.mark.slow]
PANEL = """
import json
import gradio as gr
from tests.workbench.controls.test_fields import EVIL, SECTIONS, Asked
from workbench.controls.fields import place_fields
from workbench.page.blocks import html_block
from workbench.page.markup import escape
from workbench.panel import Panel

class Form(Panel):
    id, title, summary, order = "form", "Form", "A form.", 90
    def run(self, host, settings, job):
        raise NotImplementedError
    def build(self, ui):
        form = place_fields(ui, "test", SECTIONS, settings=Asked, events={"sized": ("count", "arms")})
        said, sized = html_block("", elem_id="said"), html_block("0", elem_id="sized")
        told, offered = gr.Button("Tell", elem_id="tell"), gr.Button("Offer", elem_id="offer")
        ui.error_slot()
        given = {"form": form}
        ui.quick(told.click, lambda form: {said: escape(json.dumps(form.values()))}, inputs=given, outputs=[said])
        choices = {"sites": [("Input", "input"), (EVIL, "evil")], "tokens": [(EVIL, "#5")]}
        some = {"note": "set", "tokens": ["#5"]}
        ui.quick(offered.click, lambda: {form: form.offering(choices, some), said: "offered"}, outputs=[form, said])
        count = lambda form: {sized: f"{form.ready['count']} {len(form.ready['arms'])}"}
        ui.watch(form.sized, call=count, inputs=given, outputs=[sized])

panel = Form()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "form.py").write_text(PANEL, encoding="utf-8")
    bench = Workbench(workspace=folder / "home", panels_dir=folder)
    page = launch(MODEL, Entrance(port=0, token=NO_TOKEN), bench=bench, prevent_thread_lock=True)
    yield str(page.local_url)
    page.close(verbose=False)
    bench.lane.close()


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address, panel="form") as page:
        expect(page.locator("#test-note-in")).to_have_value("one")
        yield page


def told(page: Page, *parts: str) -> None:
    """What a handler is given has these parts."""
    page.click("#tell")
    for part in parts:
        expect(page.locator("#said")).to_contain_text(part)


def test_it_is_filled_in_by_keyboard_and_a_handler_gets_it(page: Page) -> None:
    page.locator("#test-data-in").focus()
    page.keyboard.type("another")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "test-data-own"
    page.keyboard.type("hub:a/b")
    page.locator("#test-note-in").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("two")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the folded section
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "test-count-in"
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    expect(page.locator("#sized")).to_have_text("7 2")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.locator("#test-way input").first.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Ablate").uncheck()
    expect(page.locator("#sized")).to_have_text("7 1")
    page.locator("#test-tokens-own").fill("Sorry")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Sorry")).to_be_checked()
    page.locator("#test-prompts-in").fill("a\nb")
    made = {
        "data": "hub:a/b",
        "note": "two",
        "count": 7,
        "share": None,
        "both": False,
        "way": "there",
        "arms": ["add"],
        "tokens": ["Sorry"],
        "sites": ["output"],
        "prompts": "a\nb",
    }
    told(page, json.dumps(made))
    expect(page.locator("#test-fields summary")).to_have_text("More · 3 changed")


def test_what_is_wrong_stands_at_its_field(page: Page) -> None:
    count = page.locator("#test-count-in")
    count.fill("11")
    said = page.locator("#test-count-wrong")
    expect(said).to_contain_text("up to 10")
    expect(count).to_have_attribute("aria-invalid", "true")
    expect(count).to_have_attribute("aria-describedby", "test-count-wrong")
    page.click("#tell")
    expect(page.locator(".sw-body .sw-error")).to_contain_text("Count: 11")
    count.fill("4")
    expect(said).to_be_hidden()
    assert count.get_attribute("aria-invalid") is None
    expect(page.locator("#test-note-in")).to_have_attribute("aria-describedby", "test-note-hint")


def test_the_server_sets_some_fields_while_another_is_typed_in(page: Page) -> None:
    prompts = page.locator("#test-prompts-in")
    prompts.fill("")
    prompts.focus()
    page.evaluate("document.querySelector('#offer').click()")
    page.keyboard.type("still typing")
    expect(page.locator("#test-note-in")).to_have_value("set")
    assert page.evaluate("document.activeElement.id") == "test-prompts-in"
    expect(prompts).to_have_value("still typing")
    expect(page.locator("#test-sites input")).to_have_count(3)  # and the one that is ticked and no longer offered
    told(page, '"note": "set"', '"prompts": "still typing"', '"tokens": ["#5"]')
    page.click("#offer")  # some fields again, which is nothing new: the others are not forgotten
    expect(page.locator("#said")).to_have_text("offered")
    told(page, '"note": "set"', '"prompts": "still typing"', '"tokens": ["#5"]')


def test_hostile_words_are_texts(page: Page) -> None:
    expect(page.locator("#test-note-hint")).to_have_text(EVIL)
    expect(page.locator("#test-tokens label").first).to_have_text(EVIL)
    page.locator("#test-data-in").select_option("evil")
    assert page.locator("#test-fields img").count() == 0
    assert page.title() != "owned"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_an_upload_is_shown_by_its_name_and_what_it_holds(page: Page, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(f"goal,target\n{EVIL},Sure\n", encoding="utf-8")
    page.locator("#test-data-file").set_input_files(mine)
    expect(page.locator("#test-data-own")).to_have_value("mine.csv")
    expect(page.locator("#test-data-preview li")).to_have_text(EVIL)
    told(page, '/mine.csv"')
    page.locator("#test-data-own").fill("mine.csv::target")
    page.keyboard.press("Tab")
    expect(page.locator("#test-data-preview li")).to_have_text("Sure")
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\x00\xff\xfe")
    page.locator("#test-data-file").set_input_files(bad)
    expect(page.locator("#test-data-preview .sw-wrong")).to_contain_text("bad.csv")
    expect(page.locator("#test-data-own")).to_have_value("mine.csv::target")


def test_a_very_long_text_freezes_nothing_and_all_stands_again_on_a_reload(page: Page, address: str) -> None:
    long = "لا أعرف 🙂 " * 10_000
    page.locator("#test-prompts-in").fill(long[:100_000])
    page.locator("#test-note-in").fill("after")
    expect(page.locator("#test-note-in")).to_have_value("after")
    page.keyboard.press("Tab")
    told(page, '"note": "after"', json.dumps(long[:100_000])[-100:])
    page.goto(f"{address}form?test-count=9&test-way=here")
    page.wait_for_selector(".sw-model .sw-name")
    expect(page.locator("#test-note-in")).to_have_value("after")
    expect(page.locator("#test-count-in")).to_have_value("9")
    expect(page.locator("#test-count-in")).to_be_visible()  # the section is open as it was
    expect(page.locator("#test-way input").first).to_be_checked()
    assert len(page.locator("#test-prompts-in").input_value()) == 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_it_whole(browser: Browser, address: str, theme: str) -> None:
    with opened(browser, address, width=390, panel="form", query=f"?__theme={theme}") as page:
        page.locator("#test-fields summary").click()
        expect(page.locator("#test-count-in")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        ground = page.locator("#test-note-in").evaluate("each => getComputedStyle(each).backgroundColor")
        assert (ground == "rgb(20, 22, 26)") == (theme == "dark")
