"""Recipes saved under a name, shipped ones, and what a recipe editor's script may ask of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import GateSettings, Intervention, Recipe
from tests.workbench.asking import asked_by
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.cli.commands import chosen_recipe
from workbench.controls.recipe_editor import place_recipe, plain
from workbench.controls.recipe_reading import problems_with_vectors
from workbench.library.recipes import ANY_VECTOR, shipped, shipped_recipe
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.workspace import Workspace


GATED = Recipe(
    interventions=(Intervention(vector="joy", strength=-2, gate=GateSettings(vector="calm")),),
    decode=DecodeSettings(max_new_tokens=7, seed=5),
)
PLAIN = Recipe(interventions=(Intervention(vector="calm"),))


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "home")
    made.put(vector("joy"))
    made.put(vector("calm", seed=1))
    return made


def test_a_recipe_is_there_on_another_day_and_on_the_command_line(home: Workspace) -> None:
    assert home.recipes.put(GATED, "My <best> one") == "My -best- one"
    again = Workspace(home.folder).recipes
    assert again.names() == ["My -best- one"]
    assert again.get("My -best- one") == GATED
    recipe, vectors = chosen_recipe(Path("My -best- one"), [], {}, {}, home.folder)
    assert recipe == GATED
    assert set(vectors) == {"joy", "calm"}


def test_a_name_is_taken_once_and_what_is_removed_comes_back(home: Workspace) -> None:
    home.recipes.put(GATED, "one")
    assert home.recipes.put(GATED, "one") == "one"
    with pytest.raises(SteeringError, match="already"):
        home.recipes.put(PLAIN, "one")
    removed = home.recipes.remove("one")
    assert home.recipes.names() == []
    home.recipes.put(PLAIN, "one")
    assert home.restore(removed.id) == "one 2"
    assert [home.recipes.get(name) for name in home.recipes.names()] == [PLAIN, GATED]
    assert sorted(path.name for path in (home.folder / "recipes").iterdir()) == ["one 2.json", "one.json"]


def test_visitors_have_their_own(home: Workspace) -> None:
    home.recipes.put(GATED, "one", "first")
    assert home.recipes.names() == home.recipes.names("second") == []
    home.recipes.put(PLAIN, "one", "second")
    assert home.recipes.get("one", "first") == GATED
    removed = home.recipes.remove("one", "first")
    with pytest.raises(SteeringError):
        home.restore(removed.id, "second")
    assert home.restore(removed.id, "first") == "one"
    assert home.recipes.get("one", "first") == GATED


@pytest.mark.parametrize("name", ["../shelf", "..", "", "visitors/x", "nothing"])
def test_no_name_leads_elsewhere(home: Workspace, name: str) -> None:
    home.recipes.put(PLAIN, "one")
    for ask in (home.recipes.get, home.recipes.remove):
        with pytest.raises(SteeringError, match="no saved recipe"):
            ask(name)


def test_saved_recipes_follow_a_renamed_vector(home: Workspace) -> None:
    home.recipes.put(GATED, "one")
    home.recipes.put(GATED, "two", "visitor")
    (home.folder / "recipes" / "damaged.json").write_text("{")
    home.rename("joy", "delight")
    home.rename("calm", "peace")
    for owner, name in ((None, "one"), ("visitor", "two")):
        recipe = home.recipes.get(name, owner)
        assert recipe.vectors == ("delight", "peace")
        assert recipe.renamed({"delight": "joy", "peace": "calm"}) == GATED
    with pytest.raises(SteeringError):
        home.recipes.get("damaged")


def test_shipped_recipes_fit_any_vector_with_two_sides(home: Workspace) -> None:
    given = vector("joy")
    assert len(shipped()) >= 4
    for name, title in shipped().items():
        assert title.strip()
        recipe = shipped_recipe(name, given)
        assert recipe.vectors == ("joy",)
        assert ANY_VECTOR not in recipe.to_json()
    against = shipped_recipe("against", given)
    assert against.interventions[0].strength == -given.suggested_strength
    with pytest.raises(SteeringError, match="no shipped recipe"):
        shipped_recipe("../contrast/harm", given)
    lacking = {name for name in shipped() if list(problems_with_vectors(shipped_recipe(name, given), {"joy": given}))}
    assert lacking == {"held-at-its-side", "where-it-shows"}  # this vector has no negative side, which the editor says


@pytest.fixture
def editor(home: Workspace) -> Any:
    bench = Workbench(workspace=home)
    bench.only_here = False
    with gr.Blocks():
        yield place_recipe(PanelContext(bench, PageState(), "Test", "test"), "t", title="Recipe", decoding=True)
    bench.lane.close()


def test_an_editor_saves_lists_loads_removes_and_has_back(editor: Any, home: Workspace) -> None:
    one, other = asked_by("one"), asked_by("two")
    said = editor.ask_saved({"do": "save", "name": "mine", "recipe": plain(GATED)}, one)
    assert (said["name"], said["saved"]) == ("mine", ["mine"])
    assert editor.ask_saved({"do": "list"}, other)["saved"] == []
    assert editor.ask_saved({"do": "load", "name": "mine"}, one)["recipe"] == plain(GATED)
    assert "no saved recipe" in editor.ask_saved({"do": "load", "name": "mine"}, other)["said"]
    gone = editor.ask_saved({"do": "remove", "name": "mine"}, one)
    assert (gone["saved"], gone["removed"]["name"]) == ([], "mine")
    assert editor.ask_saved({"do": "list"}, other)["removed"] is None
    assert "said" in editor.ask_saved({"do": "restore", "id": gone["removed"]["id"]}, other)
    assert editor.ask_saved({"do": "restore", "id": gone["removed"]["id"]}, one)["saved"] == ["mine"]
    shipped_one = editor.ask_saved({"do": "ship", "name": "against", "vector": "calm"}, one)["recipe"]
    assert shipped_one["interventions"][0]["vector"] == "calm"
    json.dumps(said)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        5,
        [],
        {},
        {"do": "save"},
        {"do": "save", "name": "x", "recipe": None},
        {"do": "save", "name": "x", "recipe": {"interventions": [{"vector": 5}]}},
        {"do": "save", "name": " ", "recipe": {}},
        {"do": "save", "name": "\ud83d", "recipe": {}},
        {"do": "load", "name": "../../shelf/joy"},
        {"do": "ship", "name": "../contrast/harm"},
        {"do": "remove", "name": ["x"]},
        {"do": "restore", "id": "none"},
    ],
    ids=str,
)
def test_what_no_script_asks_is_answered_and_changes_nothing(editor: Any, home: Workspace, sent: Any) -> None:
    answer = editor.ask_saved(sent, asked_by("one"))
    assert answer["saved"] == []
    assert "recipe" not in answer
    assert not isinstance(sent, dict) or not sent or answer["said"]
    assert not list(home.folder.glob("recipes/**/*.json"))
