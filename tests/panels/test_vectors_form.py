"""The form of the Vectors panel: what the line beside Extract says of it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from panels.vectors.panel import place_contrast, place_form, reading_size
from steering.model.host import Host
from workbench.bench import Workbench
from workbench.controls.estimate import told
from workbench.controls.fields import Fields
from workbench.page.context import PanelContext
from workbench.page.state import PageState


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Fields:
    folder: Path = tmp_path_factory.mktemp("bench")
    bench = Workbench(workspace=folder / "workspace", panels_dir=folder / "panels")
    with gr.Blocks():
        return place_form(PanelContext(bench, PageState(), "Vectors", "vectors"))


def said(host: Host, form: Fields, **changed: object) -> str:
    return told(host, reading_size, {"contrast": "formality", "form": form.given({**form.value, **changed})})


def test_beside_extract_stands_how_much_is_read(demo: Host, form: Fields) -> None:
    assert said(demo, form).startswith("Up to 116 readings")  # 44 + 44 to fit to, 14 + 14 held out


@pytest.mark.parametrize(
    ("name", "label"),
    [("reply_tokens", "The model's own replies"), ("seed", "Bootstrap seed"), ("token_budget", "Tokens per batch")],
)
def test_a_wrong_number_is_told_there_and_not_the_size_with_the_default_in_its_place(
    demo: Host, form: Fields, name: str, label: str
) -> None:
    found = said(demo, form, **{name: "many"})
    assert label in found
    assert "many" in found
    assert "readings" not in found


def test_uploads_are_offered_beside_the_shipped_sets_and_one_that_is_removed_makes_room(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path / "home", panels_dir=tmp_path / "panels")
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Vectors", "vectors")
        contrast = place_contrast(ui)
    (watch,) = ui.watches
    file = tmp_path / "tone.csv"
    file.write_text("positive,negative\nBe kind.,Be rude.\n")
    kept = bench.workspace.uploads.add(file, "contrast", 1)
    offered = watch.call(source=kept.source, visitor="")
    assert ("tone.csv · 1 row", kept.source) in offered[contrast]["choices"]
    assert "formality" in offered[contrast]["choices"]
    assert "value" not in offered[contrast]
    bench.workspace.uploads.remove(kept.digest)
    gone = watch.call(source=kept.source, visitor="")
    assert gone[contrast]["value"] == contrast.value
    assert any("not among the uploads any more" in str(shown) for shown in gone.values())
    bench.lane.close()
