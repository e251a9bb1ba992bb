"""Runs as a ZIP file: readable without the workbench, taken in elsewhere as they were, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.studies.study import Result
from steering.texts import parquet_files
from tests.dictionary_support import saved
from tests.programs import Program
from tests.workbench.runs.test_runs import RUN, _result
from tests.workbench.test_workspace import vector
from workbench.runs import arrivals, unpacking
from workbench.runs.archive import write_archive
from workbench.runs.arrivals import take_in
from workbench.runs.runs import Runs


FIGURE = {
    "traces": [{"type": "scatter", "x": [0, 1], "y": [0.25, 0.75], "mode": "lines+markers", "name": "joy"}],
    "layout": {"xaxis": {"title": {"text": "strength"}}, "yaxis": {"title": {"text": "share"}}},
    "title": "What it gains",
}
VIEW = {"shown": {"plot": {"value": FIGURE}, "words": {"value": "<b>3</b>"}}, "settings": {"n": 3}, "picked": None}
EVIL = "../../<img src=x onerror=alert(1)>|`#\n=1+1\u202e"


DETAILS = {"cell": {"0,0": {"grid-cell": {"value": "<p>a reply</p>"}}}}
"""What clicks on the page of a run open."""


def _runs(folder: Path) -> Runs:
    return Runs(folder)


def _kept(runs: Runs, title: str = "Trade-off: joy", result: Result | None = None) -> str:
    run = replace(RUN, title=title, about={**RUN.about, "settings": {"n": 3}, "given": ["n"]})
    id = runs.begin(run, {"joy": vector("joy", 0)})
    runs.end(id, "done", result=result or _result(), view=VIEW)
    runs.add_details(id, DETAILS)
    return id


def _packed(runs: Runs, *ids: str) -> bytes:
    file = io.BytesIO()
    write_archive(runs, ids, file)
    return file.getvalue()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """An archive with other files in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _state(runs: Runs) -> Any:
    """All of a workspace's runs, to see that nothing changed."""
    paths = sorted(path for path in runs.folder.rglob("*") if path.is_file() and "index" not in path.name)
    return runs.find(), [(path, path.stat().st_size) for path in paths if not path.name.startswith(".alive")]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    runs = _runs(tmp_path_factory.mktemp("made"))
    content = _packed(runs, _kept(runs), _kept(runs, "Another"))
    runs.close()
    return content


_CHECK = f"""
import {parquet_files.__name__} as files
files._bound_memory = lambda: None  # a fork has more mapped than a process may take that imports pyarrow alone
files._main()
"""


@pytest.fixture
def forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are looked at by forks, where a test takes in many archives; a process that is started for it imports
    pandas each time. How runs travel is held with processes of their own.
    """
    said = tmp_path / "said"
    said.mkdir()

    def run(command: list[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        assert command[1:3] == ["-m", parquet_files.__name__]
        code, told = Program(_CHECK, *command[3:], said=said / f"{len(list(said.iterdir()))}").wait()
        return subprocess.CompletedProcess(command, code, told.encode())

    there = SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(parquet_files, "subprocess", there)


def test_an_archive_is_read_without_the_workbench(tmp_path: Path) -> None:
    runs = _runs(tmp_path)
    id = _kept(runs, EVIL)
    runs.change(id, note="For the talk.")
    with zipfile.ZipFile(io.BytesIO(_packed(runs, id))) as archive:
        names, readme = archive.namelist(), archive.read("README.md").decode()
        (folder,) = {name.partition("/")[0] for name in names if "/" in name}
        said = json.loads(archive.read(f"{folder}/result.json"))
        points = archive.read(f"{folder}/tables/points.csv").decode().split("\n", 2)
        rows = list(csv.DictReader(io.StringIO(points[2])))  # behind two lines that say where it comes from
        report = archive.read(f"{folder}/files/report.html").decode()
        figure = archive.read(f"{folder}/figures/What it gains.svg").decode()
    assert [line[:2] for line in points[:2]] == ["# ", "# "]
    assert not any(".." in name.split("/") for name in names)
    assert (said["run"]["title"], said["run"]["id"], said["settings"]) == (EVIL, id, {"n": 3})
    assert said["measures"][0]["name"] == "auroc"
    assert rows[0]["text"] == 'a,b\n"c"'
    assert float(rows[0]["score"]) == 0.1 + 0.2
    assert report == "<p>é\r\n</p>"
    assert figure.startswith("<svg")
    assert "strength" in figure
    assert {f"{folder}/vectors/joy.safetensors", f"{folder}/used/joy.safetensors", f"{folder}/view.json"} <= {*names}
    assert "| auroc | 0.3 |  | 7 | share |" in readme  # 0.9 is one end alone: no interval
    assert "For the talk." in readme
    assert "<img" not in readme.replace("\\<img", "")


def test_a_run_that_no_page_showed_has_its_curves(tmp_path: Path) -> None:
    runs = _runs(tmp_path)
    blocks = pd.DataFrame({"block": [0, 1], "auroc": [0.5, 0.9], "auroc_low": [0.4, 0.8], "auroc_high": [0.6, 1.0]})
    id = runs.begin(RUN)
    runs.end(id, "done", result=_result(study="extract", tables={"blocks": blocks}, headline="blocks"))
    with zipfile.ZipFile(io.BytesIO(_packed(runs, id))) as archive:
        (figure,) = (name for name in archive.namelist() if name.endswith(".svg"))
        drawn = archive.read(figure).decode()
    assert figure.endswith("/figures/Held-out AUROC by block.svg")
    assert drawn.count("<circle") == 3  # two points, and one in the legend


def test_a_run_is_the_same_in_another_workspace_and_exported_again(tmp_path: Path) -> None:
    here, there = _runs(tmp_path / "here"), _runs(tmp_path / "there")
    id, second = _kept(here), _kept(here, "Another")
    here.change(id, note="Mine.", tags=("talk",), favourite=True)
    content = _packed(here, id, second)
    arrived = take_in(there, _written(tmp_path / "runs.zip", content))
    assert [(each.run.id, each.fate) for each in arrived] == [(id, "new"), (second, "new")]
    for each in (id, second):
        before, after = here.result(each), there.result(each)
        assert before is not None
        assert after is not None
        assert [*after.tables] == [*before.tables]
        for name, table in before.tables.items():
            pd.testing.assert_frame_equal(after.tables[name], table)
        digests = [{name: each.digest for name, each in one.vectors.items()} for one in (before, after)]
        assert digests[0] == digests[1]
        assert digests[0]
        assert replace(after, tables={}, vectors={}) == replace(before, tables={}, vectors={})
        assert there.view(each) == here.view(each) == VIEW
        assert there.details(each, "cell") == here.details(each, "cell") == DETAILS["cell"]
        assert there.used(each)["joy"].digest == here.used(each)["joy"].digest
    run = there.get(id)
    assert (run.note, run.tags, run.favourite) == ("Mine.", ("talk", "imported"), True)
    assert run.about["imported"]["file"] == "runs.zip"
    assert (run.begun, run.state, run.about["settings"]) == (here.get(id).begun, "done", {"n": 3})
    assert there.count()[1] == sum(each.size for each in there.find()) > 0
    with (
        zipfile.ZipFile(io.BytesIO(_packed(there, id, second))) as again,
        zipfile.ZipFile(io.BytesIO(content)) as first,
    ):
        assert again.read("runs.json") == first.read("runs.json")  # digests of all that lasts
        same = [name for name in first.namelist() if not name.endswith("result.json") and name != "README.md"]
        assert len(same) > 20
        assert all(again.read(name) == first.read(name) for name in same)


@pytest.mark.usefixtures("forked")
def test_what_is_there_is_left_and_what_is_other_gets_a_number_of_its_own(tmp_path: Path) -> None:
    here, there = _runs(tmp_path / "here"), _runs(tmp_path / "there")
    id = _kept(here)
    path = _written(tmp_path / "runs.zip", _packed(here, id))
    take_in(there, path)
    there.change(id, note="My own.")
    before = _state(there)
    assert [each.fate for each in take_in(there, path)] == ["there"]
    assert _state(there) == before
    assert [each.fate for each in take_in(here, path)] == ["there"]  # where it was made
    there.delete(id)
    assert [each.fate for each in take_in(there, path)] == ["back"]
    assert there.get(id).note == "My own."
    # Another run under the same number, of somebody who does not see the first one either.
    here.end(id, "done", result=_result(notes=("another",)), view=VIEW)
    other = _written(tmp_path / "other.zip", _packed(here, id))
    (arrived,) = take_in(there, other)
    assert arrived.fate == "renamed"
    assert arrived.run.id != id
    assert [each.fate for each in take_in(there, other)] == ["there"]
    assert [each.fate for each in take_in(there, other, owner="ben", sees="ben")] == ["renamed"]
    found = [there.result(each.id) for each in there.find()]
    assert sorted(each.notes for each in found if each) == [("another",), ("another",), ("one", "two")]


def test_a_dictionary_that_a_run_trained_travels_and_can_be_loaded(tmp_path: Path) -> None:
    trained, home = saved(tmp_path / "trained" / "mine", "topk"), tmp_path / "dictionaries"
    (trained / "card.json").write_text('{"training": "k", "dataset": "harm"}')
    here, there = _runs(tmp_path / "here"), _runs(tmp_path / "there")
    id = _kept(here, result=_result(study="sae", dictionaries={"mine": trained}))
    own = load_dictionary(trained)
    shutil.rmtree(trained)  # the run has a copy
    content = _packed(here, id)
    saved(home / "mine", "topk", seed=1)  # another one of that name
    (arrived,) = take_in(there, _written(tmp_path / "runs.zip", content), dictionaries=home)
    assert "What it trained is here as mine-2." in str(arrived)
    assert load_dictionary(home / "mine-2").digest == own.digest != load_dictionary(home / "mine").digest
    card = json.loads((home / "mine-2" / "card.json").read_text())
    assert card["dataset"] == "harm"
    assert card["training"] != "k"  # whoever trains with the same settings here trains
    listed = [zipfile.ZipFile(io.BytesIO(each)).read("runs.json") for each in (content, _packed(there, id))]
    assert listed[0] == listed[1]  # digests of all that lasts
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert sum("/dictionaries/mine/" in name for name in names) == 3
    (arrived,) = take_in(_runs(tmp_path / "last"), tmp_path / "runs.zip", dictionaries=home)
    assert (arrived.fate, arrived.dictionaries) == ("new", ("mine-2",))
    assert sorted(path.name for path in home.iterdir()) == ["mine", "mine-2"]  # by its weights it is there
    bare = io.BytesIO()
    write_archive(here, [id], bare, texts=False)
    assert not any("dictionaries/" in name for name in zipfile.ZipFile(bare).namelist())


@pytest.mark.usefixtures("forked")
def test_damaged_weights_are_one_error_and_leave_nothing(tmp_path: Path) -> None:
    trained = saved(tmp_path / "mine", "topk")
    (trained / "sae_weights.safetensors").write_bytes(b"\x80\x04no tensors")
    here, there = _runs(tmp_path / "here"), _runs(tmp_path / "there")
    packed = _packed(here, _kept(here, result=_result(study="sae", dictionaries={"mine": trained})))
    with pytest.raises(SteeringError, match=r"sae_weights\.safetensors cannot be read"):
        take_in(there, _written(tmp_path / "runs.zip", packed), dictionaries=tmp_path / "home")
    assert there.find() == []
    assert not (tmp_path / "home").exists()


def test_a_run_without_a_result_travels_too(tmp_path: Path) -> None:
    here, there = _runs(tmp_path / "here"), _runs(tmp_path / "there")
    id = here.begin(RUN)
    with pytest.raises(SteeringError, match="goes on"):
        _packed(here, id)
    here.end(id, "failed", error="No room.")
    take_in(there, _written(tmp_path / "runs.zip", _packed(here, id)))
    assert (there.get(id).state, there.get(id).error, there.result(id)) == ("failed", "No room.", None)
    with pytest.raises(SteeringError, match="No run was chosen"):
        _packed(here)
    with pytest.raises(SteeringError, match="no run 'nothing'"):
        _packed(here, "nothing")


def _entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def _with_entry(content: bytes, entry: zipfile.ZipInfo, data: bytes = b"x") -> bytes:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry, data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (_entry("../../evil"), "leads out"),
        (_entry("/etc/evil"), "leads out"),
        (_entry("C:/evil"), "leads out"),
        (_entry("01 a\\..\\..\\evil"), "leads out"),
        (_entry("x" * 500), "leads out"),
        (_entry("link", stat.S_IFLNK | 0o777), "a link"),
        (_entry("README.MD"), "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_names_are_refused_whole(tmp_path: Path, packed: bytes, entry: zipfile.ZipInfo, match: str) -> None:
    runs = _runs(tmp_path / "runs")
    path = _written(tmp_path / "runs.zip", _with_entry(packed, entry))
    before = {each for each in tmp_path.rglob("*") if "runs/" not in each.as_posix()}
    with pytest.raises(SteeringError, match=match):
        take_in(runs, path)
    assert runs.find() == []
    assert {each for each in tmp_path.rglob("*") if "runs/" not in each.as_posix()} == before
    assert [each.name for each in (tmp_path / "runs").iterdir() if each.is_dir()] == []


def _in_list(**changed: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files["runs.json"] = json.dumps({**json.loads(files["runs.json"]), **changed}).encode()

    return change


def _in_run(**changed: Any) -> Callable[[dict[str, bytes]], None]:
    """A run that says something else; its digest is taken anew, as whoever means it would."""

    def change(files: dict[str, bytes]) -> None:
        name = "01 Trade-off- joy/result.json"
        said = json.loads(files[name])
        said["run"] |= changed
        files[name] = json.dumps(said).encode()

    return change


def _put(name: str, content: bytes | None) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        assert content is not None or name in files
        files.pop(name, None)
        if content is not None:
            files[name] = content

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_put("runs.json", None), "no archive of runs"),
        (_put("runs.json", b"[1]"), "no object"),
        (_put("runs.json", b"{" * 100_000), "cannot be read"),
        (_in_list(format="another"), "no archive of runs"),
        (_in_list(version=2), "a newer workbench"),
        (_in_list(version="1"), "cannot be"),
        (_in_list(runs=[]), "says of"),
        (_in_list(runs=[{"folder": "..", "id": "0" * 16, "digest": ""}]), "has no file"),
        (_in_run(id="../../../etc/x"), "id"),
        (_in_run(panel="../evil?"), "panel"),
        (_in_run(state="running"), "state"),
        (_in_run(begun="yesterday"), "begun"),
        (_in_run(about={"given": ["n"], "settings": {}}), "settings are given that there are not"),
        (_in_run(about=[]), "about"),
        (_in_run(error="changed"), "damaged, or was changed"),
        (_put("01 Trade-off- joy/result.json", None), "has no file"),
        (_put("01 Trade-off- joy/tables/points.parquet", b"PAR1"), "damaged, or was changed"),
        (_put("01 Trade-off- joy/view.json", None), "damaged, or was changed"),
    ],
)
def test_what_is_not_what_it_says_is_one_error(
    tmp_path: Path, packed: bytes, change: Callable[[dict[str, bytes]], None], match: str
) -> None:
    runs = _runs(tmp_path / "runs")
    with pytest.raises(SteeringError, match=match) as raised:
        take_in(runs, _written(tmp_path / "bad.zip", _changed(packed, change)))
    assert raised.value.given.startswith("bad.zip")
    assert raised.value.expected
    assert raised.value.remedy
    assert runs.find() == []
    assert [each.name for each in (tmp_path / "runs").iterdir() if each.is_dir()] == []


def test_foreign_files_are_one_error(tmp_path: Path) -> None:
    runs = _runs(tmp_path / "runs")
    for name, content in {"text.zip": b"no archive", "empty.zip": b"", "page.zip": b"<html>"}.items():
        with pytest.raises(SteeringError, match="cannot be read"):
            take_in(runs, _written(tmp_path / name, content))
    with pytest.raises(SteeringError, match="cannot be read"):
        take_in(runs, tmp_path / "nothing.zip")


def test_a_table_on_which_pyarrow_ends_the_process_is_one_error(
    tmp_path: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")  # ends without a word, as an aborted process does
    runs = _runs(tmp_path / "runs")
    with pytest.raises(SteeringError, match="it is damaged"):
        take_in(runs, _written(tmp_path / "runs.zip", packed))
    assert runs.find() == []


@pytest.mark.usefixtures("forked")
def test_bombs_are_counted_while_they_are_read(tmp_path: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _runs(tmp_path / "runs")
    take_in(runs, _written(tmp_path / "well.zip", packed))
    monkeypatch.setattr(unpacking, "MOST_BYTES", 100_000)
    bomb = _changed(packed, _put("01 Trade-off- joy/files/more.txt", b"0" * 3_000_000))
    assert len(bomb) < 1.2 * len(packed)
    with pytest.raises(SteeringError, match="unpacks to more"):
        take_in(runs, _written(tmp_path / "bomb.zip", bomb))
    # A size that the file tells wrong does not help it.
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        info = archive.getinfo("01 Trade-off- joy/files/more.txt")
    lying = bomb.replace(info.file_size.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != bomb
    with pytest.raises(SteeringError):
        take_in(runs, _written(tmp_path / "lying.zip", lying))
    monkeypatch.setattr(unpacking, "MOST_FILES", 5)
    with pytest.raises(SteeringError, match="at most 5"):
        take_in(runs, _written(tmp_path / "many.zip", packed))
    assert len(runs.find()) == 2


@pytest.mark.usefixtures("forked")
def test_all_runs_are_taken_in_or_none(tmp_path: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, adopt = _runs(tmp_path / "runs"), arrivals._adopted
    own = _kept(runs, "Here before")

    def full(self: Runs, run: Any, folder: Path) -> Any:
        if run.title == "Another":
            raise OSError(28, "No space left on device")
        return adopt(self, run, folder)

    monkeypatch.setattr(arrivals, "_adopted", full)
    with pytest.raises(SteeringError, match="No space left"):
        take_in(runs, _written(tmp_path / "runs.zip", packed))
    assert [each.id for each in runs.find()] == [own]
    assert [each.name for each in (tmp_path / "runs").iterdir() if each.is_dir()] == [own]


@pytest.mark.usefixtures("forked")
def test_what_a_killed_import_left_goes_with_the_next_one(tmp_path: Path, packed: bytes) -> None:
    runs = _runs(tmp_path / "runs")
    old, new = runs.folder / ".import-old", runs.folder / ".import-new"
    for folder in (old, new):
        (folder / "0").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert runs.find() == []
    take_in(runs, _written(tmp_path / "runs.zip", packed))
    assert (old.exists(), new.exists()) == (False, True)  # another program may be at work in the new one


@pytest.mark.usefixtures("forked")
def test_damaged_archives_are_one_error_or_the_whole(tmp_path: Path, packed: bytes) -> None:
    """Bytes flipped and files cut at random places: an error of ours, or all runs as they were."""
    chance = random.Random(0)
    runs = _runs(tmp_path / "runs")
    whole = [each.run.title for each in take_in(runs, _written(tmp_path / "runs.zip", packed))]
    for id in [each.id for each in runs.find()]:
        arrivals._take_back(runs, runs.get(id))
    refused = 0
    for n in range(60):
        damaged = bytearray(packed)
        if n % 3 == 0:
            del damaged[chance.randrange(len(packed)) :]
        else:
            for _ in range(chance.choice((1, 3, 30))):
                damaged[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
        try:
            arrived = take_in(runs, _written(tmp_path / "runs.zip", bytes(damaged)))
        except SteeringError:
            refused += 1
            assert runs.find() == []
            continue
        # What nobody reads (CSV, figures, dates) may differ.
        assert [each.run.title for each in arrived] == whole
        for each in arrived:
            assert runs.result(each.run.id) is not None
            arrivals._take_back(runs, each.run)
    assert refused > 20
