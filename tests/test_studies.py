"""Studies: settings are checked, results are files with documented keys."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.studies import STUDIES, find_study
from steering.studies.study import Measure, Result
from steering.vectors import SteeringVector
from tests.conftest import ROOT


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
    table = pd.read_csv(folder / content["tables"]["blocks"])
    assert list(table["block"]) == [0, 1, 2, 3]
    vector = SteeringVector.load(folder / content["vectors"]["tone/1"])
    assert vector.name == "tone/1"
    assert table["mean_difference"].tolist() == pytest.approx(vector.mean_differences.tolist())


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


def test_a_folder_that_cannot_be_written_is_explained(result, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SteeringError, match="cannot be written"):
        result.write(tmp_path / "file" / "out")


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_study_has_described_settings_with_defaults(study) -> None:
    assert study.summary.endswith(".")
    settings = study.parse({}, quick=True)
    for name, field in type(settings).model_fields.items():
        assert field.description, name
