"""A recipe of an editor as a file for another engine: what the browser is given, and what is refused."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.recipes.recipe import Intervention, Recipe
from steering.vectors.gguf import written_rows
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls import recipe_exports
from workbench.controls.recipe_editor import plain
from workbench.controls.recipe_exports import exported
from workbench.page.context import PanelContext
from workbench.page.state import PageState


@pytest.fixture
def ui(tmp_path: Path, tiny_host) -> PanelContext:
    host = tiny_host("llama")
    bench = Workbench(workspace=tmp_path / "home")
    bench.model.put(host)
    bench.workspace.put(vector("joy", 1, host.info.blocks, host.info.width))
    with gr.Blocks():
        return PanelContext(bench, PageState(), "Test")


def _sent(to: str, **fields: Any) -> dict[str, Any]:
    recipe = Recipe(interventions=(Intervention(vector="joy", blocks=(2,), strength=3.0, unit="raw", **fields),))
    return {"to": to, "recipe": plain(recipe)}


def test_the_browser_gets_a_control_vector_or_a_folder_as_a_zip(ui, tmp_path) -> None:
    found = exported(ui, _sent("gguf"))
    path = tmp_path / found["name"]
    path.write_bytes(base64.b64decode(found["data"]))
    assert float(written_rows(path)[2].norm()) == pytest.approx(3.0, rel=1e-5)
    found = exported(ui, _sent("vllm"))
    assert found["name"] == "recipe-for-vllm.zip"
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(found["data"]))).namelist()
    assert {"recipe-for-vllm/edits.safetensors", "recipe-for-vllm/README.md"} < set(names)


def test_what_cannot_be_told_is_said_and_public_pages_say_why_not(ui, monkeypatch) -> None:
    assert "it is written on generated tokens only" in exported(ui, _sent("vllm", scope="generated"))["said"]
    assert "one of vllm, gguf" in exported(ui, _sent("checkpoint"))["said"]
    assert set(exported(ui, {"to": "gguf", "recipe": {"interventions": 7}})) == {"said"}
    assert set(exported(ui, "nothing")) == {"said"}
    monkeypatch.setattr(recipe_exports, "limits_at_hand", lambda: object())
    assert "workbench export" in exported(ui, _sent("gguf"))["said"]
