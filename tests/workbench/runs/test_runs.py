"""Runs on disk: what was found is found again, whole; what is half written is not listed as done."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.study import Measure, Result
from tests.programs import Program
from tests.workbench.test_workspace import vector
from workbench.runs import files
from workbench.runs.about import about
from workbench.runs.index import Index
from workbench.runs.list_file import MIGRATIONS
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.runs.runs import Runs
from workbench.runs.tidying import beyond_latest


WAIT = 60
"""Seconds before a test that hangs gives up."""
RUN = Run("", "tradeoff", "Trade-off: joy", "demo", panel="tradeoff", about={"settings": {"n": 3}, "versions": {}})


@pytest.fixture
def runs(tmp_path: Path) -> Any:
    made = Runs(tmp_path / "runs")
    yield made
    made.close()


def _result(**changed: Any) -> Result:
    table = pd.DataFrame(
        {
            "text": ['a,b\n"c"', "\u202eسعادة", ""],
            "score": [0.1 + 0.2, float("nan"), -0.0],
            "n": [1, 2**53 + 1, -3],
            "finished": [True, False, True],
            "maybe": ["x", None, "y"],
            "ids": [[1, 2], [], [3]],
        }
    )
    return replace(
        Result(
            study="tradeoff",
            settings={"n": 3},
            given=("n",),
            model={"name": "demo", "warnings": []},
            measures=(Measure("auroc", 0.1 + 0.2, None, 0.9, 7, "share"),),
            tables={"points": table, "Points": table[:1], "a/b": table[:0]},
            headline="points",
            notes=("one", "two"),
            vectors={"joy": vector("joy", 0), "a/b": vector("other", 1)},
            files={"report.html": "<p>é\r\n</p>", "recipe.json": "{}"},
            warnings=("careful",),
        ),
        **changed,
    )


def test_what_a_run_found_is_read_back_as_it_was(runs: Runs, tmp_path: Path) -> None:
    id, result = runs.begin(RUN, {"joy": vector("joy", 0)}), _result()
    assert runs.get(id).state == "running"
    assert runs.result(id) is None
    assert runs.view(id) is None
    runs.end(id, "done", result=result, view={"part": {"value": "<b>"}})
    other = Runs(tmp_path / "runs")  # as another process would
    found, run = other.result(id), other.get(id)
    assert found is not None
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(
            found.tables[name].assign(ids=found.tables[name]["ids"].map(list)), table.reset_index(drop=True)
        )
    assert replace(found, tables={}, vectors={}) == replace(result, tables={}, vectors={})
    assert {name: each.digest for name, each in found.vectors.items()} == {
        name: each.digest for name, each in result.vectors.items()
    }
    assert [*other.used(id)] == ["joy"]
    assert other.used(id)["joy"].digest == result.vectors["joy"].digest
    assert other.view(id) == {"part": {"value": "<b>"}}
    assert (run.state, run.about["settings"], run.error) == ("done", {"n": 3}, "")
    on_disk = sum(path.stat().st_size for path in (tmp_path / "runs" / id).rglob("*") if path.is_file())
    assert run.size == on_disk > 0
    assert runs.count() == (1, on_disk)


@pytest.mark.parametrize("study", ["extract", "grid"])
def test_results_of_studies_are_read_back_whole(runs: Runs, demo: Host, study: str) -> None:
    settings = {"extract": {"contrast": "formality"}, "grid": {"x": "seed: 0, 1", "recipe": {}}}[study]
    parsed = STUDIES[study].parse(settings, quick=False)
    result = STUDIES[study].start(demo, parsed).result(WAIT)
    said = about(study, demo, parsed, vectors=result.vectors)
    id = runs.begin(replace(RUN, kind=study, about=said))
    runs.end(id, "done", result=result)
    found = runs.result(id)
    assert found is not None
    assert found.measures == result.measures
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table.reset_index(drop=True))
    kept = runs.get(id).about
    assert kept["settings"] == result.settings
    assert kept["model"]["weights_digest"]
    assert kept["versions"]["torch"]
    if study == "extract":
        assert len(kept["data"]["contrast/formality.yaml"]) == 64
        assert kept["vectors"] == {"formality": result.vectors["formality"].digest}


def test_threads_of_one_process_begin_side_by_side(runs: Runs) -> None:
    begun: list[str] = []
    threads = [threading.Thread(target=lambda: begun.append(runs.begin(RUN)), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(begun) == sorted(run.id for run in runs.find())
    assert len(begun) == 4


def test_a_table_of_mixed_things_is_kept_as_texts(tmp_path: Path) -> None:
    mixed = pd.DataFrame({"what": ["a", 1, None], "n": [1.5, 2.0, np.nan]})
    files.end(tmp_path / "run", RUN, "", _result(tables={"mixed": mixed}), None)
    found = files.read_result(tmp_path / "run")
    assert found is not None
    assert found.tables["mixed"]["what"].tolist()[:2] == ["a", "1"]
    assert found.tables["mixed"]["n"].tolist()[:2] == [1.5, 2.0]


def test_runs_are_found_by_words_kind_and_star(runs: Runs) -> None:
    ids = [
        runs.begin(replace(RUN, kind=kind, title=title, model=model, owner=owner))
        for kind, title, model, owner in (
            ("tradeoff", "Trade-off: joy", "demo", ""),
            ("grid", "100% of joy_s", "demo-base", "anna"),
            ("grid", "Replies", "demo", "ben"),
        )
    ]
    assert [run.id for run in runs.find()] == ids[::-1]
    assert [run.id for run in runs.find(Query(kind="grid", model="demo"))] == [ids[2]]
    assert [run.id for run in runs.find(Query(owner="anna"))] == [ids[1]]
    assert [run.id for run in runs.find(Query(search="JOY demo-base"))] == [ids[1]]
    assert [run.id for run in runs.find(Query(search="0% joy_"))] == [ids[1]]  # no wildcards of SQL
    assert runs.find(Query(search="_%")) == []
    runs.change(ids[0], note="For the talk.", tags=("talk", "b"), favourite=True, title="Mine")
    assert (
        [run.id for run in runs.find(Query(favourites=True))]
        == [ids[0]]
        == [run.id for run in runs.find(Query("talk"))]
    )
    assert runs.get(ids[0]).tags == ("talk", "b")
    assert runs.known("model") == ["demo", "demo-base"]
    assert runs.known("model", "ben") == ["demo"]
    with pytest.raises(SteeringError, match="20,001"):
        runs.change(ids[0], note="x" * 20_001)
    with pytest.raises(SteeringError, match="no run 'nothing'"):
        runs.get("nothing")


def test_runs_are_found_by_vector_tag_and_day(runs: Runs) -> None:
    ids = []
    for names, tags in (({"joy": "1", "harm": "2"}, ()), ({"joy": "3"}, ("talk", "a b")), ({}, ("talk",))):
        ids.append(runs.begin(replace(RUN, about={"vectors": names})))
        runs.change(ids[-1], tags=tags)
    one, two, _ = ids
    assert [run.id for run in runs.find(Query(vector="joy"))] == [two, one]
    assert [run.id for run in runs.find(Query(vector="joy", tag="a b"))] == [two]
    assert runs.find(Query(tag="a")) == []  # a tag whole
    assert runs.find(Query(vector="' OR 1 --")) == []
    assert runs.known("vector") == ["harm", "joy"]
    assert runs.known("tag") == ["a b", "talk"]
    assert runs.known("tag", "ben") == []
    today = datetime.now().astimezone().date()
    before, after = str(today - timedelta(days=1)), str(today + timedelta(days=1))
    for query, found in (
        (Query(since=str(today), until=str(today)), 3),
        (Query(since=after), 0),
        (Query(until=before), 0),
        (Query(since=before, until=f" {after} ", tag="talk"), 2),
    ):
        assert runs.count(query)[0] == found == len(runs.find(query))
    for wrong in ("yesterday", "2026-02-30", "9999-12-31"):
        with pytest.raises(SteeringError, match="day"):
            runs.find(Query(until=wrong))


def test_older_runs_are_offered_and_what_somebody_marked_is_not(runs: Runs) -> None:
    ids = [runs.begin(replace(RUN, kind="grid" if n else "steer")) for n in range(6)]
    for id in ids[:5]:
        runs.end(id, "done", result=_result())
    runs.change(ids[0], note="Mine.")
    runs.change(ids[1], favourite=True)
    offer = beyond_latest(runs, Query(), 2)
    assert [run.id for run in offer.runs] == [ids[3], ids[2]]
    assert offer.spared == 2
    assert offer.size == sum(runs.get(id).size for id in ids[2:4]) > 0
    assert beyond_latest(runs, Query(), 0).spared == 3  # one goes on
    assert beyond_latest(runs, Query(), 6).runs == ()
    assert [run.id for run in beyond_latest(runs, Query(kind="grid"), 4).runs] == []
    with pytest.raises(SteeringError, match="from 0"):
        beyond_latest(runs, Query(), -1)


def test_a_deleted_run_can_be_had_back_until_the_process_ends(tmp_path: Path) -> None:
    runs, other = Runs(tmp_path), Runs(tmp_path)
    kept, gone, running = (runs.begin(RUN) for _ in range(3))
    for id in (kept, gone):
        runs.end(id, "done", result=_result())
    with pytest.raises(SteeringError, match="Stop it first"):
        runs.delete(running)
    for id in (kept, gone):
        runs.delete(id)
    assert [run.id for run in other.find()] == [running]
    with pytest.raises(SteeringError, match="no run"):
        other.result(kept)
    assert (tmp_path / kept).is_dir()
    assert (tmp_path / gone).is_dir()
    other.restore(kept)
    runs.close()
    assert other.result(kept) is not None
    assert not (tmp_path / gone).exists()
    with pytest.raises(SteeringError, match="cannot be had back"):
        other.restore(gone)
    other.close()


KILLED = """
import signal, sys
from dataclasses import replace
from pathlib import Path
from tests.workbench.runs.test_runs import RUN, _result
from workbench.runs import files
from workbench.runs.runs import Runs

runs = Runs(Path(sys.argv[1]))
done = runs.begin(RUN)
runs.end(done, "done", result=_result())
gone = runs.begin(RUN)
runs.end(gone, "done", result=_result())
runs.delete(gone)
half = runs.begin(RUN)

def hang(*args, **options):
    print(done, gone, half, flush=True)
    signal.pause()

files._parquet = hang  # in the middle of writing
runs.end(half, "done", result=_result())
"""


def test_what_a_killed_process_left_is_interrupted_and_nothing_half_written_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    process = Program(KILLED, folder, said=tmp_path / "said")
    done, gone, half = process.first_line().split()
    runs = Runs(folder)
    assert {run.id: run.state for run in runs.find()} == {done: "done", half: "running"}  # it lives
    assert {path.name[:5] for path in (folder / half).iterdir()} == {"run.j", ".new-"}  # half written
    process.send(signal.SIGKILL)
    process.wait()
    assert {run.id: run.state for run in runs.find()} == {done: "done", half: "interrupted"}
    assert runs.get(half).ended
    assert runs.result(half) is None
    assert [path.name for path in (folder / half).iterdir()] == ["run.json"]
    assert runs.get(half).size == (folder / half / "run.json").stat().st_size
    assert runs.result(done) is not None
    assert not (folder / gone).exists()
    assert [path.name for path in folder.glob(".alive-*")] == []
    runs.close()


def test_what_a_killed_process_had_half_written_of_a_finished_run_goes(tmp_path: Path) -> None:
    first = Runs(tmp_path)
    done, other = first.begin(RUN), Runs(tmp_path)
    first.end(done, "done", result=_result())
    going_on = other.begin(RUN)
    for id in (done, going_on):
        (tmp_path / id / ".new-details").mkdir()
    first._processes._alive.release()  # killed while it added what clicks open
    Runs(tmp_path).close()
    assert not (tmp_path / done / ".new-details").exists()
    assert (tmp_path / going_on / ".new-details").exists()  # of a process that lives
    assert first.result(done) is not None
    other.close()


def test_the_lock_of_a_process_that_left_nothing_undone_goes_too(tmp_path: Path) -> None:
    first = Runs(tmp_path)
    first.end(first.begin(RUN), "done")
    (lock,) = tmp_path.glob(".alive-*")
    Runs(tmp_path).close()
    assert lock.exists()  # its process lives
    first._processes._alive.release()
    lock.touch()  # as it lies there behind a process that was killed
    Runs(tmp_path).close()
    assert not lock.exists()
    assert [run.state for run in Runs(tmp_path).find()] == ["done"]


def test_what_cannot_be_kept_says_so_and_is_not_done(runs: Runs, tmp_path: Path, monkeypatch: Any) -> None:
    id = runs.begin(RUN)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_result", full)
    with pytest.raises(SteeringError, match="No space left"):
        runs.end(id, "done", result=_result())
    assert runs.get(id).state == "failed"
    assert "No space left" in runs.get(id).error
    assert runs.result(id) is None
    assert [path.name for path in (tmp_path / "runs" / id).iterdir()] == ["run.json"]


def test_a_damaged_result_is_one_error_and_the_list_stands(runs: Runs, tmp_path: Path) -> None:
    id = runs.begin(RUN)
    runs.end(id, "done", result=_result(), view={"a": 1})
    for path, content in (
        ("tables/points.parquet", b"PAR1"),
        ("files/report.html.gz", None),
        ("result.json", b"[]"),
        ("result.json", b"{"),
    ):
        whole = (tmp_path / "runs" / id / path).read_bytes()
        if content is None:
            (tmp_path / "runs" / id / path).unlink()
        else:
            (tmp_path / "runs" / id / path).write_bytes(content)
        with pytest.raises(SteeringError, match="damaged"):
            runs.result(id)
        (tmp_path / "runs" / id / path).write_bytes(whole)
    assert runs.result(id) is not None
    (tmp_path / "runs" / id / files.VIEW).write_text("[1]")
    assert runs.view(id) is None
    assert runs.find()[0].state == "done"


def test_lists_of_other_versions_are_brought_here_or_refused(tmp_path: Path, monkeypatch: Any) -> None:
    runs = Runs(tmp_path)
    id = runs.begin(RUN)
    runs.close()
    monkeypatch.setattr("workbench.runs.list_file.MIGRATIONS", (*MIGRATIONS, "ALTER TABLE runs ADD COLUMN more TEXT"))
    newer = Runs(tmp_path)
    assert newer.get(id).title == RUN.title
    newer.close()
    monkeypatch.setattr("workbench.runs.list_file.MIGRATIONS", MIGRATIONS)
    with pytest.raises(SteeringError, match="newer workbench"):
        Runs(tmp_path)


def test_a_run_is_found_by_one_question_and_the_list_by_a_few(tmp_path: Path) -> None:
    runs, others = Runs(tmp_path), [Runs(tmp_path) for _ in range(5)]
    going_on = [other.begin(RUN) for other in others]
    done = runs.begin(RUN)
    runs.end(done, "done", result=_result())
    asked: list[str] = []
    runs._index._file._file.set_trace_callback(asked.append)
    assert runs.get(done).state == "done"
    assert len(asked) == 1  # it has ended: nobody looks whether its process lives
    asked.clear()
    assert len(runs.find(limit=100)) == 6
    assert len(asked) == 2  # however many processes there are
    asked.clear()
    assert runs.get(going_on[0]).state == "running"
    assert len(asked) <= 3
    for each in (runs, *others):
        each.close()


def test_disk_use_is_what_the_files_take_whatever_is_done_with_runs(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")

    def taken() -> int:
        return sum(path.stat().st_size for path in (tmp_path / "runs").glob("*/**/*") if path.is_file())

    kept, gone, failed = (runs.begin(RUN, {"joy": vector("joy", 0)}) for _ in range(3))
    for id, state, result in ((kept, "done", _result()), (gone, "stopped", _result()), (failed, "failed", None)):
        runs.end(id, state, result=result, view={"a": 1})
    assert runs.count() == (3, taken())
    runs.change(kept, note="long " * 1000)
    runs.add_details(kept, {"token": {"pick": "html" * 1000}})
    assert runs.count() == (3, taken())
    runs.delete(gone)
    assert runs.count() == (2, taken() - runs._index.get(gone).run.size)
    runs.close()
    again = Runs(tmp_path / "runs")
    assert again.count() == (2, taken())
    again.close()


def test_ten_thousand_runs_are_listed_by_pages(tmp_path: Path) -> None:
    runs, text = Runs(tmp_path), "x" * 3000
    file = sqlite3.connect(tmp_path / "index.sqlite")
    names = (
        "id, kind, title, model, panel, state, begun, ended, owner, error, note, tags, favourite, size, about, process"
    )
    rows = [
        (
            f"{n:016x}",
            "grid",
            f"Run {n}",
            "demo",
            "grid",
            "done",
            f"2026-01-01T{n:08}",
            "",
            "",
            "",
            "",
            "[]",
            0,
            7,
            f'{{"a": "{text}"}}',
            "",
        )
        for n in range(10_000)
    ]
    with file:
        file.executemany(f"INSERT INTO runs ({names}) VALUES ({', '.join('?' * 16)})", rows)
    began = time.process_time()
    first, found = runs.find(limit=50), runs.find(Query(search="Run 9999"), limit=50)
    took = time.process_time() - began
    assert [run.title for run in first] == [f"Run {n}" for n in range(9999, 9949, -1)]
    assert [run.title for run in found] == ["Run 9999"]
    assert runs.count() == (10_000, 70_000)
    print(f"{took:.3f} s of computing")
    assert Index(tmp_path / "index.sqlite").get(f"{3:016x}").run.about == {"a": text}  # type: ignore[union-attr]
    runs.close()
