"""Files for download: each in a place of its own, never one that a spreadsheet runs, and never worth a result."""

from __future__ import annotations

import csv
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from panels.grid.exports import export_grid, spreadsheet
from panels.grid.markup import grid_html
from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from steering.studies.grid import Cell, Grid, parse_axis
from workbench.library import exports
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def test_many_visitors_get_their_own_file_under_one_name(workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: workspace.export("grid 2026-01-01 120000.csv", f"visitor {n}"), range(48)))
    assert [path.read_text() for path in paths] == [f"visitor {n}" for n in range(48)]
    assert {path.name for path in paths} == {"grid 2026-01-01 120000.csv"}
    assert len({path.parent.name for path in paths}) == 48
    assert min(len(path.parent.name) for path in paths) == 32  # 128 bits: nobody guesses another's


def test_the_oldest_make_room_and_nothing_else_is_removed(workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(exports, "MOST_EXPORTS", 3)
    (workspace.exports / "mine").mkdir()
    (workspace.exports / "mine.txt").write_text("mine")
    for n in range(8):
        last = workspace.export("a.csv", str(n))
    assert last.read_text() == "7"
    assert len(list(workspace.exports.glob("*/a.csv"))) == 4  # three, and the one that was written last
    assert (workspace.exports / "mine").is_dir()
    assert (workspace.exports / "mine.txt").exists()


def test_a_folder_that_vanished_is_made_again(workspace: Workspace) -> None:
    shutil.rmtree(workspace.exports)
    assert workspace.export("a.csv", "1").read_text() == "1"


def test_what_cannot_be_written_says_that_nothing_is_lost(workspace: Workspace) -> None:
    shutil.rmtree(workspace.exports)
    workspace.exports.write_text("in the way")
    with pytest.raises(SteeringError, match="shown and kept") as caught:
        workspace.export("a.csv", "1")
    assert str(workspace.folder) not in str(caught.value)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1"])
def test_no_cell_begins_like_a_formula(text: str) -> None:
    found = spreadsheet(pd.DataFrame({"reply": [text, "fine"], "n": [-1.5, 2.0], text: ["a", "b"]}))
    head, first, second = csv.reader(io.StringIO(found, newline=""))
    assert first[0] == f"'{text}"
    assert head[2] == f"'{text}"
    assert (first[1], second) == ("-1.5", ["fine", "2.0", "b"])  # numbers stay numbers


@pytest.mark.parametrize("said", [(), ("own fails “rows” & more: do not trust it.", "own fails “steps”.")])
def test_a_grid_carries_what_the_self_check_warns_of_wherever_it_goes(workspace: Workspace, said: Any) -> None:
    grid = Grid(parse_axis("prompt: Hi.\nYou."), None, Recipe(), "", "")
    cells = {(x, 0): Cell(x, 0, Recipe(), "Hi.", "=a reply", 2, "end", 3, 2, 0.5) for x in range(2)}
    host: Any = SimpleNamespace(name="own", warnings=said)
    table, page = (path.read_text(encoding="utf-8") for path in export_grid(workspace, host, grid, cells))
    head, *rows = csv.reader(io.StringIO(table, newline=""))
    assert ("warning" in head) == bool(said)
    assert [row[-1] for row in rows if said] == [" ".join(said)] * 2 * bool(said)
    for shown in (page, grid_html(grid, cells, warnings=said)):
        assert all(escape(each, quote=False) in shown for each in said)
        assert ("do not trust" in shown) == bool(said)
