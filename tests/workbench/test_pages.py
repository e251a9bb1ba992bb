"""Every panel on a page of its own: what a page costs, what stands when it is opened anew, and who else it harms."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
import pytest
from gradio.blocks import BlocksConfig
from gradio.state_holder import SessionState

from steering.errors import SteeringError
from steering.plugins import Problem
from steering.recipes.recipe import Recipe
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from tests.conftest import ROOT
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.frame.look import stamp
from workbench.frame.navigation import navigation, places_of
from workbench.frame.shell import build
from workbench.frame.start import STEPS, Step, latest_html
from workbench.memory import MOST_VISITORS, Memory
from workbench.page.context import PanelContext
from workbench.page.inputs import Page
from workbench.page.notice import Notice
from workbench.page.settings import Settings
from workbench.page.state import PageState
from workbench.page.visits import visitor_of
from workbench.panel import Panel
from workbench.runs.run import Run
from workbench.sent import MOST, Sent, Taken


class Dummy(Panel):
    summary, order = "Does nothing.", 200.0

    def __init__(self, number: int) -> None:
        self.id, self.title = f"dummy-{number}", f"Dummy {number}"

    def run(self, host: Any, settings: Any, job: Any) -> Result:
        raise NotImplementedError


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    bench = Workbench(workspace=tmp_path)
    yield bench
    bench.lane.close()


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A workbench as it comes, and what its pages are made of."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("home"))
    yield bench, build(bench).get_config_file()
    bench.lane.close()


def _sizes(config: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """By page: components, events, and characters of their configuration without the links to other pages."""
    sizes = {}
    for page, here in config["page"].items():
        parts = [each for each in config["components"] if each["id"] in set(here["components"])]
        events = [each for each in config["dependencies"] if each["id"] in set(here["dependencies"])]
        props = [each["props"] for each in parts if "sw-nav" not in str(each["props"].get("elem_classes"))]
        sizes[page] = (len(parts), len(events), len(json.dumps(props, default=str)))
    return sizes


def test_more_panels_change_no_other_page(laid_out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, config = laid_out
    before = _sizes(config)
    known = bench.catalogue
    more = tuple(Dummy(number) for number in range(4))
    monkeypatch.setattr(bench, "catalogue", type(known)((*known.panels, *more), known.sources, known.broken))
    after = _sizes(build(bench).get_config_file())
    assert len(after) == len(before) + 4
    start = before.pop("")  # which lists the panels
    assert after[""][1] == start[1]
    for page, size in before.items():
        assert after[page] == size, page


def test_no_event_tells_components_how_it_goes(laid_out: Any) -> None:
    """Each step of any event would otherwise cost the browser work for every component that any event ever changed."""
    events = laid_out[1]["dependencies"]
    assert len(events) > 100
    told = [each["targets"] for each in events if each["show_progress_on"] != [] or each["show_progress"] != "hidden"]
    assert told == []


def _restyled(sheet: str) -> list[str]:
    """Element names that a rule styles by what stands within another element: a change of any markup within the page
    has the browser style all elements of that name anew.
    """
    found = []
    for selectors in re.findall(r"([^{};]*:has\([^{};]*)\{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
        while "(" in selectors:  # from within, until what stands in brackets is gone
            selectors = re.sub(r":[\w-]+\([^()]*\)", lambda at: ":had" * (":ha" in at[0]), selectors)
        subjects = [re.split(r"[\s>+~]+", each.strip())[-1] for each in selectors.split(",")]
        found += [each for each in subjects if re.match(r"[a-z*]", each) and not re.search(r"[.#\[]|:had", each)]
    return found


def test_no_rule_has_every_change_restyle_all_elements_of_a_kind() -> None:
    assert _restyled(".a { } .t tr:has(.x) td:first-child, .t:has(.y) { color: red }") == ["td:first-child"]
    assert _restyled(".a:has(> :is(.b, .c)) .d { } /* tr:has(a) td {} */ .e:not(:has(.f)) [data-g], p:has(b) { }") == []
    sheets = sorted((ROOT / "assets").rglob("*.css"))
    assert len(sheets) > 5
    assert {
        str(sheet.relative_to(ROOT)): kinds for sheet in sheets if (kinds := _restyled(sheet.read_text("utf-8")))
    } == {}


def test_no_two_listeners_of_one_event_wait_for_one_another(laid_out: Any) -> None:
    """Gradio fires an event that had to wait again for all its listeners: two that wait would never come to an end."""
    config = laid_out[1]
    states = {each["id"] for each in config["components"] if each["type"] == "state"}
    waiting = [
        tuple(target)
        for each in config["dependencies"]
        if each["backend_fn"] and each["trigger_mode"] == "always_last"
        for target in each["targets"]
        if target[0] not in states  # whose listeners are called one by one
    ]
    assert len(waiting) > 20
    assert len(waiting) == len(set(waiting))


def test_what_is_chosen_while_a_choice_is_answered_counts(laid_out: Any) -> None:
    """Gradio would drop it: two quick picks in a list would draw what the first one alone gives."""
    events = [each for each in laid_out[1]["dependencies"] if each["backend_fn"]]
    chosen = [each for each in events if each["targets"] and {name for _, name in each["targets"]} == {"input"}]
    answered = [each for each in chosen if not each["cancels"] and each["trigger_mode"] != "always_last"]
    assert len(chosen) > 5
    (reads,) = answered  # colours replies by another vector: a run, whose Stop stands beside it
    assert reads["trigger_mode"] == "once"


def _waiting(page: gr.Blocks) -> list[Any]:
    return [each for each in page.fns.values() if each.fn and each.trigger_mode == "always_last"]


@pytest.mark.parametrize("share", [True, False])
def test_watches_that_share_an_event_share_a_listener(bench: Workbench, share: bool) -> None:
    with gr.Blocks() as page:
        ui = PanelContext(bench, PageState(), "Test", "test")
        first, second, third = (gr.Textbox() for _ in range(3))
        ui.watch(first.change, call=lambda a: {third: a}, inputs={"a": first}, outputs=[third])
        told = [first.change, second.change] if share else [second.change]
        ui.watch(*told, call=lambda b: {third: b}, inputs={"b": second}, outputs=[third])
        ui.wire_watches()
    assert len(_waiting(page)) == 2 - share


def test_what_shares_a_listener_is_drawn_though_another_part_cannot_be(bench: Workbench) -> None:
    def fails(a: str) -> Any:
        raise ValueError(a)

    with gr.Blocks() as page:
        ui = PanelContext(bench, PageState(), "Test", "test")
        first, second, third = (gr.Textbox() for _ in range(3))
        ui.watch(first.change, call=fails, inputs={"a": first}, outputs=[second])
        ui.watch(first.change, call=lambda a: {third: a.upper()}, inputs={"a": first}, outputs=[third])
        ui.wire_watches()
    (listener,) = _waiting(page)
    assert listener.fn(gr.Request(), "word") == {third: "WORD"}


def test_a_panel_that_cannot_be_imported_has_a_page_that_says_so(bench: Workbench) -> None:
    error = SteeringError("It failed.", "a module.", "Mend it.")
    bench.catalogue = type(bench.catalogue)(bench.catalogue.panels, {}, (Problem("/x/My Panel.py", error),))
    place = next(each for each in places_of(bench.catalogue) if each.problem)
    assert (place.path, place.title) == ("my-panel", "My Panel")
    page = build(bench)
    ids = set(page.get_config_file()["page"][place.path]["components"])
    shown = [part.value for part in page.blocks.values() if part._id in ids and isinstance(part, gr.HTML)]
    assert any("It failed." in str(value) for value in shown)


def test_links_are_relative_and_names_are_text(bench: Workbench) -> None:
    hostile = Dummy(1)
    hostile.title = "<img src=x onerror=alert(1)>"
    bench.catalogue = type(bench.catalogue)((*bench.catalogue.panels, hostile), {}, ())
    places = places_of(bench.catalogue)
    html = navigation(places, places[0])
    assert "<img" not in html
    assert html.count("aria-current") == 1
    assert 'href="./steer"' in html
    assert not [part for part in html.split('href="')[1:] if not part.startswith("./")]


@pytest.mark.parametrize("step", [step for step in STEPS if step.query], ids=lambda step: step.panel)
def test_the_link_of_a_step_names_settings_that_its_page_has(bench: Workbench, step: Step) -> None:
    panel = next(each for each in bench.catalogue.panels if each.id == step.panel)
    query = dict(parse_qsl(step.query.removeprefix("?")))
    assert query
    with gr.Blocks():
        with gr.Column() as body:
            panel.build(PanelContext(bench, PageState(), panel.title, panel.id))
        settings = Settings(panel.id, body)
        changes = settings.restored(None, query, ())
    assert settings.dropped not in changes
    shown = str([change["value"] for change in changes.values()])
    for value in query.values():
        assert value in shown


def test_an_event_that_leaves_a_control_of_ours_out_changes_none_of_its_properties() -> None:
    """Gradio would send the mark of an update as a property, for which the browser drops all others."""
    with Page() as page:
        control, button = gr.HTML("", ident="a", words="b"), gr.Button()
        button.click(lambda: None, outputs=[control, button])
    (event,) = page.fns.values()
    left_out, _ = asyncio.run(page.postprocess_data(event, [gr.skip(), "x"], None))
    assert left_out == {"__type__": "update"}
    changed, _ = asyncio.run(page.postprocess_data(event, [gr.update(words="c"), "x"], None))
    assert changed["props"] == {"words": "c"}


def test_what_an_event_leaves_as_it_is_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Page() as page:
        box, kept, state, button = gr.Textbox(), gr.Textbox("as it is"), gr.State(1), gr.Button()
        button.click(lambda: None, outputs=[box, kept, state, button])
    (event,) = page.fns.values()
    session, made = SessionState(page), list[str]()
    for kind in (gr.Textbox, gr.Button):
        first = kind.__init__

        def init(self: Any, *given: Any, first: Any = first, **named: Any) -> None:
            made.append(type(self).__name__)
            first(self, *given, **named)

        monkeypatch.setattr(kind, "__init__", init)

    def sent(given: Any) -> list[Any]:
        made.clear()
        return asyncio.run(page.postprocess_data(event, given, session))

    left = {"__type__": "update"}
    assert sent({box: "new"}) == ["new", left, None, left]
    assert made == []
    assert sent({button: gr.update(interactive=False), state: 2}) == [left, left, None, {**left, "interactive": False}]
    assert (made, session[state._id]) == (["Button"], 2)
    assert sent([gr.skip(), "all", gr.skip(), gr.skip()]) == [left, "all", None, left]
    assert sent(gr.skip()) == [left, left, None, left]
    with pytest.raises(ValueError, match="enough output values"):
        sent(["too few"])


def test_new_markup_is_sent_as_gradio_sends_it_and_makes_no_component(monkeypatch: pytest.MonkeyPatch) -> None:
    with Page() as page:
        pane, other, button = gr.HTML("<p>before</p>"), gr.HTML("b"), gr.Button()
        button.click(lambda: None, outputs=[pane, other])
    (event,) = page.fns.values()
    given = [gr.update(value="<p>a &amp; b</p>"), gr.update(value="c", visible=False)]

    def sent(how: Any) -> tuple[list[Any], Any, Any]:
        session = SessionState(page)
        before = session[pane._id]
        found = asyncio.run(how(page, event, [dict(each) for each in given], session))
        return found, session.config_values[pane._id]["props"]["value"], session[pane._id] is before

    expected, stands, kept = sent(gr.Blocks.postprocess_data)
    assert not kept  # Gradio's own makes it anew,
    assert [each.pop("props") for each in expected] == [{"__type__": "update"}] * 2  # and takes the mark for a property
    assert sent(Page.postprocess_data) == (expected, stands, True)
    assert stands == "<p>a &amp; b</p>"
    assert expected[1]["visible"] is False


def test_sessions_share_what_components_are_and_change_their_own_alone() -> None:
    """Held against what Gradio works out for everybody who opens a page."""
    with Page() as page:
        box, button = gr.Textbox("before", label="Name"), gr.Button()
        button.click(lambda: None, outputs=box)
    one, other = SessionState(page), SessionState(page)
    for session in (one, other):
        assert session.config_values == {
            number: BlocksConfig.config_for_block(number, [], block) for number, block in page.blocks.items()
        }
    one._update_value_in_config(box._id, "after")
    one[button._id] = gr.Button("Changed", render=False)
    one._update_config(button._id)
    assert one.config_values[box._id]["props"]["value"] == "after"
    assert one.config_values[button._id]["props"]["value"] == "Changed"
    assert other.config_values[box._id]["props"]["value"] == "before"
    assert SessionState(page).config_values == other.config_values


def test_states_that_events_follow_are_those_that_gradio_finds() -> None:
    with Page() as page:
        followed, other, button = gr.State([1]), gr.State(2), gr.Button()
        button.click(lambda: None, outputs=[followed, other, button])
        followed.change(lambda: None, outputs=[other])
    session = SessionState(page)
    found = [page.get_state_ids_to_track(event, session) for event in page.fns.values()]
    assert found == [gr.Blocks.get_state_ids_to_track(page, event, session) for event in page.fns.values()]
    assert [ids for ids, _ in found] == [[followed._id], []]
    session[followed._id] = [1, 2]
    changed = page.get_state_ids_to_track(page.fns[0], session)
    assert changed[0] == found[0][0]
    assert changed[1] != found[0][1]  # which is how Gradio sees that it changed
    assert page.get_state_ids_to_track(page.fns[0], None) == ([], [])


def test_a_path_that_gradio_has_itself_is_not_taken(bench: Workbench) -> None:
    panel = Dummy(1)
    panel.id = "config"
    bench.catalogue = type(bench.catalogue)((panel,), {}, ())
    assert places_of(bench.catalogue)[0].path == "config-2"


def test_what_a_panel_showed_is_kept_by_visitor_and_merged() -> None:
    memory, part, other = Memory(), object(), object()
    memory.keep("anna", "steer", {part: "first", other: {"__type__": "update", "visible": True}})
    memory.keep("anna", "steer", {part: {"__type__": "update", "value": "second"}, other: "text"})
    assert memory.of("anna", "steer") == {part: {"value": "second"}, other: {"visible": True, "value": "text"}}
    assert memory.value("anna", "steer", part) == "second"
    memory.keep("anna", "steer", {part: gr.Timer(4.0)})
    assert memory.value("anna", "steer", part) == 4.0
    assert memory.of("ben", "steer") == {}
    assert memory.of("anna", "grid") == {}
    memory.keep("", "steer", {part: "nobody's"})
    assert memory.of("", "steer") == {}
    for number in range(MOST_VISITORS):
        memory.keep(f"visitor {number}", "steer", {part: number})
    assert memory.of("anna", "steer") == {}


def test_what_is_sent_is_taken_once_and_the_oldest_go() -> None:
    sent, settings = Sent(), SteerSettings(recipes=(Recipe(),))
    number = sent.put(settings)
    assert sent.taken("other") is None
    assert sent.taken(number) == Taken(settings)
    assert sent.taken(number) is None
    old = sent.put(settings)
    for _ in range(MOST):
        sent.put(settings)
    assert sent.taken(old) is None


KEPT: list[tuple[str, Any, Any]] = [
    ("text", "Hello.", {"value": "Hello."}),
    ("text", 5, None),
    ("text", "x" * 200_000, None),
    ("number", 2, {"value": 2}),
    ("number", "3", {"value": 3.0}),
    ("number", 11, None),
    ("number", True, None),
    ("number", float("nan"), None),
    ("yes", False, {"value": False}),
    ("yes", "false", None),
    ("one", "b", {"value": "b"}),
    ("one", "gone", None),
    ("one", ["b"], None),
    ("several", ["a"], {"value": ["a"]}),
    ("several", "a", None),
    ("several", ["a", "gone"], None),
    ("later", "new", {"value": "new", "choices": [("a", "a"), ("new", "new")]}),
    ("unknown", 1, None),
]


@pytest.mark.parametrize(("name", "value", "shown"), KEPT)
def test_kept_settings_that_fit_stand_again_and_others_are_told(name: str, value: Any, shown: Any) -> None:
    with gr.Blocks():
        with gr.Column() as body:
            gr.Textbox(elem_id="text")
            gr.Number(label="number", minimum=0, maximum=10)
            gr.Checkbox(label="yes")
            gr.Radio(["a", "b"], label="one")
            gr.Dropdown(["a", "b"], multiselect=True, label="several")
            later = gr.Dropdown(["a"], label="later")
            gr.Textbox(label="shown", interactive=False)
        settings = Settings("test", body)
    assert len(settings.components) == 6
    changes = settings.restored({name: value}, {}, {later})
    if shown is None:
        assert list(changes) == [settings.dropped]
        assert name in changes[settings.dropped]
    else:
        assert settings.dropped not in changes
        (change,) = changes.values()
        assert {key: value for key, value in change.items() if key != "__type__"} == shown


def test_what_stood_in_a_list_is_kept_whatever_it_offered_at_first(recwarn: pytest.WarningsRecorder) -> None:
    with gr.Blocks():
        with gr.Column() as body:
            which = gr.Dropdown(["a"], elem_id="which")
        settings = Settings("test", body)
    assert settings.plain({which: "drawn later"}) == {"which": "drawn later"}
    assert not [each for each in recwarn if "choices" in str(each.message)]


def test_of_a_kept_form_the_choices_that_something_else_draws_are_left_to_that() -> None:
    with gr.Blocks():
        with gr.Column() as body:
            which = gr.Dropdown([], elem_id="which")
            gr.Textbox(elem_id="text")
        settings = Settings("test", body)
    known = {"which": "of that run", "text": "typed"}
    changes = settings.restored(known, {}, ())  # it is offered by what the run showed alone, and missed by nobody
    assert [change["value"] for change in changes.values()] == ["typed"]
    assert settings.typed(known, {which: "drawn"}) == {"text": "typed"}
    assert settings.typed(known, {}) == known
    assert settings.typed("anything", {}) == {}


@pytest.mark.parametrize("known", [None, 5, "text", [1], {"\ud800": 1}, {"text": {"a": {}}}])
def test_nonsense_from_the_browser_changes_nothing(known: Any) -> None:
    with gr.Blocks():
        with gr.Column() as body:
            gr.Textbox("before", elem_id="text")
        settings = Settings("test", body)
    assert all(part is settings.dropped for part in settings.restored(known, {}, ()))


def test_an_address_names_settings() -> None:
    with gr.Blocks():
        with gr.Column() as body:
            text = gr.Textbox(elem_id="text")
        settings = Settings("test", body)
    assert settings.restored({"text": "kept"}, {"text": "named"}, ())[text]["value"] == "named"


def test_nobody_is_a_visitor_without_a_cookie() -> None:
    assert visitor_of(gr.Request()) == ""


def test_no_page_has_a_timer_and_what_it_compares_changes_with_shelf_and_model(bench: Workbench) -> None:
    config = build(bench).get_config_file()
    assert "html" in {each["type"] for each in config["components"]}
    assert "timer" not in {each["type"] for each in config["components"]}
    seen = [stamp(bench)]
    assert stamp(bench) == seen[0]
    bench.workspace.put(vector())
    seen.append(stamp(bench))
    loading = bench.model.load("no such model")
    with pytest.raises(SteeringError):
        loading.result(60)
    seen.append(stamp(bench))
    assert len(set(seen)) == 3


def test_results_of_another_model_are_said_until_there_are_new_ones(bench: Workbench) -> None:
    def use(name: str, summary: str) -> None:
        bench.model.host = SimpleNamespace(info=SimpleNamespace(name=name, summary=summary))  # type: ignore[assignment]

    with gr.Blocks():
        notice = Notice(bench, "steer")
        notice.place(lambda: "<p>needs</p>")
    assert notice.drawn("anna") == "<p>needs</p>"
    use("/a/long/path/<one>", "4 x 8")
    assert notice.results_begin("anna") == "<p>needs</p>"
    use("two", "4 x 8")
    said = notice.drawn("anna")
    assert said.startswith("<p>needs</p>")
    assert "&lt;one&gt;, of " in said
    assert "<b>two</b>" in said
    assert "/a/long" not in said
    assert notice.drawn("ben") == "<p>needs</p>"  # who has none
    assert notice.results_begin("anna") == "<p>needs</p>"
    use("two", "another precision")
    assert "two, of " in notice.drawn("anna")


def test_the_start_page_lists_the_latest_runs_that_a_visitor_may_see(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path / "home")
    here = {place.panel.id: place for place in places_of(bench.catalogue) if place.panel}
    assert latest_html(here, bench, "anna") == ""
    mine = bench.runs.begin(Run("", "steer", "<mine>", "demo", panel="steer", owner="anna"))
    bench.runs.begin(Run("", "grid", "headless", "demo"))
    latest = latest_html(here, bench, "anna")
    assert f'<a href="./steer?run={mine}">&lt;mine&gt;</a> on demo, ' in latest
    assert latest.index("headless") < latest.index("mine")
    assert latest.count("<a ") == 1
    bench.only_here = False  # others reach the page too
    assert "headless" not in latest_html(here, bench, "anna")
    assert latest_html(here, bench, "ben") == ""
