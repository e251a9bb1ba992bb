from __future__ import annotations

from typing import Any, Literal

import gradio as gr
import pytest
from pydantic import BaseModel, Field

from panels.steer.panel import panel as steer
from panels.vectors.comparison import contrast_given
from panels.vectors.panel import panel as vectors
from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.steer import SteerSettings, steer_size
from workbench.bench import Workbench
from workbench.controls import prompt_card
from workbench.controls.estimate_words import estimate
from workbench.frame.shell import build
from workbench.page.context import PanelContext
from workbench.page.sending import Sendable
from workbench.page.state import PageState
from workbench.panel import Panel, check_contract


class Settings(BaseModel):
    few: Literal["a", "b"] = Field("b", description="One of two.")


class Good(Panel):
    id, title, summary, settings = "good", "Good", "Does well.", Settings

    def run(self, host: Host, settings: Any, job: Any) -> Any:
        return None


def _changed(**fields: Any) -> Panel:
    panel = Good()
    for name, value in fields.items():
        setattr(panel, name, value)
    return panel


def test_a_panel_that_keeps_the_contract_is_taken() -> None:
    panel = Good()
    assert check_contract(panel, "a test") is panel


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        (object(), "not an instance of Panel"),
        (_changed(id=""), "id is missing"),
        (_changed(id="Not Good"), "lower-case"),
        (_changed(title="  "), "title is missing"),
        (_changed(summary=None), "summary is missing"),
        (_changed(order="first"), "order"),
        (_changed(settings=dict), "pydantic"),
        (_changed(settings=Settings()), "pydantic"),
    ],
)
def test_a_panel_that_breaks_it_is_refused_with_its_source(panel: Any, said: str) -> None:
    with pytest.raises(SteeringError, match=said) as caught:
        check_contract(panel, "somewhere.py")
    assert "somewhere.py" in caught.value.given


def test_a_panel_without_run_cannot_be_made() -> None:
    class Lazy(Panel):
        id, title, summary = "lazy", "Lazy", "Does nothing."

    with pytest.raises(TypeError, match="run"):
        Lazy()


@pytest.mark.parametrize("panel", [vectors, steer], ids=lambda panel: panel.id)
def test_built_in_panels_describe_every_setting(panel: Panel) -> None:
    assert panel.settings is not None
    for name, field in panel.settings.model_fields.items():
        assert field.description, f"{panel.id}.{name}"
        assert not field.is_required(), f"{panel.id}.{name}"


def test_a_panel_that_cannot_lay_itself_out_does_not_take_the_page_down(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Good):
        def build(self, ui: Any) -> None:
            raise ZeroDivisionError("oh")

    bench = Workbench(workspace=tmp_path)
    panels = (vectors, Clumsy())
    bench.catalogue = type(bench.catalogue)(panels, {}, ())
    page = build(bench)
    shown = [block.value for block in page.blocks.values() if isinstance(block, gr.HTML) and block.value]
    assert any("laying out the panel Good" in value and "ZeroDivisionError: oh" in value for value in shown)
    assert "good failed to build" in caplog.text


def test_the_page_stands_before_any_model_does(tmp_path: Any) -> None:
    bench = Workbench(workspace=tmp_path)
    page = build(bench)
    assert [title for _, title, _ in page.pages][:3] == ["Home", "Vectors", "Train"]
    assert bench.lane.jobs() == []


def test_recipes_bring_the_chat_settings_under_which_they_were_made(tiny_host, tmp_path: Any) -> None:
    host = tiny_host("llama")
    bench = Workbench(workspace=tmp_path, lane=host.lane)
    bench.model.host = host.under(ChatSettings(prefill="Well,"))
    own, pages = ChatSettings(prefill="Sure,", system="user"), ChatSettings(prefill="Well,")
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Test", "test")
    sent = Sendable(SteerSettings(recipes=(Recipe(), Recipe(chat=own))))
    address = ui.sending.going("other", sent)[ui.page.go]
    assert address.startswith("./other?take=")
    taken = bench.sent.taken(address.partition("=")[2])
    settings = taken.settings if taken else None
    assert settings is not None
    assert [recipe.chat for recipe in settings.recipes] == [pages, own]
    assert [recipe.on(host).chat for recipe in settings.recipes] == [pages, own]


def test_the_tokens_of_a_prompt_are_those_under_the_recipes_chat_settings(tiny_host) -> None:
    host = tiny_host("llama")
    strips = [prompt_card.strip_of(host, "Hello.", "", {}, chat) for chat in (None, ChatSettings(prefill="Surely"))]
    texts = ["".join(text for _, text, *_ in strip.plain["tokens"]) for strip in strips]
    assert ["Surely" in text for text in texts] == [False, True]


def test_steer_says_before_it_runs_how_many_replies_it_makes_and_reads() -> None:
    recipe = Recipe(decode=DecodeSettings(max_new_tokens=7))
    size = steer_size("Hello.", "", [recipe, recipe])
    assert (size.count("replies"), size.count("readings")) == (3, 6)
    assert {work.tokens for work in size.works if work.kind == "replies"} == {7}


def test_a_strength_in_nats_that_may_have_to_be_found_is_told_before_the_run(demo: Host) -> None:
    own, nats = (Recipe(interventions=(Intervention(vector="joy", unit=unit),)) for unit in ("raw", "nats"))
    assert "nats" not in estimate(steer_size("Hello.", "", [own]), demo)
    assert estimate(steer_size("Hello.", "", [own, nats]), demo).endswith("unless it is known by now.")


def test_steer_runs_headless_with_the_vectors_of_a_workspace(demo: Host, tmp_path: Any) -> None:
    extracted = vectors.settings(contrast="formality")
    result = demo.run(lambda job: vectors.run(demo, extracted, job), title="Extracting")
    bench = Workbench(workspace=tmp_path, lane=demo.lane)
    (vector,) = result.vectors.values()
    name = bench.workspace.put(vector)
    recipe = Recipe(interventions=(Intervention(vector=name, strength=vector.suggested_strength),))
    settings = steer.settings(recipes=(recipe, Recipe()), vectors=str(bench.workspace.shelf))
    replies = demo.run(lambda job: steer.run(demo, settings, job), title="Steering").tables["replies"]
    assert list(replies["row"]) == ["unsteered", "recipe A", "recipe B"]
    assert replies["text"][0] == replies["text"][2]
    assert replies["text"][0] != replies["text"][1]
    assert replies["modified_prompt"][0] == 0
    assert replies["modified_prompt"][1] > 0


def test_positions_to_read_win_over_the_named_token() -> None:
    given = {"contrast": "formality", "pooling": "last_token", "seed": None}
    assert contrast_given({**given, "positions": " "}) == {"contrast": "formality", "pooling": "last_token"}
    assert contrast_given({**given, "positions": "-3,-1"})["pooling"] == (-3, -1)
    for wrong, said in ({"positions": "last"}, "'last'"), ({"contrast": None}, "No contrast set"):
        with pytest.raises(SteeringError, match=said):
            contrast_given({**given, **wrong})


def test_a_redraw_that_changes_nothing_leaves_every_output_alone(tmp_path: Any) -> None:
    """Gradio takes an empty mapping for a missing value of every output, and fails the event."""
    with gr.Blocks() as page:
        ui = PanelContext(Workbench(workspace=tmp_path), PageState(), "Test")
        button, first, second = gr.Button(), gr.HTML(), gr.HTML()
        answers: list[dict[Any, Any]] = [{}, {first: "new"}]
        ui.watch(button.click, call=answers.pop, outputs=[first, second])
        ui.wire_watches()
    handle = list(page.fns.values())[-1].fn
    request = gr.Request()
    assert handle(request) == {first: "new"}
    assert handle(request) == gr.skip()
