"""Lists and folders that are damaged, locked, full, gone or of another version: a clear word, and nothing is lost."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steering.errors import SteeringError
from tests.workbench.runs.test_runs import RUN, _result
from tests.workbench.test_workspace import vector
from workbench.runs import list_file, run_file
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.runs.runs import Runs


LIST = "index.sqlite"


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, Run]:
    """A folder of runs that another workbench has left: done with a note, failed, going on here, deleted for good."""
    runs = Runs(tmp_path)
    done, failed, gone = (runs.begin(replace(RUN, title=f"Run {n}"), {"joy": vector("joy", 0)}) for n in range(3))
    runs.end(done, "done", result=_result(), view={"a": 1})
    runs.end(failed, "failed", error="why")
    runs.end(gone, "done")
    runs.change(done, note="For the talk.", tags=("talk", "b"), favourite=True)
    runs.delete(gone)
    found = {id: runs.get(id) for id in (done, failed)}
    runs.close()
    return found


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder in which nobody can write, the superuser neither."""
    if os.geteuid():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    if subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode:
        pytest.skip("needs a file system with chattr, or a user whom rights bind")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(folder)], check=True)


@pytest.mark.parametrize("how", ["garbage", "cut", "emptied", "gone", "another's table", "damaged later"])
def test_a_damaged_list_is_made_anew_from_the_folders_and_kept_aside(
    tmp_path: Path, kept: dict[str, Run], how: str, caplog: Any
) -> None:
    path, before = tmp_path / LIST, Runs(tmp_path)
    assert {run.id for run in before.find()} == set(kept)
    if how != "damaged later":
        before.close()
    content = path.read_bytes()
    if how in ("garbage", "damaged later"):
        for each in tmp_path.glob(f"{LIST}-*"):
            each.unlink()
        path.write_bytes(b"no list at all, but long enough for a head" * 200)
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "gone":
        path.unlink()
    else:
        with sqlite3.connect(path) as file:
            file.execute("DROP TABLE runs")
    with caplog.at_level(logging.WARNING):
        runs = before if how == "damaged later" else Runs(tmp_path)
        found = {run.id: runs.get(run.id) for run in runs.find()}
    assert found == kept
    assert "made anew from the runs' folders: 2 runs" in runs.mended
    assert runs.mended in caplog.text
    assert (tmp_path / "index.damaged").exists() == (how not in ("emptied", "gone"))
    done, failed = kept
    assert runs.result(done).measures == _result().measures  # type: ignore[union-attr]
    assert [*runs.used(failed)] == ["joy"]
    assert runs.count() == (2, sum(run.size for run in kept.values()))
    id = runs.begin(RUN)
    runs.end(id, "done")
    runs.close()
    again = Runs(tmp_path)
    assert (len(again.find()), again.mended) == (3, "")
    again.close()


def test_another_workbench_that_has_the_damaged_list_open_goes_on_with_the_new_one(
    tmp_path: Path, kept: dict[str, Run]
) -> None:
    first = Runs(tmp_path)
    going_on = first.begin(RUN)
    (tmp_path / LIST).rename(tmp_path / "moved")  # as whoever sets it aside does
    second = Runs(tmp_path)
    assert {run.id: run.state for run in second.find()} == {**dict.fromkeys(kept, ""), going_on: "running"} | {
        id: run.state for id, run in kept.items()
    }
    first.end(going_on, "done", result=_result())
    assert second.get(going_on).state == "done"
    assert second.result(going_on) is not None
    first.close()
    second.close()


def test_a_list_that_is_locked_for_long_takes_down_later_how_a_run_ended(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(list_file, "PATIENCE", 0.05)
    runs = Runs(tmp_path)
    id = runs.begin(RUN)
    other = sqlite3.connect(tmp_path / LIST, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SteeringError, match="database is locked") as told:
        runs.begin(RUN)
    assert "Another program holds it" in told.value.remedy
    with pytest.raises(SteeringError, match="The run is kept, and the list of runs cannot say so yet"):
        runs.end(id, "done", result=_result())
    readers = Runs(tmp_path)  # whoever only reads need not wait
    assert [run.state for run in readers.find()] == ["running"]
    readers.close()
    other.execute("ROLLBACK")
    other.close()
    (run,) = runs.find()
    assert (run.state, run.size) == ("done", run_file.size_of(tmp_path / id))
    assert runs.result(id) is not None
    runs.close()


def test_a_locked_list_is_read_though_a_process_left_something_to_take_down(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(list_file, "PATIENCE", 0.05)
    first = Runs(tmp_path)
    id = first.begin(RUN)
    first._processes._alive.release()  # killed
    with sqlite3.connect(tmp_path / LIST, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        runs = Runs(tmp_path)
        assert [run.id for run in runs.find()] == [id]
        assert runs.get(id).title == RUN.title
        other.execute("ROLLBACK")
    assert runs.get(id).state == "interrupted"
    runs.close()


def test_what_a_process_could_not_tell_the_list_is_read_from_the_folder_when_it_is_gone(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(list_file, "PATIENCE", 0.05)
    runs = Runs(tmp_path)
    id = runs.begin(RUN)
    with sqlite3.connect(tmp_path / LIST, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SteeringError, match="cannot say so yet"):
            runs.end(id, "done", result=_result())
        other.execute("ROLLBACK")
    runs._processes._alive.release()  # killed before it could tell
    after = Runs(tmp_path)
    (run,) = after.find()
    assert (run.state, run.size) == ("done", run_file.size_of(tmp_path / id))
    assert after.result(id) is not None
    after.close()


def test_a_full_disk_is_one_card_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    runs = Runs(disk / "runs")
    try:
        first, second = runs.begin(RUN), runs.begin(RUN)
        runs.end(first, "done", result=_result())
        (disk / "ballast").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        with pytest.raises(SteeringError, match="could not be kept: No space left on device"):
            runs.end(second, "done", result=_result())
        with pytest.raises(SteeringError, match=r"No space left on device|disk is full"):
            [runs.begin(RUN) for _ in range(50)]  # the list has some room of its own
        assert runs.result(first) is not None
        listed = {run.id: run.state for run in runs.find(Query(kind=RUN.kind))}
        assert listed[first] == "done"
        (disk / "ballast").unlink()
        assert "No space left" in runs.get(second).error
        assert runs.result(second) is None
        runs.end(runs.begin(RUN), "done", result=_result())
    finally:
        runs.close()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_cannot_be_written_is_one_card(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(SteeringError, match="cannot be used"):
        Runs(tmp_path / "runs")


def test_a_folder_that_nobody_may_write_to_any_more_is_one_card(tmp_path: Path, kept: dict[str, Run]) -> None:
    runs = Runs(tmp_path)
    id = runs.begin(RUN)
    done = next(iter(kept))
    with unwritable(tmp_path), unwritable(tmp_path / id), unwritable(tmp_path / done):
        with pytest.raises(SteeringError, match=r"could not be kept: (Permission|Operation not permitted)") as told:
            runs.begin(RUN)
        assert "What is shown stays" in told.value.remedy
        with pytest.raises(SteeringError, match="could not be kept"):
            runs.end(id, "done", result=_result())
        with pytest.raises(SteeringError, match="cannot be noted"):
            runs.change(done, note="Another.")
        assert runs.result(done) is not None
        assert runs.get(done) == kept[done]
    assert runs.get(id).state == "failed"
    assert len(runs.find()) == 3
    runs.close()


def test_a_workspace_that_vanishes_is_not_made_anew_and_is_there_when_it_comes_back(
    tmp_path: Path, kept: dict[str, Run]
) -> None:
    folder = tmp_path / "workspace" / "runs"
    folder.parent.mkdir()
    shutil.copytree(tmp_path, folder, ignore=shutil.ignore_patterns("workspace"))
    runs = Runs(folder)
    id = runs.begin(RUN)
    folder.parent.rename(tmp_path / "elsewhere")
    for call in (
        lambda: runs.begin(RUN),
        lambda: runs.end(id, "done", result=_result()),
        lambda: runs.find(),
        lambda: runs.get(next(iter(kept))),
    ):
        with pytest.raises(SteeringError, match=r"is gone|No such file"):
            call()
    assert not folder.parent.exists()
    (tmp_path / "elsewhere").rename(folder.parent)
    assert {run.id for run in runs.find()} == {*kept, id}
    assert runs.get(id).state == "failed"
    runs.end(runs.begin(RUN), "done", result=_result())
    runs.close()


def test_a_run_of_a_newer_workbench_is_refused_and_left_as_it_is(tmp_path: Path, kept: dict[str, Run]) -> None:
    done, _ = kept
    path = tmp_path / done / run_file.NAME
    said = {**json.loads(path.read_text()), "version": run_file.VERSION + 1, "run": {"new": "form"}}
    path.write_text(json.dumps(said))
    runs = Runs(tmp_path)
    for call in (runs.result, runs.view):
        with pytest.raises(SteeringError, match="a newer workbench made it"):
            call(done)
    runs.close()
    (tmp_path / LIST).unlink()
    anew = Runs(tmp_path)
    assert done not in {run.id for run in anew.find()}
    assert json.loads(path.read_text()) == said
    anew.close()


def test_a_folder_without_its_own_word_is_listed_by_what_was_found(tmp_path: Path, kept: dict[str, Run]) -> None:
    done, failed = kept
    for id in kept:
        (tmp_path / id / run_file.NAME).write_text("{")
    (tmp_path / LIST).unlink()
    runs = Runs(tmp_path)
    (run,) = runs.find()
    assert (run.id, run.kind, run.state, run.model) == (done, "tradeoff", "done", "demo")
    assert runs.get(done).about["settings"] == {"n": 3}
    assert (tmp_path / failed).is_dir()
    runs.close()


def test_several_that_find_the_list_damaged_at_once_make_one_new_one(tmp_path: Path, kept: dict[str, Run]) -> None:
    (tmp_path / LIST).write_bytes(b"no list at all" * 500)
    with ThreadPoolExecutor(4) as pool:  # each opens the files anew, as a process does
        opened = list(pool.map(Runs, [tmp_path] * 4))
    for runs in opened:
        assert {run.id for run in runs.find()} == set(kept)
        runs.close()
    assert [path.name for path in tmp_path.glob("*.damaged")] == ["index.damaged"]
