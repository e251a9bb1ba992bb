"""What the page says of a file that was uploaded."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from steering.confines import Confines, confined
from steering.errors import SteeringError
from steering.texts.understanding import understand
from workbench.bench import Workbench
from workbench.controls.file_preview import file_preview
from workbench.controls.upload_field import _preview, place_upload, uploaded
from workbench.page.context import PanelContext
from workbench.page.state import PageState


def upload(folder: Path, name: str, text: str) -> str:
    path = folder / "0" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return uploaded(str(path))


def test_a_preview_says_kind_columns_rows_the_first_three_and_what_was_left_out(tmp_path: Path) -> None:
    rows = "".join(f"<b>Do {n}</b>,Sure\n" for n in range(5))
    with confined(Confines(tmp_path, hub=False, models=frozenset())):
        shown = _preview(upload(tmp_path, "adv.csv", f"goal,target\n{rows},Sure\n"), "texts")
    for part in (
        "adv.csv: list of texts",
        "AdvBench: goal",
        "6 rows; 5 texts",
        "1 rows were left out: empty",
        "not used: target",
    ):
        assert part in shown
    assert "&lt;b&gt;Do 2&lt;/b&gt;" in shown
    assert "Do 3" not in shown
    assert "<b>Do" not in shown
    assert str(tmp_path) not in shown


def test_both_sides_of_a_contrast_set_stand_side_by_side() -> None:
    shown = file_preview(understand("formality", "contrast"))
    assert shown.count("<div><b>") == 2
    assert shown.count("<li>") == 6


def test_what_is_no_upload_is_not_read_for_a_preview(tmp_path: Path) -> None:
    private = tmp_path / "private.txt"
    private.write_text("secret\n")
    assert _preview(str(private), "texts") == _preview("hub:a/b", "texts") == _preview("demo", "statements") == ""


def test_a_file_of_another_kind_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with confined(Confines(tmp_path, hub=False, models=frozenset())):
        source = upload(tmp_path, "pairs.json", '[{"good": "a", "bad": "b"}]')
        with pytest.raises(SteeringError, match="has the columns good, bad"):
            _preview(source, "contrast")
        assert "the columns good and bad" in _preview(f"{source}::good,bad", "contrast")


def test_a_field_shows_an_upload_by_its_own_name_and_holds_its_source(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path / "home")
    bench.confines = Confines(tmp_path, hub=False, models=frozenset())
    with gr.Blocks() as page:
        ui = PanelContext(bench, PageState(), "Test", "test")
        field = gr.Dropdown([("Demo", "demo")], value="demo", allow_custom_value=True, elem_id="field")
        uploads = place_upload(ui, field, "Upload", "texts", sets=lambda: [("Demo", "demo")])
    take, again = [each.fn for each in page.fns.values() if field in each.outputs]
    source = upload(tmp_path, "adv.csv", "goal,target\nDo it.,Sure\n")

    nobody = gr.Request()
    done = take(nobody, str(tmp_path / "0" / "adv.csv"), {})
    assert done[field]["value"] == source
    assert done[field]["choices"] == [("Demo", "demo"), ("adv.csv", source)]
    # What is typed behind the name is a column of the same file; any other text stays what it is.
    typed = again(nobody, "adv.csv::target", done[uploads])
    assert typed[field]["value"] == f"{source}::target"
    assert ("adv.csv::target", f"{source}::target") in typed[field]["choices"]
    assert again(nobody, "adv.csv::goal", typed[uploads])[field]["value"] == f"{source}::goal"
    assert field not in again(nobody, "other.csv", typed[uploads])
    # Nobody else's page knows what the name stands for.
    assert field not in again(nobody, "adv.csv", {})
