"""A prompt with recipes inside an address: made on one page, opened on another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from steering.origins.link import as_link, from_link
from steering.origins.origin import Origin
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.steer import SteerSettings
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.page.context import PanelContext
from workbench.page.links import linked, place_link, said_html
from workbench.page.state import PageState


SETTINGS = SteerSettings(user="Write.", recipes=(Recipe(interventions=(Intervention(vector="joy", strength=2),)),))
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[PanelContext]:
    bench = Workbench(workspace=tmp_path)
    bench.workspace.put(vector("joy"))
    with gr.Blocks():
        yield PanelContext(bench, PageState(), "Steer", "steer")
    bench.lane.close()


def _copied(ui: PanelContext, settings: SteerSettings) -> str:
    """The markup that the button gives."""
    user = gr.Textbox()
    place_link(ui, lambda user: settings, {"user": user})
    handle = [each.fn for each in gr.context.Context.root_block.default_config.fns.values() if each.fn][-1]
    changes: dict[Any, Any] = handle(gr.Request(), "")
    return next(text for part, text in changes.items() if getattr(part, "elem_id", "") == "steer-linked")


def _link(markup: str) -> str:
    found = re.search(r'data-link="recipe=([^"]+)"', markup)
    assert found
    return found[1]


def test_a_link_carries_prompt_and_recipes_and_says_which_vectors_it_needs(ui: PanelContext) -> None:
    markup = _copied(ui, SETTINGS)
    assert "Elsewhere it needs joy." in markup
    found = linked(ui, _link(markup))
    assert found.settings == SETTINGS
    assert found.notes == ()


def test_what_is_otherwise_here_is_said(ui: PanelContext) -> None:
    link = _link(_copied(ui, SETTINGS))
    ui.workspace.remove("joy")
    assert linked(ui, link).notes == ("The shelf has no vector joy: add the file, or extract it under that name.",)
    ui.workspace.put(vector("joy", seed=7))
    assert linked(ui, link).notes == ("joy on this shelf is not the vector that it was made with.",)


def test_a_long_prompt_becomes_a_file(ui: PanelContext) -> None:
    words = " ".join(str(n * n) for n in range(9_000))
    markup = _copied(ui, SETTINGS.model_copy(update={"user": words}))
    assert "data-link" not in markup
    assert 'download="steer.yaml"' in markup


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (Origin("tradeoff", {}, {"name": "demo"}), "a prompt with recipes"),
        (Origin("steer", {"user": 3}, {"name": "demo"}), "user"),
        (Origin("steer", {"words": "x"}, {"name": "demo"}), "words"),
    ],
)
def test_what_is_no_prompt_with_recipes_is_refused(ui: PanelContext, origin: Origin, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        linked(ui, as_link(origin) or "")


def test_names_of_a_link_are_text(ui: PanelContext) -> None:
    recipe = Recipe(interventions=(Intervention(vector=EVIL, strength=1),))
    link = as_link(Origin("steer", {"recipes": [recipe.model_dump(mode="json")]}, {"name": EVIL}))
    assert link is not None
    assert from_link(link).model == {"name": EVIL}
    said = said_html(linked(ui, link).notes)
    assert "<img" not in said
    assert "&lt;img" in said
