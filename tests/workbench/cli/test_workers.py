"""`--workers`: who may have them, told before a model is loaded."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from steering.parts.ray_cluster import Workers
from steering.studies import STUDIES
from tests.conftest import ROOT
from workbench.cli.main import app
from workbench.cli.workers import _OPTIONS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["extract", "--workers", "2"], "The study extract cannot be spread over workers"),
        (["grid", "--ray", "auto"], "no number of workers"),
    ],
)
def test_what_cannot_be_spread_says_so_before_a_model_is_loaded(given, said, tmp_path) -> None:
    found = CliRunner().invoke(app, ["run", *given, "--model", "no-such-model", "--workspace", str(tmp_path)])
    assert found.exit_code == 1
    assert said in " ".join(found.stderr.split())
    assert "no-such-model" not in found.stderr


def test_the_command_line_has_every_field_of_workers_with_its_default() -> None:
    mine = {name: default for name, (_, default, _, _) in _OPTIONS.items()}
    assert list(mine) == [each.name for each in fields(Workers)]
    assert Workers(**{**mine, "count": 1}) == Workers(1)


def test_the_documentation_says_of_every_study_whether_it_is_spread() -> None:
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    tables = (
        text.split("## What is spread, and what is not")[1].split("\n## ")[0].split("All others run in one process")
    )
    spread, alone = ({*re.findall("`([a-z_]+)`", "".join(re.findall("(?m)^(\\|[^|]*)", each)))} for each in tables)
    assert spread == {name for name, each in STUDIES.own.items() if each.spreads} > {"grid", "probe"}
    assert alone == STUDIES.own.keys() - spread
