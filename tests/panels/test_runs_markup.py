"""What the page says of a chosen run: settings in words, those that differ first, and nothing of them as markup."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import gradio as gr
from pydantic import BaseModel, Field

from panels.runs.asked import asked
from panels.runs.markup import run_html
from panels.runs.panel import _place_form
from panels.runs.runs_list import RunsList
from steering.recipes.recipe import Intervention, Recipe
from workbench.bench import Workbench
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.runs.run import Run


RECIPE = Recipe(interventions=(Intervention(vector="<b>tone</b>", strength=0.5),)).model_dump(mode="json")
SETTINGS = {
    "user": "Write a note.",
    "system": "",
    "recipes": [RECIPE, {"interventions": []}],
    "samples": 4,
    "sure": True,
    "nothing": None,
}
RUN = Run(
    id="0123456789abcdef",
    kind="steer",
    title="Steer: a note",
    model="demo",
    panel="steer",
    state="done",
    begun="2026-11-29T06:00:00+00:00",
    about={"settings": SETTINGS, "given": [*SETTINGS, "gone"]},
)


def test_settings_are_told_in_words_and_usual_ones_known() -> None:
    found = {each.name: each for each in asked(RUN)}
    assert found["recipes"].value == ("A: Add <b>tone</b>, 0.5 × its own length at its own block\nB: no intervention")
    known = SimpleNamespace(measure="typical maximum")  # as a vector that is a feature says
    told = {each.name: each for each in asked(RUN, vectors={"<b>tone</b>": known})}  # type: ignore[dict-item]
    assert "Add <b>tone</b>, 0.5 × typical maximum" in told["recipes"].value
    assert found["recipes"].hint.startswith("One to three recipes")
    assert (found["sure"].value, found["nothing"].value, found["system"].value) == ("yes", "none", "none")
    assert {name for name, each in found.items() if each.usual} == {"system"}  # of the study's own settings
    assert "gone" not in found


class TinySettings(BaseModel):
    """Of a panel that somebody else wrote."""

    user: str = Field("", description="What is asked.")
    samples: int = Field(4, description="How many replies.")


def test_settings_of_a_package_s_panel_are_told_as_those_of_a_study() -> None:
    run = Run(**{**vars(RUN), "kind": "tiny", "panel": "tiny"})
    plain = {each.name: each for each in asked(run)}
    assert (plain["samples"].usual, plain["samples"].hint) == (False, "")
    known = {each.name: each for each in asked(run, TinySettings)}
    assert (known["samples"].usual, known["samples"].hint) == (True, "How many replies.")
    assert not known["user"].usual
    assert known["system"].hint == ""  # not a setting of it


def test_a_run_whose_panel_is_gone_has_no_page_to_open(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Runs", "runs")
        listed = RunsList(ui, _place_form(ui))
    assert listed.here(RUN).panel == "steer"
    gone = listed.here(Run(**{**vars(RUN), "panel": "tiny"}))
    assert "Open as it was" not in run_html(gone, None)
    assert listed.settings_of(gone) is None
    bench.lane.close()


def test_a_recipe_of_another_version_is_shown_as_it_is() -> None:
    odd = Run(**{**vars(RUN), "about": {"settings": {"recipe": {"interventions": "new"}}, "given": ["recipe"]}})
    assert asked(odd)[0].value == "interventions new"


def test_the_card_opens_the_run_and_holds_no_foreign_markup() -> None:
    html = run_html(RUN, None)
    assert 'href="./steer?run=0123456789abcdef"' in html
    assert "Open as it was" in html
    assert "<b>tone</b>" not in html
    assert "&lt;b&gt;tone&lt;/b&gt;" in html
    assert "1 setting as usual" in html
    no_page = run_html(Run(**{**vars(RUN), "panel": ""}), None)
    assert "Open as it was" not in no_page
    assert "data-copy-run" not in no_page
    assert "data-run-as" in no_page
