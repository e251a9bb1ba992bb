"""The form that is made from a panel's settings, and what its handler is given of it."""

from __future__ import annotations

import time
from enum import Enum
from typing import Any, Literal

import gradio as gr
import pandas as pd
import plotly.graph_objects as go
import pytest
from pydantic import BaseModel, Field, field_validator

from steering.errors import SteeringError
from steering.figures.styling import styled
from steering.lane import Stopped
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.setting_kinds import ContrastSource, LongText, NoSettings, VectorName, WithVectors
from steering.studies.steer import SteerSettings
from steering.studies.study import Measure, Result, named_vectors
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls.default_form import PanelForm, _followed
from workbench.controls.default_view import FIGURES, ROWS, ResultView, shelved
from workbench.controls.fields import WrongField
from workbench.controls.setting_fields import parsed, sections_of, settings_of, shown
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.state import PageState
from workbench.panel import Panel
from workbench.runs.run import Run


class Tone(Enum):
    WARM = "warm"
    COLD = "cold"


class Settings(WithVectors):
    prompt: LongText = Field("Hello.", title="What is said", description="It is read.", examples=["Hi there"])
    vector: VectorName = ""
    beside: tuple[VectorName, ...] = ()
    data: ContrastSource = "formality"
    recipe: Recipe = Recipe()
    second: Recipe | None = Field(None, description="Beside it.")
    few: Literal["a", "b"] = "b"
    counts: Literal[1, 2, 3] = 2
    tone: Tone = Tone.WARM
    maybe_tone: Tone | None = None
    many: tuple[Literal["a", "b"], ...] = ("a",)
    on: bool = True
    maybe_on: bool | None = None
    n: int = Field(12, ge=1, le=500, json_schema_extra={"unit": "prompts", "section": "Sizes"})
    above: int = Field(3, gt=0)
    share: float = Field(0.5, ge=0, le=1)
    limit: float | None = Field(None, json_schema_extra={"unit": "nats", "more": True})
    strengths: tuple[float, ...] = (-1, 0, 0.5)
    blocks: tuple[int, ...] = (3, 4)
    words: tuple[str, ...] = ("yes",)
    name: str = "x"
    maybe: str | None = None
    extra: dict[str, int] = Field({"a": 1})

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 5:
            raise ValueError("at most 5 letters")
        return name


SETTINGS = settings_of(Settings)
DEFAULTS = {name: each.field.default for name, each in SETTINGS.items()}
GOOD = {**DEFAULTS, "vector": "tone"}


class Everything(Panel):
    id, title, summary, settings, receives = "everything", "Everything", "Has it all.", Settings, True

    def run(self, host: Any, settings: Any, job: Any) -> Any:
        return None


def read(**values: Any) -> Any:
    return parsed(Settings, SETTINGS, {**GOOD, **values}, {}, "Everything")


@pytest.fixture
def ui(tmp_path: Any) -> PanelContext:
    with gr.Blocks():
        yield PanelContext(Workbench(workspace=tmp_path), PageState(), "Everything", "everything")


def test_every_kind_of_setting_gets_its_control_with_words_unit_and_limits() -> None:
    kinds = {name: each.field.kind for name, each in SETTINGS.items()}
    assert kinds == {
        **dict.fromkeys(("prompt", "extra"), "lines"),
        **dict.fromkeys(("vector", "data", "few", "counts", "tone", "maybe_tone", "maybe_on"), "choice"),
        **dict.fromkeys(("beside", "many", "words"), "several"),
        "on": "switch",
        **dict.fromkeys(("n", "above", "share", "limit"), "number"),
        **dict.fromkeys(("strengths", "blocks", "name", "maybe"), "text"),
    }
    n, said = SETTINGS["n"].field, SETTINGS["prompt"].field
    assert (n.unit, n.low, n.high, n.whole) == ("prompts", 1, 500, True)
    assert (said.label, said.hint, said.placeholder) == ("What is said", "It is read.", "Hi there")
    assert SETTINGS["above"].field.low == 1  # whole numbers above 0 begin there
    assert SETTINGS["data"].field.upload_kind == "contrast"
    assert ("formality", "formality") in SETTINGS["data"].field.choices
    first, sizes = sections_of(SETTINGS)
    assert (first.title, sizes.title, [each.name for each in sizes]) == ("Settings", "Sizes", ["n"])
    assert [each.name for each in first.parts[-1]] == ["limit"]  # folded


def test_what_stands_at_its_default_is_not_said_to_be_set() -> None:
    assert read().model_fields_set == {"vector"}
    assert read(n=13).model_fields_set == {"vector", "n"}
    assert read(n=13).n == 13


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("counts", "3", 3),
        ("tone", "cold", Tone.COLD),
        ("maybe_tone", "cold", Tone.COLD),
        ("many", ["a", "b"], ("a", "b")),
        ("maybe_on", "no", False),
        ("limit", 2.5, 2.5),
        ("strengths", "-2..2 step 2, 0", (-2, 0, 2, 0)),
        ("strengths", "", ()),
        ("blocks", "3-5, 9", (3, 4, 5, 9)),
        ("blocks", "-2..0", (-2, -1, 0)),
        ("name", "", ""),
        ("maybe", "y", "y"),
        ("extra", "b: 2", {"b": 2}),
        ("prompt", "", ""),
    ],
)
def test_what_is_typed_becomes_the_settings_value(name: str, typed: Any, value: Any) -> None:
    settings = read(**{name: typed})
    assert getattr(settings, name) == value
    assert read(**shown(SETTINGS, settings)) == settings  # and stands in the form again


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("vector", "", "no vector is chosen"),
        ("n", None, "it is empty"),
        ("strengths", "1, two", "'two' is no number"),
        ("blocks", "1.5", "'1.5'"),
        ("extra", "{a: ", "Extra"),
    ],
)
def test_what_is_none_for_its_field_names_it(name: str, typed: Any, said: str) -> None:
    with pytest.raises(WrongField, match=said) as caught:
        read(**{name: typed})
    assert caught.value.field == name
    assert caught.value.expected


def test_what_the_settings_complain_of_stands_at_its_field(ui: PanelContext) -> None:
    form = PanelForm(Everything(), ui)
    ask = form.form.ask
    values = {**GOOD, "name": "too long", "extra": "{a: b}", "n": 900}
    assert [each["field"] for each in ask(values)] == ["n"]  # of the wrong kind: said before the settings are made
    wrong = {each["field"]: each["said"] for each in ask({**values, "n": 9})}
    assert set(wrong) == {"name", "extra"}
    assert "at most 5 letters" in wrong["name"]
    assert ask(GOOD) == []


def test_fields_of_vectors_offer_those_of_the_shelf_and_follow_what_is_picked(ui: PanelContext) -> None:
    form = PanelForm(Everything(), ui)
    offered = form._offered(form.form.given({}), None, None)[form.form]
    assert offered["offers"]["vector"] == [["none: the shelf has none for this model", ""]]
    for name in ("tone", "harm"):
        ui.workspace.put(vector(name))
    update = form._offered(form.form.given({}), None, None)[form.form]
    assert update["offers"] == {
        "vector": [["harm", "harm"], ["tone", "tone"]],
        "beside": [["harm", "harm"], ["tone", "tone"]],
    }
    assert update["value"] == {"vector": "harm"}  # the newest
    kept = form._offered(form.form.given({"vector": "tone"}), None, None)[form.form]
    assert "value" not in kept
    assert form._offered(form.form.given({"vector": "tone"}), "harm", None)[form.form]["value"] == {"vector": "harm"}
    assert "value" not in form._offered(form.form.given({"vector": "tone"}), "harm", "harm")[form.form]


def test_a_run_knows_the_vectors_that_its_settings_name() -> None:
    recipe = Recipe(interventions=(Intervention(vector="joy"),))
    settings = Settings(vector="tone", beside=["harm"], recipe=recipe)
    assert named_vectors(settings) == {"tone", "harm", "joy"}
    assert named_vectors(Settings()) == set()


def test_recipes_have_editors_and_are_given_with_the_shelfs_folder(ui: PanelContext) -> None:
    form = PanelForm(Everything(), ui)
    assert list(form.inputs) == ["form", "recipe", "second"]
    assert [each.props["about"] for each in form.recipes.editors.values()] == ["", "Beside it."]
    recipe = Recipe(interventions=(Intervention(vector="joy"),))
    values = {"form": form.form.given({"vector": "tone"}), "recipe": form.recipes.editors["recipe"].given(recipe)}
    settings = form.settings({**values, "second": form.recipes.editors["second"].given(None)})
    assert (settings.recipe, settings.second) == (recipe, None)
    assert settings.vectors == str(ui.workspace.shelf)


def test_a_prompt_with_recipes_from_another_panel_stands_in_the_settings_that_suit_it(ui: PanelContext) -> None:
    form = PanelForm(Everything(), ui)
    sent = Recipe(interventions=(Intervention(vector="joy"),))
    changes = form._received(SteerSettings(user="Good day.", system="Be brief.", recipes=(sent,)))
    assert changes == {form.form: {"prompt": "Good day."}, form.recipes.editors["recipe"]: sent}


class Listed(BaseModel):
    n: int = 3
    base: Recipe = Recipe()
    others: list[Recipe] = Field(default=[], description="Beside it.")
    pair: tuple[Recipe, ...] = Field(min_length=1, max_length=2)


class Lists(Everything):
    settings = Listed


def test_a_list_of_recipes_has_an_editor_for_each(ui: PanelContext) -> None:
    form = PanelForm(Lists(), ui)
    editors = form.recipes.editors
    assert list(editors) == ["base", *(f"others-{n}" for n in range(1, 7)), "pair-1", "pair-2"]
    assert [name for name, each in editors.items() if each.value is not None] == ["base", "pair-1"]
    removable = [name for name, each in editors.items() if each.props["flags"]["removable"]]
    assert removable == [*(f"others-{n}" for n in range(1, 7)), "pair-2"]
    assert form.form.ask({"n": 4}) == []  # what stands in the editors is not its matter
    joy, calm, tone = (Recipe(interventions=(Intervention(vector=name),)) for name in ("joy", "calm", "tone"))
    stands = {"base": joy, "others-2": calm, "others-5": joy, "pair-1": tone}
    values = {"form": form.form.given({}), **{name: each.given(stands.get(name)) for name, each in editors.items()}}
    settings = form.settings(values)
    assert settings == Listed(base=joy, others=[calm, joy], pair=(tone,))
    changes = form._shown(settings)
    shown = {name: changes[each] for name, each in editors.items() if changes[each]}
    assert shown == {"base": joy, "others-1": calm, "others-2": joy, "pair-1": tone}
    wrong = editors["others-2"].given({"interventions": [{"vector": "joy", "mode": "explode"}]})
    with pytest.raises(
        SteeringError, match="Others 2: The recipe, field mode in the first of interventions: 'explode'"
    ):
        form.settings({**values, "others-2": wrong})
    with pytest.raises(SteeringError, match="7 recipes were to stand in Others"):
        form._shown(Listed(others=[joy] * 7, pair=(joy,)))


def test_a_click_adds_a_recipe_to_a_list_until_it_is_full(ui: PanelContext) -> None:
    form = PanelForm(Lists(), ui)
    form.wire()
    two = {name: form.recipes.editors[name] for name in ("pair-1", "pair-2")}
    page = gr.context.Context.root_block
    button = next(each for each in page.blocks.values() if each.elem_id == "everything-pair-add")
    assert any((button._id, "click") in each.targets for each in page.fns.values())
    (add,) = (each.call for each in ui.watches if button in each.outputs)
    full = {name: each.given(Recipe()) for name, each in two.items()}
    assert add(**full)[button]["visible"] is False
    assert add(**{**full, "pair-2": two["pair-2"].given(None)})[button]["visible"] is True


def figure() -> go.Figure:
    return styled(go.Figure(go.Scatter(x=[0, 1], y=[1, 2], mode="lines")), "block", "norm, raw")


def result(**fields: Any) -> Result:
    return Result(
        "everything", {}, (), {"name": "demo"}, fields.pop("measures", ()), fields.pop("tables", {}), "", **fields
    )


def test_a_result_is_shown_with_units_intervals_figures_tables_and_vectors(ui: PanelContext) -> None:
    view = ResultView(ui, "everything", "Nothing yet", "Press Run.")
    measures = (Measure("gain <b>", 0.5, 0.25, 0.75, 1200, "nats"), Measure("plain", 2.0, None, None, 3))
    table = pd.DataFrame({"block": range(ROWS + 5), "norm": 1.5, "norm_low": 1.0, "norm_high": 2.0, "text": "<i>a</i>"})
    found = result(
        measures=measures,
        tables={"norms": table},
        figures={"Norms": figure()},
        vectors={"tone": vector("tone")},
        notes=("Said once.",),
        files={"notes.md": "# <u>", "report.html": "<p>"},
    )
    said, first, *others, tables, shelved = view.shown(found, "0123456789abcdef").values()
    for part in ("gain &lt;b&gt;", "0.5 nats", "95 %: 0.25 to 0.75", "1,200", "Said once.", 'data-shelve="tone"'):
        assert part in said
    assert said.count("95 %") == 1
    assert first[0].layout.title.text == "Norms"
    assert not any(others)
    assert shelved == ""
    for part in ("1 to 2", f"{ROWS} of {ROWS + 5} rows", "&lt;i&gt;a", "# &lt;u&gt;"):
        assert part in tables
    assert "norm low" not in tables
    assert "report.html" not in tables  # a report of scripts of its own stays in the files
    assert "data-shelve" not in view.shown(found, "")[view.outputs[0]]  # not kept: nothing to put anywhere


def test_figures_that_are_not_drawn_are_said_to_lie_in_the_files(ui: PanelContext) -> None:
    view = ResultView(ui, "everything", "Nothing yet", "Press Run.")
    odd = go.Figure(go.Pie(values=[1, 2]))
    found = result(figures={"Shares": odd, **{f"Norms {n}": figure() for n in range(FIGURES + 2)}})
    changes = view.shown(found, "")
    assert "“Shares” is not drawn here" in changes[view.outputs[0]]
    assert "2 further figures lie in the files" in changes[view.outputs[0]]
    assert {"Shares.plotly.json", "Norms 0.plotly.json"} <= set(found.all_files)


def test_a_panel_that_sets_nothing_has_no_form(ui: PanelContext) -> None:
    class Bare(Everything):
        settings = None

    form = PanelForm(Bare(), ui)
    assert form.inputs == {}
    assert form.given(form.settings({})) is None


def test_settings_without_a_default_must_be_given() -> None:
    class Strict(BaseModel):
        n: int
        name: str

    settings = settings_of(Strict)
    values = {name: each.field.default for name, each in settings.items()}
    with pytest.raises(SteeringError, match="field n: "):
        parsed(Strict, settings, values, {}, "Strict")
    assert parsed(Strict, settings, {"n": 2, "name": "x"}, {}, "Strict") == Strict(n=2, name="x")


class Patient(Everything):
    """Shows what it has, and goes on until it is stopped."""

    settings = None

    def run(self, host: Any, settings: Any, job: Any) -> Any:
        job.emit(result(measures=(Measure("so far", 1.0, None, None, 1),)))
        while True:
            job.report(1, 2, "steps")
            time.sleep(0.01)


def test_what_a_panel_showed_before_it_was_stopped_is_kept(ui: PanelContext, tiny_host: Any) -> None:
    host, panel = tiny_host("llama"), Patient()
    ui.bench.model.host = host
    view, call = ResultView(ui, "patient", "Nothing yet", "Press Run."), Call(ui.bench, "Patient", panel="patient")
    call.begins("patient", "Patient", NoSettings())
    job = host.submit(lambda job: panel.run(host, None, job), title="Patient")
    shown = []

    def follow() -> None:
        for changes in _followed(call, panel, NoSettings(), view, job):
            shown.extend(changes[part] for part in view.outputs[:1] if part in changes)
            if shown:
                job.stop()

    with pytest.raises(Stopped):
        follow()
    assert "so far" in shown[0]
    assert call.record.result is not None
    assert call.record.result.measures[0].name == "so far"
    assert (call.record.result.study, call.record.result.model["name"]) == ("everything", host.name)


def test_what_is_no_result_is_said_to_be_none(ui: PanelContext, tiny_host: Any) -> None:
    host = tiny_host("llama")
    ui.bench.model.host = host
    view, call = ResultView(ui, "nothing", "Nothing yet", "Press Run."), Call(ui.bench, "Nothing", panel="nothing")
    job = host.submit(lambda job: None, title="Nothing")
    with pytest.raises(SteeringError, match="gave a NoneType"):
        list(_followed(call, Everything(), NoSettings(), view, job))


def test_a_click_puts_a_vector_of_ones_own_run_on_the_shelf(ui: PanelContext) -> None:
    runs = ui.workspace.runs
    id = runs.begin(Run("", "everything", "Everything", "demo", panel="everything", owner="ann"))
    runs.end(id, "done", result=result(vectors={"tone": vector("tone")}))
    asked = gr.EventData(None, {"run": id, "vector": "tone"})
    ui.bench.only_here = False
    with pytest.raises(SteeringError, match="no vector 'tone'"):
        shelved(ui, asked, "ben")
    assert ui.workspace.names() == []
    assert shelved(ui, asked, "ann") == {ui.page.picked: "tone"}
    assert ui.workspace.names() == ["tone"]
    with pytest.raises(SteeringError, match="no vector 'joy'"):
        shelved(ui, gr.EventData(None, {"run": id, "vector": "joy"}), "ann")
