"""A run of the command line repeats although the file that it read has changed or is gone."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from steering.resources import resource
from tests.workbench.cli.test_cli import call
from workbench.bench import Workbench
from workbench.library.run_data import keep_data, with_data
from workbench.workspace import Workspace


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def test_a_copy_stands_in_for_a_file_that_changed_or_is_gone_and_for_no_other(home: Workspace, tmp_path: Path) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "b.txt"
    path.write_text("goal\nDo it.\n")
    other.write_text("one\n")
    shipped = resource("presets", "contrast", "harm.yaml")
    data = {f"{path}::goal": digest(path), str(other): digest(other), "contrast/harm.yaml": digest(shipped)}
    keep_data(home.uploads, data)
    assert {each.name for each in home.uploads.find()} == {"a.csv", "b.txt"}
    settings: dict[str, Any] = {
        "data": f"{path}::goal",
        "lists": [str(other), "harm"],
        "n": 3,
        "deep": {"a": str(other)},
    }
    assert with_data(home.uploads, settings, data) == (settings, [])
    path.write_text("goal\nAnother.\n")
    other.unlink()
    now, said = with_data(home.uploads, settings, data)
    copy = f"upload:{data[str(other)]}/b.txt"
    assert now == {
        "data": f"upload:{data[f'{path}::goal']}/a.csv::goal",
        "lists": [copy, "harm"],
        "n": 3,
        "deep": {"a": copy},
    }
    assert [words in line for words, line in zip(("has changed since", "is gone"), said, strict=True)] == [True, True]


def test_what_was_not_kept_is_said(home: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("goal\nDo it.\n")
    now, said = with_data(home.uploads, {"data": str(path)}, {str(path): "0" * 64})
    assert now == {"data": str(path)}
    assert "results will differ" in said[0]


def _kept(run: Result) -> str:
    """The id under which a command kept its run."""
    (id,) = re.findall(r"Kept as run (\w{16})", run.stderr)
    return id


def test_an_extraction_is_repeated_without_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    file = tmp_path / "mine.csv"
    rows = "".join(f"Write a formal note {n}.,Write a casual note {n}.\n" for n in range(12))
    file.write_text(f"positive,negative\n{rows}")
    asked = ("run", "extract", "--set", f"contrast={file}")
    first = _kept(call(*asked))
    file.unlink()
    again = call("runs", "resume", first)
    assert "is gone: the workspace's copy of it is used" in " ".join(again.stderr.split())
    call("runs", "export", first, "--out", str(tmp_path / "out"))
    by_file = call("run", str(tmp_path / "out" / "blocks.csv"))
    assert "is gone: the workspace's copy of it is used" in " ".join(by_file.stderr.split())
    others = [_kept(each) for each in (again, by_file)]
    runs = Workbench().runs
    results = [runs[id].result for id in (first, *others)]
    digests = [[each.digest for each in result.vectors.values()] for result in results if result is not None]
    assert len(digests) == 3
    assert digests[0] == digests[1] == digests[2] != []
