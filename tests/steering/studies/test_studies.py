"""Studies: settings are checked, results are files with documented keys."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from steering.errors import SteeringError
from steering.passes import activations
from steering.studies import STUDIES, find_study, page
from steering.studies.methods import possible
from steering.studies.study import Measure, Result, check_folder
from steering.texts.contrast import ContrastSet
from steering.vectors.files import load_vector
from tests.conftest import ROOT
from workbench.cli.commands import finish


@pytest.fixture(scope="module")
def result(tiny_host) -> Result:
    study = find_study("extract")
    return study.start(tiny_host("llama"), study.parse({"contrast": "formality", "name": "tone/1"})).result()


def test_a_result_becomes_json_tables_and_vectors(result, tmp_path) -> None:
    folder = result.write(tmp_path / "out")
    content = json.loads((folder / "result.json").read_text())
    assert content["study"] == "extract"
    assert content["settings"]["contrast"] == "formality"
    assert content["settings"]["method"] == "mean_difference"  # defaults are written too
    assert content["given"] == ["contrast", "name"]
    assert content["model"]["blocks"] == 4
    auroc = next(m for m in content["measures"] if m["name"] == "auroc")
    assert 0 <= auroc["low"] <= auroc["value"] <= auroc["high"] <= 1
    assert auroc["n"] > 0
    table = pd.read_csv(folder / content["tables"]["blocks"], comment="#")
    assert list(table["block"]) == [0, 1, 2, 3]
    vector = load_vector(folder / content["vectors"]["tone/1"])
    assert vector.name == "tone/1"
    assert table["mean_difference"].tolist() == pytest.approx(vector.mean_differences.tolist())


def test_a_report_draws_its_figures_without_a_network(tiny_host, monkeypatch) -> None:
    """Plotly's script goes with it, ahead of the first figure; others' tests leave it out (`tests.conftest.PLOTLY`)."""
    monkeypatch.setattr(page, "get_plotlyjs", get_plotlyjs)
    settings = find_study("extract").parse({"contrast": "formality"})
    drawn = [("A figure", page.figure_html(go.Figure(go.Bar(y=[1, 2]))))]
    report = page.html_page(tiny_host("llama"), "A report", "today", settings, drawn)
    script, figure = f"<script>{get_plotlyjs()}</script>", '<div id="figure-1" class="plotly-graph-div"'
    assert len(script) > 1_000_000
    assert 0 < report.index(script) < report.index(figure)


def test_every_key_of_result_json_is_documented(result) -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    content = json.loads(result.to_json())
    for key in [*content, *content["measures"][0], *result.tables["blocks"].columns]:
        assert f"`{key}`" in text, key


def test_every_rate_has_n_and_interval(result) -> None:
    for measure in result.measures:
        assert measure.n > 0
        if measure.unit == "":  # a rate or share; raw lengths are plain means
            assert measure.low is not None
            assert measure.high is not None


def test_nan_becomes_null(result) -> None:
    odd = Result("s", {}, (), {}, (Measure("m", float("nan"), None, float("inf"), 0),), {}, "")
    assert json.loads(odd.to_json())["measures"][0] == {
        "name": "m", "value": None, "low": None, "high": None, "n": 0, "unit": ""
    }  # fmt: skip


def test_wrong_settings_and_unknown_studies_are_refused() -> None:
    study = find_study("extract")
    with pytest.raises(SteeringError, match=r"Settings of extract, field pooling: 'first'"):
        study.parse({"pooling": "first"})
    with pytest.raises(SteeringError, match="field colour"):
        study.parse({"colour": "blue"})
    with pytest.raises(SteeringError, match="one of extract"):
        find_study("magic")


def test_nothing_given_for_a_text_is_an_empty_one() -> None:
    study = find_study("pair_worth")
    assert study.parse({}).model_dump()["sizes"], "there is one by default"
    assert study.parse({"sizes": None}).model_dump()["sizes"] == ""
    with pytest.raises(SteeringError, match="field n"):  # a number is not made up
        study.parse({"n": None})


def test_a_folder_that_cannot_be_written_is_explained(result, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SteeringError, match="cannot be written"):
        result.write(tmp_path / "file" / "out")


def test_results_are_written_over_results_and_over_nothing_else(result, tmp_path) -> None:
    out = tmp_path / "out"
    check_folder(out)
    result.write(out)
    check_folder(result.write(out))
    (out / "notes.csv").write_text("mine")
    other = replace(result, tables={**result.tables, "notes": result.tables["blocks"]})
    with pytest.raises(SteeringError, match=r"notes\.csv"):
        other.write(out)
    assert (out / "notes.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["result.json", "blocks.csv", "tone-1.safetensors"])
def test_a_full_disk_leaves_the_earlier_result_whole(result, tmp_path, monkeypatch, name) -> None:
    out = result.write(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    written = Path.write_bytes

    def full(*given, **named) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def put(path, content):
        return full() if path.name == name else written(path, content)

    monkeypatch.setattr(Path, "write_bytes", put)
    if name.endswith("safetensors"):
        monkeypatch.setattr("steering.vectors.files.save_file", full)
    with pytest.raises(SteeringError, match=r"'\S+/out': No space left.*Free some space") as found:
        replace(result, notes=("Another.",)).write(out)
    assert ".new-" not in str(found.value)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    monkeypatch.undo()
    assert "Another." in (replace(result, notes=("Another.",)).write(out) / "result.json").read_text()


@pytest.mark.parametrize("name", ["result.json", "blocks.csv", "tone-1.safetensors", "README.md"])
def test_a_folder_of_somebody_else_is_refused_before_the_run(result, tmp_path, name) -> None:
    (tmp_path / name).write_text("[1]")
    with pytest.raises(SteeringError, match="no study"):
        check_folder(tmp_path)
    if name != "README.md":
        with pytest.raises(SteeringError, match=name):
            result.write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "[1]"}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_study_has_described_settings_with_defaults(study) -> None:
    assert study.summary.endswith(".")
    settings = study.parse({}, quick=True)
    for name, field in type(settings).model_fields.items():
        assert field.description, name


def test_methods_are_compared_on_states_read_once(tiny_host, monkeypatch) -> None:
    host, study = tiny_host("llama"), find_study("methods")
    reads = []
    read = activations.read_prompts
    monkeypatch.setattr(activations, "read_prompts", lambda *a, **o: reads.append(a[1].ids.shape) or read(*a, **o))
    alone = study.start(host, study.parse({"contrast": "sentiment", "methods": ["mean_difference"]})).result()
    once = len(reads)
    reads.clear()
    given = {"contrast": "sentiment", "methods": ["mean_difference", "logistic", "pairwise_pca", "random"]}
    result = study.start(host, study.parse(given)).result()
    assert len(reads) == once > 0
    table = result.tables["methods"].set_index("name")
    assert list(table.index) == ["mean_difference", "logistic", "pairwise_pca", "random"]
    assert table["cosine"]["mean_difference"] == pytest.approx(1, abs=1e-6)
    first = alone.vectors["mean_difference"]
    by_hand = first.directions[first.default_block] @ result.vectors["logistic"].directions[first.default_block]
    assert table["cosine"]["logistic"] == pytest.approx(float(by_hand), abs=1e-6)
    assert abs(table["cosine"]["random"]) < 0.6  # width 32: a standard deviation of 0.18
    assert result.tables["cosines"].shape == (4, 5)


def test_methods_that_a_set_does_not_allow_are_left_out(tiny_host) -> None:
    assert "pairwise_pca" in possible(ContrastSet.load("sentiment"))
    harm = ContrastSet.load("harm")
    assert not harm.paired
    assert "pairwise_pca" not in possible(harm)
    assert "mean_difference" in possible(harm)


def test_a_result_that_finds_no_room_is_put_elsewhere(result, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("workbench.cli.commands.mkdtemp", lambda prefix: str(tmp_path / "elsewhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SteeringError, match=r"cannot be written.*The result is in '\S+/elsewhere' instead"):
        finish(find_study("extract"), result, tmp_path / "file" / "out")
    assert json.loads((tmp_path / "elsewhere" / "result.json").read_text())["study"] == "extract"
