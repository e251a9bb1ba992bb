"""`workbench runs`: what was run is found, shown, noted, written, gone on with and deleted."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pandas as pd
import pytest

from steering.studies.study import Result
from tests.programs import Program
from tests.workbench.cli.test_cli import call
from workbench.bench import Workbench
from workbench.runs.query import Query


GRID = ("run", "grid", "--set", 'recipe={"decode": {"max_new_tokens": 4}}', "--set", "x=seed: 0, 1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _id(output: str) -> str:
    found = re.search(r"Kept as run ([0-9a-f]{16})", output)
    assert found, output
    return found[1]


def test_a_run_of_the_command_line_is_found_noted_written_repeated_and_deleted(home: Path, tmp_path: Path) -> None:
    first = call(*GRID)
    id = _id(first.stderr)
    assert id in call("runs", "list").stdout
    assert "0 of 0 runs" in call("runs", "list", "nothing-of-it").stdout
    call("runs", "note", id, "For the talk.", "--title", "Seeds", "--tag", "talk", "--star")
    assert "Seeds" in call("runs", "list", "talk").stdout
    shown = call("runs", "show", id).stdout
    for said in ("Seeds", "For the talk.", "Tags: talk", "x = seed: 0, 1", "kl_p95"):
        assert said in re.sub(r"\s+", " ", shown)
    call("runs", "export", id, "--out", str(tmp_path / "out"))
    written = pd.read_csv(tmp_path / "out" / "cells.csv", comment="#")
    result = Workbench().runs[id].result
    assert result is not None
    assert written["text"].tolist() == result.tables["cells"]["text"].tolist()
    archive = tmp_path / "runs.zip"
    call("runs", "export", id, "--out", str(archive))
    call("runs", "export", id, "--out", str(archive))  # over its own
    (tmp_path / "mine.zip").write_text("mine")
    assert "not made by the workbench" in call("runs", "export", id, "--out", str(tmp_path / "mine.zip"), code=1).stderr
    there = ("--workspace", str(tmp_path / "there"))
    assert "is imported" in call("runs", "import", str(archive), *there).stdout
    assert "is here already" in call("runs", "import", str(archive), *there).stdout
    assert "Tags: talk, imported" in call("runs", "show", id, *there).stdout
    assert "cannot be read" in call("runs", "import", str(tmp_path / "mine.zip"), code=1).stderr
    again = _id(call("runs", "resume", id).stderr)
    repeated = Workbench().runs[again].result
    assert repeated is not None
    assert repeated.tables["cells"]["text"].tolist() == result.tables["cells"]["text"].tolist()
    assert repeated.settings == result.settings
    beside = re.sub(r"\s+", " ", call("runs", "compare", id, again).stdout)
    assert "run 1" in beside
    assert "All that they depend on is the same." in beside
    assert "2 to 4" in call("runs", "compare", id, code=1).stderr
    assert "without a page" in call("runs", "open", id, code=1).stderr
    assert id in call("runs", "list", "--tag", "talk", "--since", "2020-01-01").stdout
    assert "0 of 0 runs" in call("runs", "list", "--vector", "none").stdout
    assert "no day" in call("runs", "list", "--until", "no day", code=1).stderr
    assert "0 older runs" in call("runs", "tidy", "--keep", "1", "--yes").stdout  # the older one has a star
    assert "1 older runs" in call("runs", "tidy", "--keep", "0", "--yes").stdout
    assert again not in call("runs", "list").stdout
    call("runs", "delete", id, "--yes")
    assert id not in call("runs", "list").stdout
    assert not (home / "runs" / id).exists()
    assert "There is no run" in call("runs", "show", id, code=1).stderr


def test_what_went_wrong_is_kept_too(home: Path) -> None:
    missing = ("--set", 'recipe={"interventions": [{"vector": "nothing"}]}')
    failed = call(*GRID[:2], *missing, "--set", "x=seed: 0", code=1)
    run = Workbench().runs.find()[0]
    assert run.state == "failed"
    assert "There is no vector 'nothing'" in run.error
    assert run.id in failed.stderr


KILLED = """
import os, signal, sys
from steering.studies.grid import cells
generated = cells.generate_each

def once(*given, **options):
    for n, reply in enumerate(generated(*given, **options)):
        if n:
            print("one cell is done", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        yield reply

cells.generate_each = once
from workbench.cli.main import app
app(sys.argv[1:])
"""


def test_a_killed_run_is_interrupted_and_goes_on_to_the_same_end(home: Path) -> None:
    whole = (
        Workbench().runs[_id(call(*GRID, "--set", f"kept={home.parent / 'other'}").stderr)].result
    )  # undisturbed, with nothing kept
    code, said = Program(KILLED, *GRID, said=home.parent / "said").wait()
    assert code == -signal.SIGKILL, said
    runs = Workbench().runs
    (run,) = runs.find(Query(state="interrupted"))
    assert runs.result(run.id) is None
    resumed = Workbench().runs[_id(call("runs", "resume", run.id).stderr)].result
    assert whole is not None
    assert resumed is not None
    assert _content(resumed) == _content(whole)


def _content(result: Result) -> str:
    cells = result.tables["cells"].drop(columns="known", errors="ignore")
    return json.dumps([cells.to_dict("records"), [vars(each) for each in result.measures]])
