"""Vectors renamed, noted, removed and had back, and what a program leaves that is killed in between."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from steering.errors import SteeringError
from tests.programs import Program
from tests.workbench.test_workspace import vector
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "home")
    made.put(vector("joy"))
    return made


def test_what_is_removed_can_be_had_back_with_its_notes_and_place(workspace: Workspace) -> None:
    workspace.put(vector("sorrow", seed=1))
    workspace.note("joy", group="Feelings", note="The first.")
    os.utime(workspace.get("joy").path, (5, 5))
    digest = workspace.get("joy").vector.digest
    removed = workspace.remove("joy")
    assert workspace.names() == ["sorrow"]
    assert workspace.notes.of("joy").note == ""  # another vector of that name begins without it
    assert workspace.restore(removed.id) == "joy"
    assert workspace.names() == ["sorrow", "joy"]
    assert workspace.get("joy").vector.digest == digest
    assert (workspace.notes.of("joy").group, workspace.notes.of("joy").note) == ("Feelings", "The first.")
    with pytest.raises(SteeringError, match="cannot be had back"):
        workspace.restore(removed.id)


def test_nothing_is_written_over_by_what_comes_back(workspace: Workspace) -> None:
    removed = workspace.remove("joy")
    workspace.put(vector("joy", seed=2))
    assert workspace.restore(removed.id) == "joy 2"
    assert len({workspace.get(name).vector.digest for name in ("joy", "joy 2")}) == 2


def test_only_who_removed_it_has_it_back(workspace: Workspace) -> None:
    removed = workspace.remove("joy", owner="one")
    assert [each.name for each in workspace.bin.find(owner="one")] == ["joy"]
    assert workspace.bin.find(owner="two") == []
    with pytest.raises(SteeringError, match="cannot be had back"):
        workspace.restore(removed.id, owner="two")
    assert workspace.restore(removed.id, owner="one") == "joy"


def test_files_stay_until_the_program_ends_and_go_then(workspace: Workspace) -> None:
    removed = workspace.remove("joy")
    assert removed.path is not None
    other = Workspace(workspace.folder)  # another program opens the workspace: it lets that be
    assert removed.path.exists()
    with pytest.raises(SteeringError, match="cannot be had back"):
        other.restore(removed.id)
    workspace.bin.close()
    assert not removed.path.exists()
    assert workspace.names() == []


def test_what_a_killed_program_had_removed_goes_with_the_next_look(workspace: Workspace, tmp_path: Path) -> None:
    script = (
        "import os, sys; from workbench.workspace import Workspace; Workspace(sys.argv[1]).remove('joy'); os._exit(9)"
    )
    code, said = Program(script, workspace.folder, said=tmp_path / "said").wait()
    assert code == 9, said
    left = workspace.folder / "removed"
    assert list(left.glob("*/*/joy.safetensors"))
    again = Workspace(workspace.folder)
    assert list(left.iterdir()) == []
    assert again.names() == []


KILLED = """
import os, sys
from pathlib import Path
from steering.recipes.recipe import Recipe
from tests.workbench.test_workspace import vector
from workbench.workspace import Workspace

def dies_at(step, act):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    count = [0]
    def dying(call):
        def stepped(*given, **options):
            if count[0] == step:
                os._exit(9)
            count[0] += 1
            return call(*given, **options)
        return stepped
    for name in ("rename", "replace", "link", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
    act()
    os._exit(0)

def rename(home): home.rename("joy", "delight")
def remove(home): home.remove("joy")
def restore(home): home.restore(home.remove("joy").id)

either = {("joy",), ()}
for act, fits in {rename: {("joy",), ("delight",), ("delight", "joy")}, remove: either, restore: either}.items():
    step, died = 0, True
    while died:
        folder = Path(sys.argv[1]) / f"{act.__name__}{step}"
        home = Workspace(folder)
        home.put(vector("joy"))
        home.note("joy", note="kept")
        died = dies_at(step, lambda: act(Workspace(folder)))
        after = Workspace(folder)
        names = tuple(sorted(entry.name for entry in after.entries()))
        assert names == tuple(sorted(after.names())) and names in fits, (act, step, names)
        for name in names:
            assert after.get(name).vector.digest == vector("joy").digest
        assert not names or any(after.notes.of(name).note == "kept" for name in names) or act is restore, (act, step)
        assert not [path for path in folder.glob("shelf/*.safetensors") if path.stem not in names]
        step += 1
    assert step > 1, act

def add(home): home.uploads.add(source, "texts", 1)
def discard(home): home.uploads.remove(home.uploads.find()[0].digest)
def have_back(home): home.restore(home.uploads.remove(home.uploads.find()[0].digest).id)
def save(home): home.recipes.put(Recipe(), "mine")

source = Path(sys.argv[1]) / "own.txt"
source.write_text("one")
for act in (add, discard, have_back, save):
    step, died = 0, True
    while died:
        folder = Path(sys.argv[1]) / f"{act.__name__}{step}"
        if act in (discard, have_back):
            add(Workspace(folder))
        died = dies_at(step, lambda: act(Workspace(folder)))
        after = Workspace(folder)
        for each in after.uploads.find():
            assert (after.uploads.files / each.digest / each.name).read_text() == "one", (act, step)
        for name in after.recipes.names():
            assert after.recipes.get(name) == Recipe(), (act, step)
        add(after)  # whatever was left, it goes on
        assert [each.name for each in after.uploads.find()] == ["own.txt"], (act, step)
        step += 1
    assert step > 1, act
print("held")
"""


def test_a_program_killed_at_any_step_leaves_a_thing_whole_or_nothing(tmp_path: Path) -> None:
    code, said = Program(KILLED, tmp_path, said=tmp_path / "said").wait()
    assert (code, said.strip()) == (0, "held")


def test_a_renamed_vector_keeps_place_notes_and_digest_and_says_what_it_was(workspace: Workspace) -> None:
    workspace.put(vector("sorrow", seed=1))
    for name, time in (("joy", 5), ("sorrow", 9)):
        os.utime(workspace.get(name).path, (time, time))
    workspace.note("joy", group="Feelings", note="<b>mine</b>")
    digest = workspace.get("joy").vector.digest
    assert workspace.rename("joy", "Delight/../<i>") == "Delight-..-i"  # as a file may be called anywhere
    assert workspace.names() == ["sorrow", "Delight-..-i"]
    assert workspace.get("Delight-..-i").vector.digest == digest
    noted = Workspace(workspace.folder).notes.of("Delight-..-i")
    assert (noted.group, noted.note) == ("Feelings", "<b>mine</b>")
    with pytest.raises(SteeringError, match=r"It is called .Delight-\.\.-i. now"):
        workspace.get("joy")


def test_names_follow_through_several_changes_and_end_where_one_is_taken_again(workspace: Workspace) -> None:
    workspace.rename("joy", "delight")
    workspace.rename("delight", "bliss")
    assert workspace.renamed() == {"joy": "bliss", "delight": "bliss"}
    workspace.put(vector("delight", seed=3))
    assert workspace.renamed() == {"joy": "bliss"}
    workspace.remove("delight")
    assert workspace.renamed() == {"joy": "bliss"}  # and does not begin to mean the first one again
    workspace.rename("bliss", "joy")
    assert workspace.renamed() == {"bliss": "joy"}


def test_a_name_is_taken_by_no_other_and_may_change_its_capitals(workspace: Workspace) -> None:
    workspace.put(vector("sorrow", seed=1))
    with pytest.raises(SteeringError, match="already"):
        workspace.rename("joy", "Sorrow")
    assert sorted(workspace.names()) == ["joy", "sorrow"]
    assert workspace.rename("joy", "JOY") == "JOY"
    assert sorted(workspace.names()) == ["JOY", "sorrow"]
    assert workspace.rename("JOY", "  ") == "JOY"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "vectors": {"joy": 5}}'])
def test_damaged_notes_are_set_aside_and_the_shelf_stands(workspace: Workspace, content: str) -> None:
    (workspace.folder / "shelf.json").write_text(content)
    assert workspace.names() == ["joy"]
    assert workspace.notes.of("joy").note == ""
    workspace.note("joy", note="new")
    assert Workspace(workspace.folder).notes.of("joy").note == "new"
    assert (workspace.folder / "shelf.damaged").read_text() == content


def test_notes_of_a_newer_workbench_are_left_as_they_are(workspace: Workspace) -> None:
    newer = json.dumps({"version": 9, "vectors": {"joy": {"colour": "red"}}})
    (workspace.folder / "shelf.json").write_text(newer)
    with pytest.raises(SteeringError, match="newer workbench"):
        workspace.note("joy", note="mine")
    assert (workspace.folder / "shelf.json").read_text() == newer


@pytest.mark.parametrize("given", [{"note": "x" * 20_001}, {"group": "x" * 61}, {"note": "\ud83d"}, {"group": "a\0b"}])
def test_a_note_that_cannot_be_kept_is_refused(workspace: Workspace, given: dict[str, str]) -> None:
    with pytest.raises(SteeringError):
        workspace.note("joy", **given)
    assert not (workspace.folder / "shelf.json").exists()


def test_two_programs_lose_no_note(workspace: Workspace, tmp_path: Path) -> None:
    names = [workspace.put(vector(f"v{n}", seed=n + 1)) for n in range(6)]
    script = (
        "import os, sys; from workbench.workspace import Workspace; child = os.fork(); home = Workspace(sys.argv[1])\n"
        "for n in range(6):\n    if (n % 2) == (child > 0): home.note(f'v{n}', note=f'note {n}')\n"
        "assert not child or os.waitpid(child, 0)[1] == 0"
    )
    code, said = Program(script, workspace.folder, said=tmp_path / "said").wait()
    assert code == 0, said
    assert [workspace.notes.of(name).note for name in names] == [f"note {n}" for n in range(6)]
