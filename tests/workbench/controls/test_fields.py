"""A form as one control: what a browser sends is read, what no longer fits is named, what is wrong has its field."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import pytest
from pydantic import BaseModel
from pydantic import Field as Setting

from steering.confines import Confines
from steering.errors import SteeringError
from steering.resources import resource
from workbench.bench import Workbench
from workbench.controls import fields as module
from workbench.controls.field import choice, lines, more, number, section, several, switch, text
from workbench.controls.fields import Fields, Filled, place_fields
from workbench.page.context import PanelContext
from workbench.page.settings import Settings
from workbench.page.state import PageState
from workbench.page.theme import head


EVIL = "<img src=x onerror=\"document.title='owned'\">${1+1}{{1}}`'"


class Asked(BaseModel):
    data: str = ""
    note: str = "one"
    count: int = Setting(3, ge=0, le=10, description="How many.")
    share: float | None = Setting(0.5, ge=0, le=1)
    both: bool = True
    way: Literal["here", "there"] = "here"
    arms: tuple[str, ...] = ("add", "ablate")
    prompts: tuple[str, ...] = ()


SECTIONS = [
    section(
        "Requests",
        choice(
            "data",
            "Requests",
            [("The model's own", ""), (EVIL, "evil")],
            own=True,
            upload="Upload",
            upload_kind="texts",
        ),
        text("note", "Note", hint=EVIL),
        more(number("count", "Count", unit="a side"), number("share", "Share"), switch("both", "Both")),
    ),
    section(
        "Effects",
        choice("way", "Way"),
        several("arms", "Arms", [("Add", "add"), ("Ablate", "ablate")]),
        several("tokens", "Tokens", own=True),
        several("sites", "Sites", [("Output", "output")], default=["output"], changing=True),
        lines("prompts", "Prompts"),
    ),
]
FIRST: dict[str, Any] = {
    "data": "",
    "note": "one",
    "count": 3,
    "share": 0.5,
    "both": True,
    "way": "here",
    "arms": ["add", "ablate"],
    "tokens": [],
    "sites": ["output"],
    "prompts": "",
}


@pytest.fixture
def ui(tmp_path: Path) -> Any:
    bench = Workbench(workspace=tmp_path / "home")
    library = bench.workspace.uploads.files
    bench.confined_to = Confines(tmp_path / "uploads", hub=False, models=frozenset(), library=library)
    with gr.Blocks():
        yield PanelContext(bench, PageState(), "Test", "test")
    bench.lane.close()


@pytest.fixture
def form(ui: PanelContext) -> Fields:
    return place_fields(ui, "test", SECTIONS, settings=Asked, events={"sized": ("count", "arms")})


def test_defaults_limits_and_choices_are_those_of_the_settings(form: Fields) -> None:
    assert form.value == FIRST
    assert form.preprocess(json.loads(json.dumps(form.value))) == Filled(FIRST)
    assert form.preprocess(None).values() == form.preprocess("").values() == FIRST
    count = form.fields["count"]
    assert (count.low, count.high, count.whole, count.unit) == (0, 10, True, "a side")
    assert form.fields["share"].whole is False
    assert [value for _, value in form.fields["way"].choices] == ["here", "there"]
    assert form.fields["note"].id == "test-note"
    json.dumps(form.props)  # as the page gets it


WRONG: dict[str, list[Any]] = {
    "data": [5, ["a"], {"a": 1}, "half \ud800", "x" * 200_000],
    "note": [None, True, 1.5, []],
    "count": ["5", 2.5, -1, 11, 10**400, float("nan"), float("inf"), True, [1], {}],
    "share": ["half", 2, -0.1],
    "both": ["true", 1, None, []],
    "way": ["neither", 5, None],
    "arms": ["add", [1], [["add"]], ["add", "neither"], {"add": 1}, None],
    "tokens": ["a", [5], ["x" * 200_000], ["x"] * 20_000],
    "prompts": [["a"], 5],
}
WRONG["note"].remove(None)  # an empty text
WRONG["way"].remove(None)


@pytest.mark.parametrize("name", WRONG)
def test_what_a_field_cannot_have_is_refused_at_that_field_and_the_others_stand(form: Fields, name: str) -> None:
    for wrong in WRONG[name]:
        filled = form.preprocess({**FIRST, name: wrong, "unknown": wrong, "seed": 1})
        assert filled.ready[name] == FIRST[name]
        with pytest.raises(SteeringError):
            filled.values()
        asked = form.ask({**FIRST, name: wrong})
        assert [each["field"] for each in asked] == [name], wrong
        assert len(asked[0]["said"]) < 2000


@pytest.mark.parametrize("sent", [5, [1], "text", {"a": {"b": [[[[]]]] * 3}}, {5: 6}, True])
def test_what_is_no_form_is_answered(form: Fields, sent: Any) -> None:
    assert form.preprocess(sent).ready == FIRST
    assert isinstance(form.ask(sent), list)


def test_an_empty_number_is_none_and_an_empty_text_leaves_the_default(form: Fields) -> None:
    filled = form.preprocess({**FIRST, "count": None, "share": "", "note": "", "both": False})
    assert filled.values() | {"both": False} == {**FIRST, "count": None, "share": None, "note": "", "both": False}
    assert set(FIRST) - set(filled.given()) == {"count", "share", "note", "data", "prompts"}
    assert filled.given()["both"] is False
    assert form.preprocess({**FIRST, "count": 4.0}).values()["count"] == 4


def test_settings_say_what_is_wrong_of_every_field(ui: PanelContext) -> None:
    class Strict(BaseModel):
        low: int = 1
        name: str = Setting("a", pattern="[a-z]")

    form = place_fields(ui, "strict", [section("", number("low", "Low"), text("name", "Name"))], settings=Strict)
    assert form.ask({"low": 2, "name": "b"}) == []
    (said,) = form.ask({"low": 2, "name": "!"})
    assert said["field"] == "name"
    assert "'!'" in said["said"]


def test_a_check_of_the_panels_own_is_asked(ui: PanelContext) -> None:
    seen: list[dict[str, Any]] = []

    def check(values: dict[str, Any]) -> None:
        seen.append(values)
        raise SteeringError("Nothing can run.", "a recipe.")  # of no field

    form = place_fields(ui, "own", [section("", text("name", "Name"))], check=check)
    assert form.ask({"name": "b"}) == []
    assert seen == [{"name": "b"}]


def test_a_number_beyond_all_bounds_is_refused_by_what_its_own_field_takes(form: Fields) -> None:
    for given in (99, 10**9, 10**400):
        (problem,) = form.preprocess({"count": given}).problems
        assert problem.field == "count"
        assert "from 0 up to 10" in problem.error.expected


def test_what_no_longer_fits_is_left_out_field_by_field_and_an_address_names_fields(ui: PanelContext) -> None:
    with gr.Column() as body:
        form = place_fields(ui, "test", SECTIONS, settings=Asked)
    settings = Settings("test", body)
    known = {"test-fields": {"note": "typed", "count": 99, "arms": ["gone"], "older": 1}}
    changes = settings.restored(known, {"test-share": "0.25", "test-both": "off", "test-tokens": "a,b"}, ())
    assert changes[form]["value"] == {"note": "typed", "share": 0.25, "both": False, "tokens": ["a", "b"]}
    said = changes[settings.dropped]
    for name in ("Count", "Arms", "older"):
        assert name in said
    for query in ({"test-count": "many"}, {"test-both": "perhaps"}):
        changes = settings.restored(None, query, ())
        assert changes[form]["value"] == {}
        assert settings.dropped in changes
    assert form not in settings.restored({"test-fields": 5}, {}, ())
    assert settings.restored({}, {}, ()) == {}


def test_values_and_choices_of_some_fields_leave_those_of_others(form: Fields) -> None:
    first = form.offering({"sites": [("Input", "input")]}, {"sites": ["input"]})
    second = form.offering({"tokens": [(EVIL, "#5")]}, {"note": "new"})
    both = form.joined(first, second)
    assert both["value"] == {"sites": ["input"], "note": "new"}
    assert both["offers"] == {"sites": [["Input", "input"]], "tokens": [[EVIL, "#5"]]}
    assert both["sections"] == form.props["sections"]
    assert form.joined({}, {"value": {"note": "x"}}) == {"value": {"note": "x"}}
    assert form.joined({"value": {"count": 1}}, {"visible": False}) == {"value": {"count": 1}, "visible": False}
    assert form.postprocess({"note": "x"}) == {"note": "x"}
    assert form.given({"note": "x"}).ready == {**FIRST, "note": "x"}
    assert form.preprocess({"sites": ["input"]}).values()["sites"] == ["input"]  # it may have been offered


NOBODY = gr.Request()


def test_an_upload_is_read_named_and_shown_and_nothing_else_of_the_server_is(
    ui: PanelContext, form: Fields, tmp_path: Path
) -> None:
    path = tmp_path / "uploads" / "0" / "mine.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"goal,target\n{EVIL},Sure\n", encoding="utf-8")
    found = form.take({"field": "data", "path": str(path)}, NOBODY)
    assert found["name"] == "mine.csv"
    assert found["value"] == f"upload:{hashlib.sha256(path.read_bytes()).hexdigest()}/mine.csv"
    assert str(tmp_path) not in json.dumps(found)
    assert found["preview"]["sides"][0]["texts"] == [EVIL]
    assert "::" not in found["value"]
    again = form.take({"field": "data", "source": found["value"] + "::target"}, NOBODY)
    assert again["preview"]["sides"][0]["texts"] == ["Sure"]
    assert form.take({"field": "data", "source": "hub:owner/name"}, NOBODY) == {}  # the run itself reads it
    secret = tmp_path / "secret.txt"
    secret.write_text("do not tell\n", encoding="utf-8")
    for sent in (str(secret), "../../secret.txt", "/etc/passwd", "", 5, None):
        answer = form.take({"field": "data", "path": sent}, NOBODY)
        assert "value" not in answer, sent
        assert "do not tell" not in str(answer)
    for sent in ({"field": "none", "path": str(path)}, {"path": str(path)}, {}, [str(path)], None, "data"):
        assert "value" not in form.take(sent, NOBODY)


def test_fields_of_one_name_and_events_of_none_are_mistakes_of_the_panel(ui: PanelContext) -> None:
    with pytest.raises(ValueError, match="named a"):
        place_fields(ui, "x", [section("", text("a", "A"), more(text("a", "A")))])
    with pytest.raises(ValueError, match="'b'"):
        place_fields(ui, "x", [section("", text("a", "A"))], events={"sized": ["b"]})


def test_gradio_makes_the_form_again_at_every_update_and_it_reads_as_before(form: Fields) -> None:
    """As `Blocks.postprocess_data` does it."""
    given = {**form.constructor_args, "offers": {"sites": []}, "render": False}
    given.pop("value")
    with gr.Blocks():
        again = type(form)(**given)
    assert again.preprocess(FIRST).values() == FIRST
    assert again.ask({"count": 11})[0]["field"] == "count"
    # Gradio's own metaclass would have written one into the installation.
    assert not Path(module.__file__).with_suffix(".pyi").exists()


def test_words_are_data_and_never_part_of_a_template(form: Fields) -> None:
    config = form.get_config()
    assert config["props"]["sections"][0]["parts"][1]["hint"] == EVIL
    for part in ("html_template", "js_on_load", "css_template"):
        assert EVIL not in config[part]
        assert "{{" not in config[part]


def test_an_event_of_some_fields_is_listened_to_as_any_other_and_there_are_no_others(
    ui: PanelContext, form: Fields
) -> None:
    ui.watch("model", form.sized, form.change, call=dict, inputs={"form": form}, outputs=[form])
    ui.wire_watches()
    ui.quick(form.sized, dict, inputs={"form": form}, outputs=[form])
    events = gr.context.Context.root_block.default_config.fns.values()
    heard = {target for event in events for target in event.targets}
    assert {(form._id, "sized"), (form._id, "change")} <= heard
    with pytest.raises(AttributeError):
        form.other  # noqa: B018


def test_the_script_sets_texts_and_parses_no_markup_and_stands_once() -> None:
    files = ("kinds.js", "fields.js")
    script = "".join(resource("assets", "fields", name).read_text(encoding="utf-8") for name in files)
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script, flags=re.DOTALL)
    assert "textContent" in code
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
        assert way not in code
    assert "</script" not in script
    assert head().count("window.fieldsControl = ") == 1
    assert head().count(".sw-field-grid {") >= 1
