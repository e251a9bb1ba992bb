"""The recipe editor without a browser: what it takes, what it refuses and by which field, what it gives the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from panels.tradeoff.controls import TradeoffControls
from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import GateSettings, Intervention, Recipe
from steering.vectors.feature import Feature
from steering.vectors.strength import UNITS, in_all_units
from steering.writes.scopes import SCOPES
from tests.conftest import ROOT
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls import recipe_editor
from workbench.controls.offers import offer
from workbench.controls.prompt_card import picking
from workbench.controls.recipe_editor import RecipeEditor, decoded_alike, place_recipe, plain, with_vector, words
from workbench.controls.recipe_reading import (
    MOST_CHARACTERS,
    MOST_INTERVENTIONS,
    problems_with_vectors,
    read_draft,
    read_recipe,
    read_text,
)
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.page.theme import head


EVIL = "<img src=x onerror=\"document.title='owned'\">${1+1}{{1}}`'"
FULL = Recipe(
    interventions=(
        Intervention(vector="joy", mode="ablate", others=("mood",), blocks=(0, 2), site="mlp_output", scope=(3, 4)),
        Intervention(vector=EVIL, unit="nats", gate=GateSettings(vector="mood", threshold=0.25, side="below", block=1)),
    ),
    decode=DecodeSettings(max_new_tokens=7, temperature=0.5, seed=3),
    model="tiny",
    chat=ChatSettings(prefill="Sure"),
)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(workspace=tmp_path)
    for name in ("joy", "mood"):
        bench.workspace.put(vector(name))
    return bench


@pytest.fixture
def editor(bench: Workbench) -> RecipeEditor:
    with gr.Blocks():
        return place_recipe(PanelContext(bench, PageState(), "Test"), "a", title="Recipe A", hue="a")


@pytest.mark.parametrize("recipe", [Recipe(), FULL])
def test_what_the_editor_shows_comes_back_as_the_same_recipe(editor: RecipeEditor, recipe: Recipe) -> None:
    sent = json.loads(json.dumps(editor.postprocess(recipe)))
    assert editor.preprocess(sent).recipe() == recipe
    assert ("chat" in sent) is bool(recipe.chat)


def test_an_empty_editor_is_no_recipe(editor: RecipeEditor) -> None:
    assert editor.postprocess(None) is None
    assert editor.preprocess(None).recipe() is None
    assert editor.preprocess(None).empty
    assert editor.preprocess("").empty  # what Gradio makes of nothing in the browser
    assert not editor.preprocess({}).empty


def test_what_is_typed_is_read_and_what_is_left_out_has_its_default() -> None:
    recipe, problems = read_recipe({"interventions": [{"vector": "joy", "blocks": "2-4, 9", "scope": "3-4,7"}]})
    assert not problems
    assert recipe == Recipe(interventions=(Intervention(vector="joy", blocks=(2, 3, 4, 9), scope=(3, 4, 7)),))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "vector": ({"vector": ""}, "without a vector"),
    "strength": ({"strength": None}, "strength is empty"),
    "blocks": ({"blocks": "two"}, "'two'"),
    "scope": ({"scope": []}, "none is picked"),
    "mode": ({"mode": "explode"}, "explode"),
    "unit": ({"unit": "miles"}, "miles"),
    "site": ({"site": "attic"}, "attic"),
    "clamp": ({"clamp": "hard"}, "hard"),
    "gate.threshold": ({"gate": {"vector": "mood", "threshold": None}}, "threshold"),
    "gate.side": ({"gate": {"vector": "mood", "side": "up"}}, "'above' or 'below'"),
    "colour": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named_to_the_page_and_to_whoever_runs_it(field: str) -> None:
    changes, said = WRONG[field]
    given = {"interventions": [{"vector": "joy"}, {"vector": "joy", **changes}]}
    _, problems = read_recipe(given)
    assert [problem.field for problem in problems] == [f"interventions.1.{field}"]
    assert said in problems[0].shown["said"]
    assert "interventions." not in problems[0].shown["said"]  # it stands at the field
    with pytest.raises(SteeringError, match=re.escape(said)):
        read_draft(given).recipe()


def test_every_wrong_field_is_told_not_only_the_first() -> None:
    wrong = {"vector": "joy", "mode": "explode", "unit": "miles"}
    _, problems = read_recipe({"interventions": [wrong], "decode": {"seed": -1}})
    assert {problem.field for problem in problems} == {"interventions.0.mode", "interventions.0.unit", "decode.seed"}


@pytest.mark.parametrize(
    "given",
    [
        *(5, True, "joy", [], [[]], {"interventions": 5}, {"interventions": [5]}, {"interventions": {"0": {}}}),
        {"interventions": [{"vector": "a" * 1_000_000}]},
        {"interventions": [{"vector": "joy", "strength": float("inf")}]},
        {"interventions": [{"vector": "joy", "blocks": list(range(200_000))}]},
        {"interventions": [{"vector": "joy"}] * (MOST_INTERVENTIONS + 1)},
        {"interventions": [{"vector": {"a": 1}}]},
        {"interventions": [{"vector": "\ud800"}]},
    ],
)
def test_whatever_a_browser_sends_is_a_recipe_or_one_clear_message(given: Any) -> None:
    draft = read_draft(given)
    with pytest.raises(SteeringError) as caught:
        draft.recipe()
    assert len(str(caught.value)) < 5000
    assert draft.ready == Recipe()


def test_a_pasted_text_is_read_by_the_one_reader_and_bounded() -> None:
    assert read_text(FULL.to_json()) == FULL
    assert read_text("interventions:\n  - vector: joy\n") == Recipe(interventions=(Intervention(vector="joy"),))
    for text, said in (
        *(("", "no text"), ("{", "The text"), ("[" * 100_000, "level|nested|deep")),
        ("x" * (MOST_CHARACTERS + 1), "at most"),
        ('{"interventions": [{"vector": "joy", "scope": []}]}', "none is picked"),
    ):
        with pytest.raises(SteeringError, match=said):
            read_text(text)


def test_the_script_asks_the_server_what_is_wrong_and_what_was_pasted(editor: RecipeEditor) -> None:
    assert editor.check(plain(Recipe(interventions=(Intervention(vector="joy"),)))) == []
    found = editor.check({"interventions": [{"vector": EVIL}, {"vector": "joy", "blocks": [7], "scope": []}]})
    assert {each["field"] for each in found} == {
        "interventions.0.vector",
        "interventions.1.blocks",
        "interventions.1.scope",
    }
    assert len(editor.check({f"k{n}": 1 for n in range(1000)})) == 50
    assert editor.read(FULL.to_json()) == {"recipe": plain(FULL)}
    assert "miles" in editor.read('{"interventions": [{"vector": "joy", "unit": "miles"}]}')["said"]


def test_what_a_vector_lacks_is_told_before_a_run() -> None:
    joy = vector("joy")
    assert joy.references is None
    assert joy.eraser is None
    gate = GateSettings(vector="joy", block=9)
    asked = [
        *(Intervention(vector="joy", mode="erase"), Intervention(vector="joy", mode="affine")),
        *(Intervention(vector="joy", mode="ablate", others=("gone",)), Intervention(vector="joy", gate=gate)),
        Intervention(vector="joy", blocks=(0, 2)),
    ]
    found = problems_with_vectors(Recipe(interventions=tuple(asked)), {"joy": joy})
    assert {(problem.field, problem.error.given.partition(" ")[0]) for problem in found} == {
        ("interventions.0.mode", "The"),
        ("interventions.1.mode", "The"),
        ("interventions.2.others", "'gone'"),
        ("interventions.3.gate.vector", "The"),
        ("interventions.3.gate.block", "Block"),
    }


def test_modes_of_features_ask_for_features_of_one_dictionary_at_its_place() -> None:
    joy = vector("joy")
    one, two = (replace(joy, name=f"f{n}", feature=Feature("demo/block-3-sae", "ab12", n, 2.0)) for n in (1, 2))
    other = replace(joy, name="other", feature=Feature("demo/block-1-sae", "cd34", 3, 2.0))
    at_hand = {each.name: each for each in (joy, one, two, other)}
    block, site = one.default_block, one.site
    right = Intervention(vector="f1", mode="feature_off", others=("f2",), blocks=(block,), site=site)
    assert problems_with_vectors(Recipe(interventions=(right,)), at_hand) == []
    asked = [
        Intervention(vector="joy", mode="feature_clamp"),
        Intervention(vector="f1", mode="feature_off", others=("joy",)),
        Intervention(vector="f1", mode="feature_off", others=("other",)),
        Intervention(vector="f1", mode="feature_off", blocks=(block + 1,)),
        Intervention(vector="f1", mode="feature_scale", site="mlp_output"),
        Intervention(vector="f1", mode="feature_off", others=("gone",)),
    ]
    found = problems_with_vectors(Recipe(interventions=tuple(asked)), at_hand)
    assert [problem.field for problem in found] == [
        "interventions.0.mode",
        "interventions.1.others",
        "interventions.2.others",
        "interventions.3.blocks",
        "interventions.4.site",
        "interventions.5.others",
    ]
    assert "no feature of a dictionary" in found[0].shown["said"]


def test_a_feature_is_offered_with_its_dictionary_and_the_words_of_its_unit() -> None:
    feature = replace(vector("joy"), feature=Feature("demo/block-3-sae", "ab12", 1, 2.0))
    given = offer("joy", feature)
    assert (given["feature"], given["unit"]) == ("ab12", "× typical maximum")
    assert not {"feature", "unit"} & set(offer("joy", vector("joy")))
    plain = vector("joy")
    trained = offer("joy", replace(plain, provenance=replace(plain.provenance, method="trained by dpo")))
    assert ("feature" in trained, trained["unit"]) == (False, "× trained length")
    said = words()
    assert said["features"] == ["feature_clamp", "feature_scale", "feature_off"]
    assert set(said["several"]) == {"ablate", *said["features"]}
    assert said["own"]["feature_clamp"]["nats"]
    assert not said["own"]["feature_scale"]["nats"]  # 1 and not 0 changes nothing
    assert said["own"]["feature_off"]["label"] == ""


def test_a_strength_is_converted_by_the_lengths_that_the_page_is_given() -> None:
    joy = vector("joy")  # 1 x mean difference is 1 raw, 1 x residual norm is 4
    lengths = {"raw": [1.0] * 3, **offer("joy", joy)["lengths"]}
    for unit in lengths:
        converted = {other: 2.0 * lengths[unit][1] / lengths[other][1] for other in lengths}
        assert converted == pytest.approx(in_all_units(2.0, unit, joy, 1), rel=1e-5)
    assert {unit: lengths["mean_difference"][1] / each[1] for unit, each in lengths.items()} == {
        "mean_difference": 1.0,
        "residual_norm": 0.25,
        "raw": 1.0,
    }


def test_the_sliders_ends_are_round_and_hold_the_suggestion_in_every_unit() -> None:
    joy = replace(vector("joy"), suggested_strength=-13.0, mean_differences=torch.tensor([0.003, 1.0, 270.0]))
    given = offer("joy", joy)
    assert given["suggested"] == -13
    assert given["ends"]["mean_difference"] == [40.0, 40.0, 40.0]  # twice the suggestion, rounded up
    assert given["ends"]["raw"] == [0.1, 40.0, 10_000.0]  # 0.078, 26 and 7,020
    assert given["ends"]["residual_norm"] == [0.02, 10.0, 2_000.0]
    assert set(given["ends"]) == set(UNITS) - {"nats"}
    flat = replace(vector("joy"), mean_differences=torch.zeros(3))
    assert all(end > 0 for ends in offer("joy", flat)["ends"].values() for end in ends)


def test_a_vector_is_offered_with_its_best_auroc_and_without_one_where_none_was_measured() -> None:
    assert offer("joy", vector("joy"))["auroc"] == "0.90"
    unmeasured = replace(vector("joy"), auroc=None, auroc_low=None, auroc_high=None)
    assert "auroc" not in offer("joy", unmeasured)
    json.dumps(offer("joy", unmeasured), allow_nan=False)


def test_the_shelfs_pick_comes_first_and_leaves_tokens_and_condition() -> None:
    gate = GateSettings(vector="mood")
    before = Recipe(
        interventions=(
            Intervention(vector="mood", mode="rotate", strength=30, scope=(2,), gate=gate),
            Intervention(vector="mood"),
        )
    )
    taken = with_vector(before, vector("joy"))
    assert taken.interventions[0] == Intervention(vector="joy", strength=1.5, scope=(2,), gate=gate)
    assert taken.interventions[1:] == before.interventions[1:]
    assert with_vector(taken, vector("joy")) is taken
    assert with_vector(Recipe(), vector("joy")).interventions == (Intervention(vector="joy", strength=1.5),)


def test_compared_recipes_are_decoded_as_the_first() -> None:
    decode = DecodeSettings(max_new_tokens=5)
    found = decoded_alike({"a": Recipe(decode=decode), "c": Recipe(model="m")})
    assert found == {"a": Recipe(decode=decode), "c": Recipe(model="m", decode=decode)}
    assert decoded_alike({}) == {}


def test_a_trade_off_is_measured_under_the_chat_settings_of_its_recipe(bench: Workbench) -> None:
    with gr.Blocks():
        controls = TradeoffControls(PanelContext(bench, PageState(), "Test"))
    form = controls.inputs["form"]
    filled = form.given(form.value)
    recipe = Recipe(interventions=(Intervention(vector="joy"),), chat=ChatSettings(prefill="Sure"))
    settings = controls.settings(filled, read_draft(plain(recipe)), ())
    assert settings.recipes == (recipe,)
    assert settings.chat == recipe.chat
    with pytest.raises(SteeringError, match="The recipe is empty"):
        controls.settings(filled, read_draft(plain(Recipe())), ())


def test_tokens_are_picked_into_the_recipes_that_write_at_picked_ones() -> None:
    plainly = Recipe(interventions=(Intervention(vector="joy"), Intervention(vector="mood")))
    (begun,) = picking([plainly], 3, 5)
    assert [each.scope for each in begun.interventions] == [(3, 4, 5), "all"]
    waiting = Recipe(interventions=(Intervention(vector="joy"), Intervention(vector="mood", scope=())))
    first, second = picking([plainly, waiting], 8, 8)
    assert first == plainly  # another intervention waits for tokens
    assert [each.scope for each in second.interventions] == ["all", (8,)]
    (fewer,) = picking([begun], 4, 4)
    assert fewer.interventions[0].scope == (3, 5)
    assert picking([fewer], 3, 5)[0].interventions[0].scope == "all"
    assert picking([Recipe()], 1, 2) == [Recipe()]


def test_gradio_makes_the_editor_again_at_every_update_and_it_checks_as_before(editor: RecipeEditor) -> None:
    """As `Blocks.postprocess_data` does it."""
    given = {**editor.constructor_args, "vectors": [], "render": False}
    given.pop("value")
    with gr.Blocks():
        again = type(editor)(**given)
    assert again.props["vectors"] == []
    assert again.props["ident"] == "a"
    assert again.preprocess({"interventions": 5}).error
    assert again.check({"interventions": 5})[0]["field"] == "interventions"
    # Gradio's own metaclass would have written one into the installation.
    assert not Path(recipe_editor.__file__).with_suffix(".pyi").exists()


def test_names_from_files_are_data_and_never_part_of_a_template(bench: Workbench) -> None:
    with gr.Blocks() as page:
        editor = place_recipe(PanelContext(bench, PageState(), "Test"), "a", title="A")
    (config,) = [each["props"] for each in page.get_config_file()["components"] if each["id"] == editor._id]
    assert {each["name"] for each in config["props"]["vectors"]} == {"joy", "mood"}
    assert "joy" not in config["html_template"] + config["js_on_load"] + config.get("css_template", "")
    # Gradio fills these in from values, and evaluates what comes out as JavaScript.
    assert not re.search(r"\{\{|\$\{|`|\\", config["html_template"])


def test_the_script_sets_texts_and_parses_no_markup() -> None:
    folder = ROOT / "assets" / "recipe"
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("shown.js", "recipe.js"))
    assert "textContent" in script
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script, flags=re.DOTALL)
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
        assert way not in code
    assert "</script" not in script


def test_every_control_has_a_label_and_every_word_is_the_librarys() -> None:
    markup = (ROOT / "assets" / "recipe" / "recipe.html").read_text(encoding="utf-8")
    controls = re.findall(r"<(?:select|input|textarea)\b[^>]*>", markup)
    assert len(controls) > 20
    labelled = re.findall(r"<label>.*?</label>", markup, flags=re.DOTALL)
    for control in controls:
        # The slider says its strength and unit itself, by the script.
        inside = any(control in label for label in labelled)
        assert inside or "aria-label" in control or 'data-in="slider"' in control, control
    assert words()["scopes"] == SCOPES
    assert words()["units"] == UNITS


def test_style_and_script_stand_once_in_the_head() -> None:
    page = head()
    assert page.count("window.recipeEditor = ") == 1
    assert page.count(".sw-slot-card.sw-held {") == 1
