"""The served page, driven in Chromium: the main job, Stop, reload, bad input, other people's panels, phone and dark."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest


pytest.importorskip("playwright")

from browser_support import drawn, go, hold_open, opened, until
from playwright.sync_api import Browser, Locator, Page, expect

from steering.origins.carriers import file_origin
from steering.passes import running
from steering.vectors.files import save_vector
from workbench.bench import Workbench


pytestmark = [pytest.mark.browser, pytest.mark.slow]

Open = Callable[..., Any]


@pytest.fixture
def bench(server: tuple[Workbench, str]) -> Workbench:
    """The served workbench, with an empty shelf."""
    bench, _ = server
    until(lambda: bench.host is not None)
    for name in bench.workspace.names():
        bench.workspace.remove(name)
    return bench


@pytest.fixture
def page(browser: Browser, server: tuple[Workbench, str], bench: Workbench) -> Iterator[Page]:
    with opened(browser, server[1]) as page:
        yield page


@pytest.fixture
def brake(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While this is set, replies wait behind their fifth token until somebody stops them."""
    until(lambda: not bench.lane.jobs())  # the model has warmed up
    held, tokens = threading.Event(), count(2)
    held.set()
    read_token = running.read_token

    def slowly(*args: Any, **options: Any) -> Any:
        if held.is_set() and next(tokens) > 5:
            hold_open(held.is_set)
        return read_token(*args, **options)

    monkeypatch.setattr(running, "read_token", slowly)
    yield held
    held.clear()


def test_extract_steer_and_reload(page: Page) -> None:
    page.click("#extract")
    drawn(page, "#auroc-plot")
    drawn(page, "#norm-plot")
    expect(shelf_card(page, "formality")).to_be_visible()

    page.click("#steer-with-it")
    run_to_the_end(page)
    plain, steered = replies(page)
    assert plain
    assert steered
    assert plain != steered
    expect(page.get_by_text("The first token that differs")).to_be_visible()
    expect(page.locator(".sw-pane.sw-a footer")).to_contain_text(
        re.compile(r"Modified [1-9]\d* prompt \+ [1-9]\d* gen")
    )
    expect(page.locator(".sw-pane.sw-plain footer")).to_contain_text("Nothing was modified")

    page.locator("#user textarea").fill("Write about the sea.")
    page.locator("#user textarea").press("Tab")
    page.reload()  # the page stands as it stood
    expect(page.locator("#user textarea")).to_have_value("Write about the sea.")
    expect(page.locator(".sw-pane .sw-now")).to_have_text([plain, steered])

    # So it does after another one; there the vector is picked, and shown.
    go(page, "Vectors")
    expect(shelf_card(page, "formality")).to_be_visible()
    drawn(page, "#auroc-plot")
    page.go_back()
    expect(page.locator("#user textarea")).to_have_value("Write about the sea.")
    expect(page.locator(".sw-pane .sw-now")).to_have_text([plain, steered])


def test_vectors_are_compared_and_their_tokens_told(page: Page) -> None:
    for name in ("harm", "formality"):
        page.locator("#contrast input").fill(name)
        page.locator("#contrast input").press("Enter")
        page.click("#extract")
        expect(shelf_card(page, name)).to_be_visible()
        expect(page.locator("#extract")).to_be_enabled()
    page.click("#tokens")
    expect(page.locator("#nearest tbody tr")).to_have_count(8)
    page.click("#methods")
    expect(page.get_by_text("Every method on formality")).to_be_visible()
    expect(page.get_by_text("A control's sign is chance")).to_be_visible()
    drawn(page, "#compare-plot")
    for name in ("harm", "formality"):
        page.locator("#compare input").click()
        page.get_by_role("option", name=name, exact=True).click()
    expect(page.get_by_text("Cosines at block 3")).to_be_visible()  # harm's own, which was chosen first
    expect(page.get_by_text("Every method on formality")).to_be_hidden()


def test_an_empty_shelf_offers_one_click_that_steers(page: Page) -> None:
    go(page, "Steer")
    expect(page.locator("#run")).to_be_hidden()
    page.click("#start")
    expect(shelf_card(page, "formality")).to_be_visible()
    expect(page.locator("#run")).to_be_enabled()
    plain, steered = replies(page)
    assert plain
    assert plain != steered
    expect(page.locator("#start-card")).to_be_hidden()
    expect(page.locator("#vector-a1")).to_have_value("formality")


def test_the_opposite_strength_gives_another_text(page: Page) -> None:
    start(page)
    _, cheerful = replies(page)
    strength = page.locator("#strength-a1")
    strength.fill(f"-{strength.input_value()}")
    strength.blur()
    run_to_the_end(page)
    assert replies(page)[1] != cheerful


def test_stop_in_mid_stream_keeps_the_text_and_the_next_run_is_whole(page: Page, brake: threading.Event) -> None:
    start(page, wait=False)
    expect(page.locator(".sw-pane.sw-a .sw-caret")).to_be_visible()
    page.click("#steer-stop")
    expect(page.locator(".sw-strip .sw-over")).to_contain_text("stopped")
    expect(page.locator("#run")).to_be_enabled()
    expect(page.locator(".sw-pane.sw-a footer")).to_contain_text("stopped")
    partial = replies(page)
    assert all(partial)

    brake.clear()
    run_to_the_end(page)
    whole = replies(page)
    assert all(full.startswith(part) and len(full) > len(part) for full, part in zip(whole, partial, strict=True))


def test_a_reply_is_written_on_when_its_page_is_closed_and_other_pages_follow_it(
    browser: Browser, server: tuple[Workbench, str], bench: Workbench, brake: threading.Event
) -> None:
    with opened(browser, server[1]) as page:
        start(page, wait=False)
        expect(page.locator(".sw-pane.sw-a .sw-caret")).to_be_visible()
        (job,) = bench.lane.jobs()
        second = page.context.new_page()
        second.goto(page.url)
        expect(second.locator(".sw-pane.sw-a .sw-caret")).to_be_visible()  # by now it follows
        expect(second.locator("#run")).to_be_disabled()
        expect(second.locator("#steer-stop")).to_be_enabled()
        page.close()
        assert not job.finished
        elsewhere = second.context.new_page()
        elsewhere.goto(f"{server[1]}vectors")
        link = elsewhere.locator(".sw-strip .sw-elsewhere a")
        expect(link).to_have_text(job.title)
        link.click()
        expect(elsewhere.locator(".sw-pane.sw-a .sw-caret")).to_be_visible()
        expect(elsewhere.locator(".sw-elsewhere")).to_be_hidden()  # it is this page's own by now
        brake.clear()
        expect(second.locator(".sw-strip .sw-over")).to_contain_text("done")
        expect(second.locator("#run")).to_be_enabled()
        assert job.state == "done"
        written = second.locator(".sw-pane.sw-a .sw-reply").last.inner_text()
        second.reload()
        expect(second.locator(".sw-pane.sw-a .sw-reply").last).to_have_text(written)


def test_a_run_is_opened_again_by_its_address_in_another_browser(
    browser: Browser, server: tuple[Workbench, str], bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(browser, server[1]) as page:
        start(page)
        written = [each.inner_text() for each in page.locator(".sw-pane .sw-reply").all()]
        page.locator("#user textarea").fill("Another prompt, of which nothing was asked.")
        link = page.locator("[data-copy-run]")
        run = bench.workspace.runs.get(link.get_attribute("data-copy-run") or "")
        link.click()
        expect(page.locator(".sw-run [role=status]")).not_to_be_empty()
        page.locator(".sw-pane.sw-a .sw-tok").nth(2).click()
        expect(page.locator("#token .sw-card")).to_be_visible()
        card = page.locator("#token .sw-card").inner_text()
        until(lambda: bench.workspace.runs.details(run.id, "token"))  # kept once the page was told of the end
    assert (run.kind, run.state, run.panel) == ("steer", "done", "steer")
    bench.workspace.remove("formality")  # the shelf changes; what was found does not
    with opened(browser, server[1], panel="steer") as other:
        with monkeypatch.context() as patch:
            patch.setattr(bench.model, "host", None)  # nor does any model stand
            other.goto(f"{server[1]}steer?run={run.id}")
            expect(other.locator(".sw-was")).to_contain_text(run.title)
            other.locator(".sw-pane.sw-a .sw-tok").nth(2).click()
            expect(other.locator("#token .sw-card")).to_have_text(card, use_inner_text=True)
            other.keyboard.press("Escape")
        expect(other.locator(".sw-was")).to_contain_text(run.title)
        assert [each.inner_text() for each in other.locator(".sw-pane .sw-reply").all()] == written
        expect(other.locator("#user textarea")).to_have_value("Write a note to my boss about the meeting.")
        assert run.id == bench.workspace.runs.find()[0].id  # nothing was run for it
        expect(other.locator("#run")).to_be_hidden()
        other.locator("[data-press]").click()
        expect(other.locator(".sw-notice").first).to_contain_text("cannot run now")
        other.locator("[data-vectors]").click()
        expect(other.locator("#run")).to_be_visible()
        assert bench.workspace.names() == ["formality"]
        other.locator("[data-press]").click()
        expect(other.locator(".sw-strip .sw-over")).to_contain_text("done")
        assert [each.inner_text() for each in other.locator(".sw-pane .sw-reply").all()] == written
        assert "run=" not in other.url  # loaded again, it shows the new one
        other.goto(f"{server[1]}grid?run={run.id}")
        expect(other.locator(".sw-error")).to_contain_text("not one of the panel Grid")
        other.goto(f"{server[1]}grid?run=0123456789abcdef")
        expect(other.locator(".sw-error")).to_contain_text("There is no run")
    assert [*bench.workspace.runs.used(run.id)] == ["formality"]


def test_a_queued_job_shows_its_place_and_can_be_stopped(page: Page, bench: Workbench) -> None:
    release = threading.Event()
    blocker = bench.lane.submit(lambda job: release.wait(60), title="somebody else's")
    try:
        page.click("#extract")
        expect(page.locator(".sw-strip .sw-job")).to_contain_text("1 job ahead")
        page.locator(".sw-strip .sw-stop:visible").click()
        expect(page.locator(".sw-strip .sw-over")).to_contain_text("stopped")
        expect(page.locator("#extract")).to_be_enabled()
    finally:
        release.set()
        blocker.result(60)
    assert bench.workspace.names() == []


@pytest.mark.parametrize(
    ("prompt", "said"), [("", "The prompt is empty."), ("word " * 3000, "tokens long")], ids=["empty", "too long"]
)
def test_a_bad_prompt_shows_one_card_and_keeps_the_replies(page: Page, prompt: str, said: str) -> None:
    start(page)
    before = replies(page)
    page.locator("#user textarea").fill(prompt)
    page.click("#run")
    expect(errors(page)).to_have_count(1)
    expect(errors(page)).to_contain_text(said)
    expect(errors(page)).to_contain_text("What to do")
    assert replies(page) == before
    expect(shelf_card(page, "formality")).to_be_visible()

    page.locator("#user textarea").fill("Write a review of the film.")
    run_to_the_end(page)
    expect(errors(page)).to_have_count(0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("positive,negative\ngood,bad\nfine,\n", "row 3"),
        ("positive,negative\n", "empty"),
        ("this,that\n1,2\n", "columns"),
    ],
    ids=["one side missing", "empty", "wrong columns"],
)
def test_a_bad_contrast_set_shows_one_card(page: Page, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(content, encoding="utf-8")
    page.locator(".sw-body-column:has(#contrast-upload) input[type=file]").set_input_files(path)
    expect(errors(page)).to_have_count(1)
    expect(errors(page)).to_contain_text(said)
    expect(page.locator("#contrast input")).to_have_value("formality")


def test_an_own_contrast_set_is_extracted_and_a_second_vector_stacked(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "tone.csv"
    rows = [f"Write a kind note {n}.,Write a rude note {n}." for n in range(10)]
    path.write_text("\n".join(["positive,negative", *rows]), encoding="utf-8")
    page.locator(".sw-body-column:has(#contrast-upload) input[type=file]").set_input_files(path)
    expect(page.locator("#contrast input")).to_have_value(re.compile(r"^tone\.csv"))
    expect(page.get_by_text("Write a rude note 0.")).to_be_visible()
    page.click("#extract")
    expect(shelf_card(page, "tone")).to_be_visible()

    page.click("#steer-with-it")
    page.locator("#recipe-a").get_by_role("button", name="+ add an intervention").click()
    expect(page.locator("#vector-a2")).to_have_value("tone")
    run_to_the_end(page)
    page.get_by_text("Recipe as JSON").click()
    assert page.locator(".sw-json pre").inner_text().count('"vector": "tone"') == 2


def test_steer_takes_the_vector_that_was_extracted_last(page: Page) -> None:
    start(page)
    for name in ("harm", "demo-topics"):  # new to the shelf, while another one is chosen in Steer
        go(page, "Vectors")
        page.locator("#contrast input").fill(name)
        page.locator("#contrast input").press("Enter")
        page.click("#extract")
        expect(shelf_card(page, name)).to_be_visible()
        go(page, "Steer")
        expect(page.locator("#vector-a1")).to_have_value(name)
        run_to_the_end(page)
        page.get_by_text("Recipe as JSON").click()
        expect(page.locator(".sw-json pre")).to_contain_text(f'"vector": "{name}"')
        expect(page.locator(".sw-over:visible")).to_have_count(1)  # and one finished job line, not one a panel


def test_an_unknown_model_keeps_the_one_that_stands(page: Page, bench: Workbench, tmp_path: Path) -> None:
    host = bench.host
    page.get_by_role("button", name="Switch model").click()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text('{"model_type": "llama"}')
    for wrong, said in (
        (str(tmp_path), "no config.json"),
        (str(tmp_path / "bare"), "no weights"),
        (str(tmp_path / "nowhere"), "no folder"),
    ):
        page.locator("#model-name-own").fill(wrong)
        page.click("#load")
        card = page.locator(".sw-loader .sw-error")
        expect(card).to_contain_text(said)
        expect(card).to_have_count(1)
        expect(page.locator("#load")).to_be_enabled()
    assert bench.host is host
    expect(page.locator(".sw-model .sw-name")).to_be_visible()


def test_a_vector_file_that_is_none_shows_one_card_and_one_of_another_width_is_greyed(
    page: Page, bench: Workbench, tmp_path: Path
) -> None:
    start(page)
    path = tmp_path / "not-a-vector.safetensors"
    path.write_bytes(b"\x00" * 64)
    upload = page.locator(".sw-shelf input[type=file]")
    upload.set_input_files(path)
    expect(page.locator(".sw-shelf .sw-errors .sw-error")).to_contain_text("no vector file")

    upload.set_input_files(narrower(bench, tmp_path))
    card = shelf_card(page, "narrow")
    expect(card).to_have_class(re.compile("sw-off"))
    expect(card).to_contain_text("made for")
    expect(page.locator(".sw-shelf .sw-errors .sw-error")).to_have_count(0)
    expect(page.locator("#vector-a1")).to_have_value("formality")


def test_what_users_and_models_write_is_never_markup(page: Page) -> None:
    start(page)
    page.locator("#user textarea").fill("<img src=x onerror=\"document.title='owned'\">${1+1}{{1}}")
    expect(page.locator(".sw-chips")).to_contain_text("onerror")
    expect(page.locator(".sw-chips img")).to_have_count(0)
    assert page.title() != "owned"


def test_third_parties_panels(page: Page, bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    go(page, "broken")
    expect(errors(page)).to_contain_text("cannot <load>")
    go(page, "Echo")
    panel = page.locator(".sw-body-column")
    panel.get_by_label("Times").fill("7")
    panel.get_by_role("button", name="Run").click()
    expect(panel.locator("table")).to_contain_text("7")
    go(page, "Picky")
    expect(page.locator(".sw-needs:visible")).to_have_text("It wants a <model> of 1000 blocks.")
    run = panel.locator("button", has_text="Run")
    expect(run).to_be_visible()
    run.focus()
    expect(run).not_to_be_focused()  # nor does the key press it, which needs no focus
    page.keyboard.press("r")
    (picky,) = (each for each in bench.catalogue.panels if each.id == "picky")
    monkeypatch.setattr(picky, "needs", lambda host: None)
    page.reload()
    expect(page.locator(".sw-model .sw-name")).to_be_visible()
    expect(page.locator(".sw-needs")).to_have_count(0)
    expect(errors(page)).to_have_count(0)
    run.focus()
    expect(run).to_be_focused()


def test_the_self_check_runs_from_the_model_bar(page: Page) -> None:
    expect(page.locator("#selfcheck-results")).to_be_hidden()
    page.click("#selfcheck")
    expect(page.locator("#selfcheck")).to_have_text("Self-check: passed")
    expect(page.locator("#selfcheck-results")).to_contain_text("is read and written rightly")
    page.get_by_role("button", name="Hide").click()
    expect(page.locator("#selfcheck-results")).to_be_hidden()


def test_modes_bring_their_own_slider_and_a_mode_that_cannot_be_keeps_the_replies(page: Page) -> None:
    start(page)
    first = replies(page)
    choose_mode(page, "Rotate")
    strength = page.locator("#strength-a1")
    expect(page.locator("#recipe-a [data-part=strength-label]")).to_contain_text("Degrees")
    page.locator("#unit-a1").select_option(label="nats")
    expect(strength).to_have_value("1")
    run_to_the_end(page)
    turned = replies(page)
    assert turned[0] == first[0]
    assert turned[1] != turned[0]
    choose_mode(page, "Erase")
    expect(strength).to_be_hidden()
    page.click("#run")
    expect(errors(page)).to_contain_text("has no eraser")
    assert replies(page) == turned


def test_a_condition_that_never_holds_leaves_the_reply_alone(page: Page) -> None:
    start(page)
    plain, steered = replies(page)
    assert plain != steered
    page.locator("#recipe-a").get_by_text("Site and condition").click()
    page.locator("#gate-vector-a1").select_option("formality")
    page.locator("#gate-threshold-a1").fill("99")
    run_to_the_end(page)
    assert replies(page) == [plain, plain]
    expect(page.locator(".sw-pane.sw-a footer")).to_contain_text("Nothing was modified")


def test_recipes_stand_side_by_side_and_the_conversation_goes_on(page: Page) -> None:
    start(page)
    first = replies(page)
    page.click("#more")
    expect(page.locator("#recipe-b")).to_be_visible()
    page.click("#more")
    expect(page.locator("#recipe-c")).to_be_visible()
    expect(page.locator("#more")).to_be_hidden()
    expect(page.locator("#strength-b1")).to_have_value("-0.4")  # the opposite, to begin with
    expect(page.locator("#mode-c1")).to_have_value("ablate")
    share = page.locator("#strength-c1")
    share.fill("0")
    share.press("Tab")
    run_to_the_end(page)
    plain, formal, plainer, same = replies(page)
    assert [plain, formal] == first
    assert len({plain, formal, plainer}) == 3
    assert same == plain

    page.locator("#recipe-b").get_by_role("button", name="Remove Recipe B").click()
    page.locator("#follow-up textarea").fill("What is the capital of France?")
    page.click("#send")
    expect(page.locator(".sw-pane .sw-past")).to_have_text([plain, formal, same])  # each goes on from its own
    sent = page.locator(".sw-pane.sw-a .sw-said")
    expect(sent).to_have_text(["Write a note to my boss about the meeting.", "What is the capital of France?"])
    expect(page.locator(".sw-pane header b")).to_have_text(["Unsteered", "Recipe A", "Recipe C"])
    expect(page.locator(".sw-pane .sw-now .sw-tok").first).to_be_visible()
    assert replies(page)[0] == replies(page)[2]
    expect(page.get_by_text("Not compared")).to_have_count(1)  # A's conversation is another one, C's is the same


def test_tokens_are_coloured_and_each_tells_what_could_have_stood_there(page: Page) -> None:
    start(page)
    tokens = page.locator(".sw-pane.sw-a .sw-tok")
    expect(tokens.first).to_be_visible()
    assert "".join(tokens.all_inner_texts()) == replies(page)[1].replace(" ", "")  # gaps stand between the tokens
    shades = tokens.evaluate_all("all => all.map(each => +each.style.getPropertyValue('--v'))")
    assert max(shades) > 0.2
    plain = page.locator(".sw-pane.sw-plain .sw-tok")
    assert plain.evaluate_all("all => Math.max(...all.map(each => +each.style.getPropertyValue('--v')))") == 0

    tokens.nth(1).click()
    expect(page.locator("#token h2")).to_contain_text(tokens.nth(1).inner_text().strip())
    expect(page.locator("#token tr.sw-on td").first).to_be_visible()
    tokens.nth(1).press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#token h2")).to_contain_text(tokens.nth(2).inner_text().strip())
    token, card = tokens.nth(2).bounding_box(), page.locator("#token").bounding_box()
    assert token
    assert card
    apart = min(abs(card["y"] - token["y"] - token["height"]), abs(token["y"] - card["y"] - card["height"]))
    assert apart < 20  # right below the token or right above it, and in sight
    assert card["y"] >= 0
    assert card["y"] + card["height"] <= 900
    page.keyboard.press("Escape")
    expect(page.locator("#token h2")).to_be_hidden()

    page.locator("#colour input").click()
    page.get_by_role("option", name="projection", exact=True).click()
    expect(page.get_by_text("projection of the state at each token on formality")).to_be_visible()
    expect(page.get_by_text("below zero")).to_be_visible()
    coloured = plain.evaluate_all("all => Math.max(...all.map(each => +each.style.getPropertyValue('--v')))")
    assert coloured > 0


def test_tokens_of_the_prompt_are_picked_and_only_they_are_written(page: Page) -> None:
    start(page)
    chips = page.locator("#chips [data-token]")
    left, right = chips.nth(3).bounding_box(), chips.nth(5).bounding_box()
    assert left
    assert right
    page.mouse.move(left["x"] + 3, left["y"] + 3)
    page.mouse.down()
    page.mouse.move(right["x"] + 3, right["y"] + 3, steps=4)
    page.mouse.up()
    picked = page.locator("#tokens-a1")
    expect(picked).to_have_value("3-5")
    expect(page.locator("#scope-a1 option:checked")).to_have_text("the picked prompt tokens")
    expect(page.locator("#chips .sw-picked")).to_have_count(3)
    chips.nth(8).focus()
    page.keyboard.press("Space")
    expect(picked).to_have_value("3-5, 8")
    run_to_the_end(page)
    expect(page.locator(".sw-pane.sw-a footer")).to_contain_text("Modified 4 prompt + 0 generated positions")
    expect(page.locator("#chips .sw-wa")).to_have_count(4)
    picked.fill("")
    expect(page.locator("#chips .sw-picked")).to_have_count(0)
    page.click("#run")
    expect(errors(page)).to_contain_text("none is picked")


def test_a_grid_fills_keeps_its_cells_and_opens_one_in_steer(page: Page, tmp_path: Path) -> None:
    start(page)
    go(page, "Grid")
    values = page.locator("#grid-x-values input, #grid-x-values textarea")
    expect(values).to_have_value("-0.8..0.8 step 0.4")  # around the vector's own suggestion
    values.fill("0, 0.4")
    page.locator("#grid-y input").click()
    page.get_by_role("option", name="Block", exact=True).click()
    rows = page.locator("#grid-y-values input, #grid-y-values textarea")
    rows.fill("3, 99")
    expect(page.locator("#grid-size")).to_contain_text("99")
    page.click("#grid-run")
    expect(errors(page)).to_contain_text("99")
    rows.fill("3, 4")
    expect(page.locator("#grid-size")).to_contain_text("Up to 4 replies of at most 60 tokens, about")
    page.click("#grid-run")
    cells = page.locator("#grid-cells td[data-x]")
    expect(cells).to_have_count(4)
    expect(page.locator("#grid-csv")).to_be_visible()
    texts = page.locator("#grid-cells .sw-cell").all_inner_texts()
    assert texts[0] == texts[2] != texts[3]

    values.fill("0, 0.4, 0.8")
    page.click("#grid-run")
    expect(page.locator("#grid-cells")).to_contain_text("6 of 6 cells, 4 of them known")
    expect(page.locator("#grid-run")).to_be_enabled()  # its files stand by then
    for button, ending in (("#grid-csv", "csv"), ("#grid-html", "html")):
        with page.expect_download() as download:
            page.click(button)
        path = tmp_path / f"grid.{ending}"
        download.value.save_as(path)
        assert texts[3] in path.read_text(encoding="utf-8")
        assert file_origin(path).run == page.get_attribute(".sw-run", "data-run")

    cell = page.locator("#grid-cells td[data-x='1'][data-y='1']")
    cell.locator(".sw-cell").click()
    expect(page.locator("#grid-cell")).to_contain_text("strength 0.4, block 4")
    cell.locator(".sw-open").click()
    expect(page.locator("#strength-a1")).to_have_value("0.4")
    run_to_the_end(page)
    assert replies(page) == [texts[2], texts[3]]


def test_a_stopped_grid_keeps_its_cells(page: Page, brake: threading.Event) -> None:
    brake.clear()
    start(page)
    go(page, "Grid")
    values = page.locator("#grid-x-values input, #grid-x-values textarea")
    expect(values).to_have_value("-0.8..0.8 step 0.4")  # around the vector's own suggestion
    values.fill("0, 0.1")
    page.click("#grid-run")
    expect(page.locator("#grid-cells")).to_contain_text("2 of 2 cells")
    brake.set()
    values.fill("0..0.3 step 0.01")  # two batches
    page.click("#grid-run")
    expect(page.locator("#grid-cells")).to_contain_text("2 of 31 cells")  # known, so there at once
    expect(page.locator("#grid-stop")).to_be_enabled()
    expect(page.locator("#grid-cells td[data-x]")).to_have_count(2)
    first = page.locator("#grid-cells td[data-x='0']")
    first.locator(".sw-cell").click()
    page.keyboard.press("s")  # Stop, from where the focus is
    expect(page.locator(".sw-strip .sw-over").filter(has_text="replies")).to_contain_text("stopped")
    expect(page.locator("#grid-cells")).to_contain_text("Not done")
    expect(first).to_have_class("sw-chosen")  # what changes around it leaves choice and focus alone
    expect(first.locator(".sw-cell")).to_be_focused()
    assert 2 <= page.locator("#grid-cells td[data-x]").count() < 31
    brake.clear()
    page.click("#grid-run")
    expect(page.locator("#grid-cells")).to_contain_text(re.compile(r"31 of 31 cells, \d+ of them known"))


def test_a_cell_of_another_method_brings_its_vector_along(page: Page, bench: Workbench) -> None:
    start(page)
    go(page, "Grid")
    page.locator("#grid-x input").click()
    page.get_by_role("option", name="Extraction method", exact=True).click()
    values = page.locator("#grid-x-values input, #grid-x-values textarea")
    expect(values).to_have_value("mean_difference, logistic, lda, random")  # values of its own kind
    values.fill("mean_difference, random")
    expect(page.locator("#grid-size")).to_contain_text("2 replies")
    page.click("#grid-run")
    expect(page.locator("#grid-cells")).to_contain_text("2 of 2 cells")
    text = page.locator("#grid-cells [data-x='1'] .sw-cell").inner_text()
    page.locator("#grid-cells [data-x='1'] .sw-open").click()
    expect(page.locator("#vector-a1")).to_have_value("formality (random)")
    assert "formality (random)" in bench.workspace.names()
    expect(page.locator("#panes.sw-stale")).to_be_visible()  # the replies are another recipe's
    run_to_the_end(page)
    expect(page.locator("#panes.sw-stale")).to_have_count(0)
    assert replies(page)[1] == text


def test_steer_sends_its_recipe_to_the_grid(page: Page) -> None:
    start(page)
    strength = page.locator("#strength-a1")
    strength.fill("-0.3")
    strength.press("Tab")
    page.locator("#user textarea").fill("Write a review of the film.")
    page.click("#steer-to-grid")
    expect(page.locator("#strength-g1")).to_have_value("-0.3")
    expect(page.locator("#grid-user textarea")).to_have_value("Write a review of the film.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_sees_everything_without_scrolling_sideways(
    browser: Browser, server: tuple[Workbench, str], bench: Workbench, theme: str
) -> None:
    with opened(browser, server[1], width=390, query=f"?__theme={theme}") as page:
        start(page)
        for name in ("Steer", "Vectors", "Grid"):
            go(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(shelf_card(page, "formality")).to_be_hidden()
        page.locator("label[for=sw-fold]").click()
        expect(shelf_card(page, "formality")).to_be_visible()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(20, 22, 26)") == (theme == "dark")


def start(page: Page, *, wait: bool = True) -> None:
    """The first click: extract formality and steer with it."""
    go(page, "Steer")
    page.click("#start")
    if wait:
        expect(page.locator(".sw-strip .sw-over")).to_contain_text("done")
        expect(page.locator("#run")).to_be_enabled()


def run_to_the_end(page: Page) -> None:
    expect(page.locator("#run")).to_be_enabled()
    before = page.locator(".sw-strip .sw-over[data-job]").evaluate_all("lines => lines.map(line => line.dataset.job)")
    page.click("#run")
    fresh = "".join(f":not([data-job='{job}'])" for job in before)
    expect(page.locator(f".sw-strip .sw-over[data-job]{fresh}").filter(has_text="Steering")).to_contain_text("done")
    expect(page.locator("#run")).to_be_enabled()


def replies(page: Page) -> list[str]:
    return page.locator(".sw-pane .sw-now").all_inner_texts()


def choose_mode(page: Page, name: str) -> None:
    page.locator("#mode-a1").select_option(label=name)


def shelf_card(page: Page, name: str) -> Locator:
    return page.locator(".sw-v").filter(has=page.get_by_text(name, exact=True))


def errors(page: Page) -> Locator:
    return page.locator(".sw-body-column .sw-error")


def narrower(bench: Workbench, folder: Path) -> Path:
    """A vector file made for a model of half the width."""
    from dataclasses import replace

    vector = bench.workspace.get("formality").vector
    half = vector.directions[:, : vector.width // 2]
    directions = half / half.norm(dim=-1, keepdim=True)
    return save_vector(replace(vector, name="narrow", directions=directions), folder / "narrow.safetensors")
