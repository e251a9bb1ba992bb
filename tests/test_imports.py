"""The rooms: what may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from gradio.component_meta import ComponentMeta

from tests.conftest import ROOT
from tests.test_arrows import imported
from workbench.runs.run import Run
from workbench.runs.runs import Runs


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(out.stdout.splitlines()[-1].split())


def test_steering_loads_no_gradio_nothing_of_the_other_rooms_and_leaves_other_objects_alone() -> None:
    """One interpreter for all, since torch and transformers take seconds to import."""
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "steering").rglob("*.py"))
    modules = sorted(".".join(file.parts).removesuffix(".__init__") for file in files if file.name != "__main__")
    assert len(modules) > 100
    loaded = loaded_after(
        f"import importlib; [importlib.import_module(name) for name in {modules}]\n"
        "assert not hasattr(object, 'save'); import anyio._backends._asyncio"
    )
    assert {"steering", "torch", "nnsight"} <= loaded
    assert not {"gradio", "workbench", "panels"} & loaded
    assert not {"sae_lens", "transformer_lens", "sklearn"} & loaded, "what takes long is imported where it is needed"


def test_that_test_could_fail(tmp_path: Path) -> None:
    (tmp_path / "gradio.py").touch()  # one that is quick to import
    assert "gradio" in loaded_after(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import steering, gradio")


def test_help_models_and_the_list_of_runs_are_told_without_torch(tmp_path: Path) -> None:
    """One interpreter for all."""
    runs = Runs(tmp_path / "runs")
    runs.end(runs.begin(Run("", "steer", "Of yesterday", "demo", panel="steer")), "done")
    runs.begin(Run("", "steer", "Of a program that is gone", "demo", panel="steer"))
    runs.close()
    commands = (["--help"], ["models"], ["runs", "list", "--workspace", str(tmp_path)])
    loaded = loaded_after(
        f"from workbench.cli.main import app\nfor each in {commands}: app(each, standalone_mode=False)"
    )
    assert "workbench" in loaded
    assert not {"torch", "transformers", "gradio", "nnsight"} & loaded
    assert {run.state for run in Runs(tmp_path / "runs").find()} == {"done", "interrupted"}


def imports(path: Path) -> set[str]:
    """Top-level modules that a file imports."""
    names = set()
    for node, _ in imported(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif node.module:
            names.add(node.module.split(".")[0])
    return names


def imported_from(*wrong: str, files: str) -> dict[str, set[str]]:
    """Files that import any of these, and which."""
    paths = sorted(ROOT.glob(files))
    assert paths
    return {str(path.relative_to(ROOT)): found for path in paths if (found := imports(path) & {*wrong})}


def test_only_host_and_tracing_know_nnsight_and_steering_knows_no_screen() -> None:
    assert imported_from("gradio", "workbench", "panels", files="steering/**/*.py") == {}
    found = {*imported_from("nnsight", files="steering/**/*.py")}
    assert "steering/model/host.py" in found
    assert found <= {"steering/model/host.py", "steering/passes/tracing.py"}


def test_panels_hold_no_mathematics() -> None:
    assert imported_from("torch", "nnsight", "numpy", "scipy", "sklearn", files="panels/**/*.py") == {}


def test_gradio_writes_nothing_beside_the_source_of_a_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own_component.py"
    source.write_text("import gradio as gr\n\n\nclass Own(gr.HTML):\n    EVENTS = ['change']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = import_module("own_component").Own
    assert isinstance(found, ComponentMeta)  # whose instances are written down
    assert found.EVENTS
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [source.name]


def test_every_public_name_of_steering_is_there() -> None:
    import steering

    assert steering.__all__ == sorted(steering.__all__)
    for name in steering.__all__:
        assert getattr(steering, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        steering.nonsense  # noqa: B018
