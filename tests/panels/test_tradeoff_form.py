"""The form of the Trade-off panel: the study's defaults, marked where something is wrong, and the quick settings."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from panels.tradeoff.controls import TradeoffControls
from panels.tradeoff.form import pair_sets
from steering.errors import SteeringError
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import STUDIES
from steering.studies.tradeoff import TradeoffSettings
from workbench.bench import Workbench
from workbench.controls.fields import Fields
from workbench.controls.recipe_editor import plain
from workbench.controls.recipe_reading import read_draft
from workbench.page.context import PanelContext
from workbench.page.state import PageState


RECIPE = Recipe(interventions=(Intervention(vector="mood"),))


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> TradeoffControls:
    folder: Path = tmp_path_factory.mktemp("bench")
    bench = Workbench(workspace=folder / "workspace", panels_dir=folder / "panels")
    with gr.Blocks():
        return TradeoffControls(PanelContext(bench, PageState(), "Trade-off", "tradeoff"))


def settings(controls: TradeoffControls, **changed: object) -> TradeoffSettings:
    form: Fields = controls.inputs["form"]
    return controls.settings(form.given({**form.value, **changed}), read_draft(plain(RECIPE)), ())


def test_untouched_it_gives_the_study_its_own_defaults(controls: TradeoffControls) -> None:
    found, own = settings(controls), TradeoffSettings(recipes=(RECIPE,))
    assert found == own
    assert set(controls.inputs["form"].fields) >= set(TradeoffSettings.model_fields) - {
        "recipes",
        "chat",
        "vectors",
        "kept",
    }


def test_quick_is_what_the_command_line_takes(controls: TradeoffControls) -> None:
    quick = STUDIES["tradeoff"].quick
    assert settings(controls, **quick) == STUDIES["tradeoff"].parse({"recipes": (RECIPE,)}, quick=True)
    assert settings(controls, **quick) != settings(controls)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("strengths", "1, 0", "not in order"),
        ("strengths", "0, inf", "no number"),
        ("n", 1, "2"),
        ("compare", ["all"], "Beside"),
    ],
)
def test_the_field_that_is_wrong_is_marked_and_the_run_says_the_same(
    controls: TradeoffControls, name: str, value: object, said: str
) -> None:
    form: Fields = controls.inputs["form"]
    assert form.ask(form.value) == []
    (problem,) = form.ask({**form.value, name: value})
    assert problem["field"] == name
    assert problem["said"].count("Expected:") == 1
    assert "field" not in problem["said"]  # it stands at the field
    with pytest.raises(SteeringError, match=said):
        settings(controls, **{name: value})


def test_pairs_for_demo_models_are_offered_on_these_alone() -> None:
    there = [{value for _, value in pair_sets(demo=demo)} for demo in (True, False)]
    assert there[0] - there[1] == {"sentiment", "formality"}
    assert {"", "harmlessness", "honesty", "fairness"} <= there[1]
