"""The store of finished work."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from steering import store
from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.own_files import set_database_aside
from steering.store import Store, kept_in


def test_what_is_put_in_is_there_after_opening_again(tmp_path: Path) -> None:
    first = Store(tmp_path / "cells.sqlite")
    assert "a" not in first
    first["a"] = {"text": "ü", "tokens": 2, "divergence": 0.25}
    first["a"] = {"text": "new"}
    assert dict(Store(tmp_path / "cells.sqlite")) == {"a": {"text": "new"}}
    del first["a"]
    assert len(first) == 0
    with pytest.raises(KeyError):
        first["a"]
    with pytest.raises(KeyError):
        del first["a"]


def test_the_oldest_entries_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 3)
    kept = Store(tmp_path / "cells.sqlite")
    for n in range(6):
        kept[str(n)] = {"n": n}
    assert list(kept) == ["3", "4", "5"]


def test_several_threads_may_write(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "cells.sqlite") for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stores[n % 2].update({str(n): {"n": n}}), range(80)))
    assert {int(key) for key in stores[0]} == set(range(80))


def damaged(path: Path, how: str) -> None:
    """Spoil a store that holds something."""
    store = Store(path)
    store.update({str(n): {"text": "x" * 500, "n": n} for n in range(200)})
    store._file.close()
    whole = bytearray(path.read_bytes())
    if how == "cut":
        whole = whole[: len(whole) // 3]
    elif how == "beginning":
        whole[:60] = b"\xff" * 60
    else:
        whole[8192:] = b"\xff" * len(whole[8192:])
    path.write_bytes(whole)


@pytest.mark.parametrize("how", ["cut", "beginning", "pages"])
def test_a_damaged_store_is_set_aside_with_a_note_and_works_again(tmp_path: Path, how: str, lane: Lane) -> None:
    path = tmp_path / "kept.sqlite"
    damaged(path, how)
    spoilt = path.read_bytes()

    def work(job: Job[None]) -> None:
        kept = kept_in(path)
        assert kept.get("150") is None
        kept["a"] = {"n": 1}

    job = lane.submit(work, title="use")
    job.result()
    assert "set aside as 'kept.damaged'" in job.notes[0]
    assert (tmp_path / "kept.damaged").read_bytes() == spoilt
    assert dict(kept_in(path)) == {"a": {"n": 1}}


def test_what_is_set_aside_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "kept.damaged").write_text("mine")
    damaged(tmp_path / "kept.sqlite", "cut")
    assert "1" not in kept_in(tmp_path / "kept.sqlite")
    assert (tmp_path / "kept.damaged").read_text() == "mine"
    assert (tmp_path / "kept.2.damaged").exists()


def test_what_sqlite_keeps_beside_a_damaged_file_goes_with_it(tmp_path: Path) -> None:
    for name in ("kept.sqlite", "kept.sqlite-wal", "kept.sqlite-shm"):  # as while another process has it open
        (tmp_path / name).write_text(name)
    assert set_database_aside(tmp_path / "kept.sqlite") == tmp_path / "kept.damaged"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "kept.damaged": "kept.sqlite",
        "kept.damaged-wal": "kept.sqlite-wal",
        "kept.damaged-shm": "kept.sqlite-shm",
    }


def test_in_the_workspace_anything_in_its_place_is_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "cells.sqlite"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    fresh = Store(path, own=True)
    fresh["a"] = {"n": 1}
    assert dict(Store(path)) == {"a": {"n": 1}}
    assert path.with_suffix(".damaged").read_bytes().startswith(b"no database")


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE letters (body TEXT)")
        file.execute("INSERT INTO letters VALUES ('dear')")


@pytest.mark.parametrize("content", ["text", "empty", "database", "source", "folder"])
def test_what_is_no_store_is_refused_by_name_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.txt"
    if content == "database":
        foreign_database(path)
    elif content == "folder":
        path.mkdir()
    else:
        own_source = Path(store.__file__).read_text()  # which names the table
        path.write_text({"text": "notes " * 5000, "empty": "", "source": own_source}[content])
    before = path.is_file() and path.read_bytes()
    with pytest.raises(SteeringError, match=r"mine\.txt"):
        kept_in(path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]
    assert (path.is_file() and path.read_bytes()) == before


def test_a_store_that_another_program_holds_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.1)
    path = tmp_path / "kept.sqlite"
    first = kept_in(path)
    first["a"] = {"n": 1}
    first._file.execute("PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SteeringError, match="locked"):
            kept_in(path)
        other.execute("ROLLBACK")
    assert dict(kept_in(path)) == {"a": {"n": 1}}
    assert not list(tmp_path.glob("*.damaged"))


def test_a_store_of_the_version_before_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        file.execute("INSERT INTO cells VALUES ('a', '{\"n\": 1}')")
    assert dict(kept_in(path)) == {"a": {"n": 1}}


def test_a_store_that_can_no_longer_be_written_goes_on_in_memory(tmp_path: Path, lane: Lane) -> None:
    kept = kept_in(tmp_path / "kept.sqlite")
    kept["a"] = {"n": 1}
    kept._file.execute("PRAGMA query_only = 1")  # as where the disk is full: writing fails, reading does not

    def work(job: Job[None]) -> None:
        kept["b"] = {"n": 2}
        kept["c"] = {"n": 3}

    job = lane.submit(work, title="use")
    job.result()
    assert kept["b"] == {"n": 2}
    assert set(kept) == {"a", "b", "c"}
    assert len(job.notes) == 1
    assert "cannot be kept" in job.notes[0]


def test_a_value_that_is_damaged_is_a_missing_one(tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "kept.sqlite")
    kept["a"] = {"n": 1}
    kept._file.execute("UPDATE cells SET value = '{\"n\": '")
    assert kept.get("a") is None


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-of-that-name/kept", "\udcff\ud800", "a" * 300])
def test_what_can_be_no_path_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SteeringError):
        kept_in(name)


def test_several_processes_that_begin_a_store_share_it(tmp_path: Path) -> None:
    code = (
        "import sys; from steering.store import kept_in\n"
        "for n in range(20): kept_in(sys.argv[1])[f'{sys.argv[2]}-{n}'] = {'n': n}"
    )
    path = str(tmp_path / "kept.sqlite")
    running = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in "abc"]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    assert len(kept_in(path)) == 60
    assert not list(tmp_path.glob("*damaged"))


def test_a_full_disk_leaves_what_was_kept_and_goes_on_in_memory(tmp_path: Path, lane: Lane) -> None:
    path = tmp_path / "kept.sqlite"
    kept = kept_in(path)
    kept["a"] = {"n": 1}
    (pages,) = kept._file.execute("PRAGMA page_count").fetchone()
    kept._file.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"

    def work(job: Job[None]) -> None:
        for number in range(20):
            kept[f"b{number}"] = {"text": "x" * 9_000}

    job = lane.submit(work, title="use")
    job.result()
    assert ["full" in said and "in memory" in said for said in job.notes] == [True]
    assert len(kept) == 21
    assert kept["b19"] == {"text": "x" * 9_000}
    assert kept_in(path)["a"] == {"n": 1}
