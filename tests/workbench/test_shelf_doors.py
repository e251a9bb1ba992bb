"""The shelf under bad luck: two processes, odd files, a folder that is read-only, full or gone."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from steering import own_files
from steering.errors import SteeringError
from tests.programs import Program
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.frame.shelf import Shelf, note_vector
from workbench.frame.shelf_cards import shelf_cards, vector_card
from workbench.page.markup import error_card
from workbench.workspace import Entry, Unreadable, Workspace


PUT = """
import os, sys
from tests.workbench.test_workspace import vector
from workbench.workspace import Workspace
child = os.fork()
home = Workspace(sys.argv[1])
for n in range(30):
    home.put(vector("joy", seed=1000 * (child > 0) + n, blocks=2))
assert not child or os.waitpid(child, 0)[1] == 0
"""


def test_two_processes_lose_no_vector(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    code, said = Program(PUT, home, said=tmp_path / "said").wait()
    assert code == 0, said
    kept = [entry for entry in Workspace(home).entries() if isinstance(entry, Entry)]
    assert len(kept) == 60
    assert len({entry.vector.digest for entry in kept}) == 60
    assert len(list(Workspace(home).shelf.iterdir())) == 60  # and nothing temporary


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = Workbench(workspace=tmp_path / "home")
    made.workspace.put(vector())
    return made


def change(bench: Workbench, name: str, **changes: Any) -> None:
    """Write a vector file whose card says something else; `changes` are of its provenance, or `card_` of the card."""
    path = bench.workspace.shelf / f"{name}.safetensors"
    source = bench.workspace.shelf / "joy.safetensors"
    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata())
    card = json.loads(metadata["card"])
    for key, value in changes.items():
        if key.startswith("card_"):
            card[key.removeprefix("card_")] = value
        else:
            card["provenance"][key] = value
    save_file(load_file(source), path, metadata={**metadata, "card": json.dumps(card)})


@pytest.mark.parametrize(
    "changes",
    [
        {"n_train": []},
        {"n_train": [1]},
        {"n_train": None},
        {"n_validation": ["a", "b"]},
        {"n_train": [1e400, 0]},
        {"method": None},
        {"method": 5},
        {"method": {"a": 1}},
        {"positive_label": []},
        {"created": 7},
        {"versions": []},
        {"settings": None},
        {"card_suggested_strength": float("nan")},
        {"card_suggested_strength": "x"},
        {"card_default_block": 1e400},
        {"card_default_block": 99},
        {"card_site": []},
        {"card_provenance": None},
        {"card_version": [1]},
        {"card_name": None},
    ],
    ids=str,
)
def test_a_file_with_an_odd_card_is_one_card_that_can_be_removed(bench: Workbench, changes: dict[str, Any]) -> None:
    change(bench, "odd", **changes)
    (odd,) = [entry for entry in bench.workspace.entries() if entry.name == "odd"]
    drawn = {card["name"]: card for card in shelf_cards(bench)}
    assert "wrong" not in drawn["joy"]
    assert "odd" in drawn
    if changes != {"card_name": None}:  # which is not used on the shelf
        assert isinstance(odd, Unreadable)
        with pytest.raises(SteeringError):
            bench.workspace.get("odd")
    bench.workspace.remove("odd")
    assert bench.workspace.names() == ["joy"]


@pytest.mark.parametrize("name", ["a\nb", "x" * 200, "<b>", "caf\udce9", "ü"])
def test_a_file_with_an_odd_name_is_one_card_that_can_be_removed(bench: Workbench, name: str) -> None:
    shutil.copy(bench.workspace.shelf / "joy.safetensors", bench.workspace.shelf / f"{name}.safetensors")
    assert len(bench.workspace.entries()) == 2
    (odd,) = [entry for entry in bench.workspace.entries() if entry.name != "joy"]
    json.dumps(shelf_cards(bench), ensure_ascii=False).encode()  # as it is sent
    bench.workspace.remove(odd.name)
    assert bench.workspace.names() == ["joy"]


def test_what_is_no_file_is_one_card_too(bench: Workbench) -> None:
    (bench.workspace.shelf / "folder.safetensors").mkdir()
    os.mkfifo(bench.workspace.shelf / "pipe.safetensors")  # reading it would wait for ever
    drawn = {card["name"]: card for card in shelf_cards(bench)}
    assert "folder" in drawn
    bench.workspace.remove("pipe")
    with pytest.raises(SteeringError, match="cannot be removed"):
        bench.workspace.remove("folder")


def test_a_card_that_cannot_be_drawn_leaves_the_others(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.workspace.put(vector("sad", seed=3))

    def broken(name: str, *given: Any) -> Any:
        if name == "sad":
            raise ZeroDivisionError
        return vector_card(name, *given)

    monkeypatch.setattr("workbench.frame.shelf_cards.vector_card", broken)
    drawn = {card["name"]: card for card in shelf_cards(bench)}
    assert "wrong" not in drawn["joy"]
    assert "sad" in drawn


def test_a_workspace_that_is_gone_is_made_again_or_said_without_its_path(bench: Workbench) -> None:
    shutil.rmtree(bench.workspace.folder)
    assert shelf_cards(bench) == []
    assert bench.workspace.put(vector("new")) == "new"
    shutil.rmtree(bench.workspace.shelf)
    bench.workspace.shelf.write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be kept on the shelf") as caught:
        bench.workspace.put(vector("other"))
    assert str(bench.workspace.folder) not in error_card(caught.value)


def test_a_full_disk_is_said_without_its_path(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_files.os, "link", full)
    monkeypatch.setattr(own_files.os, "open", full)
    with pytest.raises(SteeringError, match="'sad' cannot be kept on the shelf: No space left"):
        bench.workspace.put(vector("sad", seed=2))


READ_ONLY = """
import os, sys
from tests.workbench.test_workspace import vector
from steering.errors import SteeringError
from workbench.page.markup import error_card
from workbench.workspace import Workspace
folder = sys.argv[1]
home = Workspace(folder)
home.put(vector())
for base, folders, files in os.walk(folder):
    os.chmod(base, 0o555)
    for name in files:
        os.chmod(os.path.join(base, name), 0o444)
if os.getuid() == 0:
    for base, folders, files in os.walk(folder):
        os.chown(base, 65534, 65534)
    os.setuid(65534)
assert home.names() == ["joy"], home.entries()
for attempt in (lambda: home.put(vector("sad", seed=2)), lambda: home.remove("joy"), lambda: home.export("a", "b")):
    try:
        attempt()
    except SteeringError as error:
        assert folder not in error_card(error), error
        print(error.given)
home.cells["a"] = {"n": 1}  # studies do without the store
assert home.cells["a"] == {"n": 1}
"""


def test_a_read_only_workspace_shows_what_is_there_and_says_what_cannot_be(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        Path(folder).chmod(0o755)
        code, said = Program(READ_ONLY, f"{folder}/home", said=tmp_path / "said").wait()
        for base, _, _ in os.walk(folder):
            Path(base).chmod(0o755)
    assert code == 0, said
    denied = [line for line in said.splitlines() if "Permission denied" in line]
    assert len(denied) == 4, said  # three attempts, and that finished parts are kept in memory


@pytest.mark.parametrize(
    "sent", [None, 5, "", [], {}, {"added": 5}, {"added": "\0/x"}, {"added": "x"}, {"added": ".."}]
)
def test_the_shelf_takes_nothing_for_an_upload_that_is_none(sent: Any) -> None:
    assert Shelf().preprocess(sent) is None


def test_the_shelf_takes_uploads_and_no_other_file_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    sent, other = uploads / "digest" / "joy.safetensors", tmp_path / "secret" / "joy.safetensors"
    for path in (sent, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    (uploads / "digest" / "link").symlink_to(other)
    assert Shelf().preprocess({"added": str(sent)}) == sent
    assert Shelf().preprocess({"added": str(other)}) is None
    assert Shelf().preprocess({"added": f"{uploads}/digest/../../secret/joy.safetensors"}) is None
    assert Shelf().preprocess({"added": str(uploads / "digest" / "link")}) is None


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "x",
        [],
        {},
        {"name": "joy"},
        {"name": "joy", "title": 5, "group": "", "note": ""},
        {"name": "other", "title": "joy", "group": "", "note": ""},
        {"name": "../shelf/joy", "title": "x", "group": "", "note": ""},
        {"name": "joy", "title": "joy", "group": "", "note": "x" * 30_000},
        {"name": "joy", "title": "joy", "group": "\ud83d", "note": ""},
        {"name": "joy", "title": "\ud83d", "group": "", "note": "new"},
    ],
    ids=str,
)
def test_a_note_that_no_page_sends_is_refused_and_changes_nothing(bench: Workbench, sent: Any) -> None:
    with pytest.raises(SteeringError):
        note_vector(bench.workspace, sent)
    assert bench.workspace.names() == ["joy"]
    assert not (bench.workspace.folder / "shelf.json").exists()


def test_a_note_of_a_page_renames_and_is_on_the_card(bench: Workbench) -> None:
    sent = {"name": "joy", "title": "<b>bliss</b>", "group": " A  b ", "note": "<script>"}
    assert note_vector(bench.workspace, sent) == "b-bliss-b"
    (card,) = shelf_cards(bench)
    assert (card["name"], card["group"], card["note"]) == ("b-bliss-b", "A b", "<script>")
