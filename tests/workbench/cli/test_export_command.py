"""`workbench export --to`: a recipe for another engine, and what is refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from steering.demo.planted import planted_vector
from steering.recipes.recipe import Intervention, Recipe
from steering.vectors.gguf import written_rows
from tests.workbench.cli.test_cli import call
from workbench.cli import exports
from workbench.workspace import Workspace


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(exports, "load_host", lambda name, load: pytest.fail("a model was loaded"))
    Workspace().put(planted_vector("demo"), "u")
    return tmp_path


def _recipe(**fields) -> Recipe:
    return Recipe(interventions=(Intervention(vector="u", blocks=(3,), **fields),))


def test_a_saved_recipe_and_one_of_a_file_are_written_for_their_engines(shelf, demo, monkeypatch) -> None:
    monkeypatch.setattr(exports, "load_host", lambda name, load: demo)
    Workspace().recipes.put(_recipe(strength=5.0, unit="raw"), "mine")
    said = call("export", "mine", str(shelf / "sum.gguf"), "--to", "gguf").stdout
    assert "read back" in said
    assert float(written_rows(shelf / "sum.gguf")[3].norm()) == pytest.approx(5.0, rel=1e-5)
    file = shelf / "ablate.json"
    file.write_text(_recipe(mode="ablate").to_json())
    assert "vllm serve" in call("export", str(file), str(shelf / "served"), "--to", "vllm").stdout
    assert (shelf / "served" / "edits.safetensors").is_file()
    refused = call("export", str(file), str(shelf / "other.gguf"), "--to", "gguf", code=1).stderr
    assert "depends on the state" in refused


@pytest.mark.parametrize(
    ("out", "to", "words"),
    [
        ("out", "onnx", "one of vllm"),
        ("out", "gguf", ".gguf"),
        ("out.gguf", "vllm", "a folder"),
        ("out", "checkpoint", "--save"),
    ],
)
def test_what_cannot_be_is_said_before_a_model_is_loaded(shelf, out, to, words) -> None:
    file = shelf / "ablate.json"
    file.write_text(_recipe(mode="ablate").to_json())
    assert words in call("export", str(file), str(shelf / out), "--to", to, code=1).stderr
    assert not (shelf / out).exists()
