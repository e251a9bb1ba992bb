from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.vectors.files import save_vector
from steering.vectors.foreign import Convention
from steering.vectors.gguf import save_gguf
from steering.vectors.vector import Provenance, SteeringVector
from workbench.home import HOME
from workbench.workspace import Entry, Unreadable, Workspace


def vector(name: str = "joy", seed: int = 0, blocks: int = 3, width: int = 8) -> SteeringVector:
    """A random vector; another seed, another digest."""
    directions = torch.randn(blocks, width, generator=torch.Generator().manual_seed(seed))
    made: dict[str, Any] = {
        "method": "mean_difference",
        "pooling": "last_token",
        "contrast": "own",
        "contrast_digest": "",
        "positive_label": "glad",
        "negative_label": "sad",
        "n_train": (6, 6),
        "n_validation": (2, 2),
        "seed": 0,
        "model": "none",
        "model_source": "memory",
        "revision": None,
        "architecture": "Llama",
        "dtype": "float32",
        "template_digest": None,
        "created": "2026-01-01T00:00:00+00:00",
        "versions": {},
    }
    return SteeringVector(
        name=name,
        directions=directions / directions.norm(dim=-1, keepdim=True),
        mean_differences=torch.ones(blocks),
        residual_norms=torch.full((blocks,), 4.0),
        auroc=torch.tensor(([0.5, 0.9, 0.8] * blocks)[:blocks]),
        auroc_low=torch.tensor(([0.4, 0.8, 0.7] * blocks)[:blocks]),
        auroc_high=torch.tensor(([0.6, 1.0, 0.9] * blocks)[:blocks]),
        site="block_output",
        default_block=1,
        default_block_reason="the best",
        suggested_strength=1.5,
        provenance=Provenance(**made),
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def test_what_is_put_is_there_in_another_workspace_of_the_same_folder(workspace: Workspace) -> None:
    put = vector()
    assert workspace.put(put) == "joy"
    entry = Workspace(workspace.folder).get("joy")
    assert entry.vector.digest == put.digest
    assert entry.path.parent == workspace.shelf


def test_the_folder_is_named_by_the_environment_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "by-environment"))
    assert Workspace().folder == tmp_path / "by-environment"
    assert Workspace(tmp_path / "given").folder == tmp_path / "given"


def test_a_taken_name_is_numbered_but_the_same_vector_is_kept_once(workspace: Workspace) -> None:
    assert [workspace.put(vector(seed=seed)) for seed in (0, 1, 2, 0)] == ["joy", "joy 2", "joy 3", "joy"]
    assert workspace.put(vector("JOY", seed=9)) == "JOY 4"
    assert sorted(workspace.names()) == ["JOY 4", "joy", "joy 2", "joy 3"]


def test_newest_first(workspace: Workspace) -> None:
    for seed, name in enumerate(("first", "second", "third")):
        workspace.put(vector(name, seed))
        os.utime(workspace.get(name).path, (seed, seed))
    assert workspace.names() == ["third", "second", "first"]


def test_remove_and_rename(workspace: Workspace) -> None:
    workspace.put(vector("old"))
    before = workspace.version
    assert workspace.rename("old", "new") == "new"
    assert workspace.names() == ["new"]
    assert workspace.get("new").vector.name == "new"
    assert workspace.version > before
    workspace.remove("new")
    assert workspace.names() == []


@pytest.mark.parametrize("name", ["nothing", "../shelf/joy", "/etc/passwd", ""])
def test_what_is_not_there_is_an_error_and_nothing_is_touched(workspace: Workspace, name: str) -> None:
    workspace.put(vector())
    for attempt in (workspace.get, workspace.remove, lambda name: workspace.rename(name, "x")):
        with pytest.raises(SteeringError, match="no vector"):
            attempt(name)
    assert workspace.names() == ["joy"]


def test_a_damaged_file_is_reported_and_the_others_stay(workspace: Workspace) -> None:
    workspace.put(vector())
    (workspace.shelf / "broken.safetensors").write_bytes(b"not a tensor")
    (workspace.shelf / "notes.txt").write_text("no vector at all")
    kinds = {entry.path.stem: type(entry) for entry in workspace.entries()}
    assert kinds == {"joy": Entry, "broken": Unreadable}
    with pytest.raises(SteeringError, match="no vector file"):
        workspace.get("broken")
    workspace.remove("broken")
    assert [entry.path.stem for entry in workspace.entries()] == ["joy"]


def test_a_file_put_there_by_hand_is_named_after_its_file(workspace: Workspace) -> None:
    save_vector(vector("inside"), workspace.shelf / "outside.safetensors")
    assert workspace.names() == ["outside"]
    assert workspace.get("outside").vector.name == "outside"


def test_a_file_that_changed_is_read_again(workspace: Workspace) -> None:
    workspace.put(vector())
    path = workspace.get("joy").path
    changed = vector(seed=7)
    save_vector(changed, path)
    os.utime(path, (1, 1))
    assert workspace.get("joy").vector.digest == changed.digest


def test_a_crash_while_writing_leaves_the_shelf_as_it_was(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.put(vector())

    def crash(*paths: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "link", crash)
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(SteeringError, match="full"):
        workspace.put(vector("sorrow", seed=1))
    assert workspace.names() == ["joy"]
    assert [path.name for path in workspace.shelf.iterdir()] == ["joy.safetensors"]


def test_many_threads_get_a_name_each(workspace: Workspace) -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda n=n: names.append(workspace.put(vector(seed=n)))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 12
    assert sorted(workspace.names()) == sorted(names)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be written"):
        Workspace(tmp_path / "file")


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "   "])
def test_no_name_leads_out_of_the_shelf(workspace: Workspace, name: str) -> None:
    assert workspace.get(workspace.put(vector(name))).path.parent == workspace.shelf


def test_a_control_vector_for_llama_cpp_goes_on_the_shelf(workspace: Workspace, tmp_path: Path) -> None:
    """The file says no number of blocks of its model; the page gives that of the loaded one."""
    path = save_gguf(vector(), tmp_path / "tone.gguf")
    name = workspace.add_file(path, Convention(blocks=6))
    kept = workspace.get(name).vector
    assert torch.allclose(kept.directions[2], vector().directions[2], atol=1e-6)
