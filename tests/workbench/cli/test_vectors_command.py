"""`workbench vectors`: the shelf without a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.workbench.test_workspace import vector
from workbench.cli.main import app
from workbench.workspace import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "home")
    for seed, name in enumerate(("joy", "calm", "fear")):
        made.put(vector(name, seed))
    return made


def said(home: Workspace, *words: str, code: int = 0, **given: str) -> str:
    ran = CliRunner().invoke(app, ["vectors", *words, "--workspace", str(home.folder)], **given)  # type: ignore[arg-type]
    assert ran.exit_code == code, ran.output
    return ran.output


def test_vectors_are_renamed_noted_grouped_and_found(home: Workspace) -> None:
    assert "'joy' is 'delight' now" in said(home, "rename", "joy", "delight")
    said(home, "note", "delight", "Held out on [bold]letters[/].")
    said(home, "group", "delight", "calm", "--into", "Moods")
    (home.shelf / "broken.safetensors").write_bytes(b"none")
    listed = said(home, "list")
    assert all(each in listed for each in ("delight", "Moods", "calm", "fear", "broken", "[bold]letters[/]"))
    assert "1 of 4" in said(home, "list", "LETTERS")
    assert "2 of 4" in said(home, "list", "--group", "Moods")
    assert "It is called 'delight' now" in " ".join(said(home, "note", "joy", "x", code=1).split())
    said(home, "note", "delight")
    assert home.notes.of("delight").note == ""


def test_what_is_removed_goes_for_good_once_it_is_agreed(home: Workspace) -> None:
    said(home, "remove", "joy", input="n\n")
    assert "joy" in home.names()
    said(home, "remove", "joy", "fear", "--yes")
    assert home.names() == ["calm"]
    assert not list((home.folder / "removed").iterdir())
    assert "no vector 'joy'" in " ".join(said(home, "remove", "joy", "--yes", code=1).split())
