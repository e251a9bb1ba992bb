"""Prompts and replies stay out of every exported file once that is asked for, and stood there before."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.origins.carriers import read_origin
from steering.studies import find_study
from steering.texts.csv_files import ORIGIN
from tests.workbench.cli.test_cli import call
from tests.workbench.runs.every_study import Made
from tests.workbench.runs.test_runs import RUN, _result
from workbench.runs.archive import write_archive
from workbench.runs.arrivals import take_in
from workbench.runs.code import KINDS, as_files
from workbench.workspace import Workspace


STUDIES_WITH_TEXTS = ("steer", "grid", "refusal", "tradeoff", "probe", "features", "feature_cause", "axbench", "train")
_COLUMNS = ("text", "prompt", "answer", "question", "safe", "harmful")


def _texts(made: Made, study: str) -> set[bytes]:
    """Prompts and replies of a run, long enough to be found by accident nowhere."""
    result = made.results[study]
    tables = result.tables.values()
    found = {str(each) for table in tables for name in _COLUMNS if name in table for each in table[name]}
    settings = result.settings
    found |= {settings[name] for name in ("user", "system") if isinstance(settings.get(name), str)}
    found |= {turn["user"] for turn in settings.get("turns", ())}
    return {text for each in found for text in [_plain(each)] if len(text) >= 12}


_APART = bytes(byte for byte in range(128) if not chr(byte).isalnum())


def _plain(text: str) -> bytes:
    """Letters, digits and single blanks, so that no way of quoting hides a text."""
    unquoted = re.sub(r"\\[nrt]|&#?\w+;", " ", text).casefold().encode()
    return b" ".join(unquoted.translate(bytes.maketrans(_APART, b" " * len(_APART))).split())


def _written(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Every file as text, with what is packed in it: parts of a ZIP, tables, and what a table's second line says."""
    for name, content in files.items():
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                yield from _written({f"{name}/{part}": packed.read(part) for part in packed.namelist()})
        elif name.endswith(".parquet"):
            yield name, pd.read_parquet(io.BytesIO(content)).to_csv()
        elif name.endswith(".gz"):
            yield name, gzip.decompress(content).decode()
        else:
            yield name, content.decode("utf-8", "replace")
        if name.endswith(".csv") and ORIGIN.encode() in content[:200]:
            yield f"{name}, origin", read_origin(name, content).to_json()


def _holding(files: Mapping[str, bytes], texts: set[bytes]) -> set[str]:
    """The files in which any of the texts stands."""
    return {name for name, content in _written(files) if any(text in _plain(content) for text in texts)}


def _archive(made: Made, study: str, *, texts: bool) -> bytes:
    whole = io.BytesIO()
    write_archive(made.workspace.runs, [made.ids[study]], whole, texts=texts)
    return whole.getvalue()


@pytest.mark.parametrize("study", STUDIES_WITH_TEXTS)
def test_no_exported_file_holds_a_prompt_or_a_reply(
    study: str,
    made: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(made.workspace.folder))
    texts, id = _texts(made, study), made.ids[study]
    assert texts
    held = {}
    for bare in (False, True):
        flags = ["--without-texts"] if bare else []
        out = tmp_path / f"out-{bare}"
        call("runs", "export", id, "--out", str(out / "result"), *flags)
        call("runs", "export", id, "--out", str(out / "runs.zip"), *flags)
        for kind in KINDS:
            call("runs", "code", id, "--as", kind, "--out", str(out / kind), *flags)
        files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        files["page.zip"] = _archive(made, study, texts=not bare)
        assert {Path(name).suffix for name, _ in _written(files)} >= {".json", ".csv", ".py", ".yaml", ".ipynb", ".md"}
        held[bare] = _holding(files, texts)
    assert {Path(name.partition(",")[0]).suffix for name in held[False]} >= {".csv", ".parquet"}
    assert held[True] == set()


def test_a_run_without_texts_still_has_its_numbers_and_travels(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "bare.zip"
    path.write_bytes(_archive(made, "refusal", texts=False))
    elsewhere = Workspace(tmp_path / "elsewhere")
    (arrived,) = take_in(elsewhere.runs, path)
    found, first = elsewhere.runs.result(arrived.run.id), made.results["refusal"]
    assert found is not None
    assert found.measures == first.measures
    pd.testing.assert_frame_equal(found.tables["effects"], first.tables["effects"])
    assert "prompt" not in found.tables["replies"]
    assert len(found.tables["replies"]) == len(first.tables["replies"])
    assert any("left out" in note for note in found.notes)
    elsewhere.runs.close()


def test_what_is_left_out_has_to_be_given_before_it_runs_again(made: Made, tmp_path: Path) -> None:
    id = made.ids["steer"]
    first, *_ = files = as_files(made.workspace, id, "yaml", texts=False)
    path = tmp_path / first
    path.write_bytes(files[first])
    said = re.sub(r"\s+", " ", call("run", str(path), code=1).stderr)
    assert "leaves out prompts and replies: turns, user" in said
    script = next(iter(as_files(made.workspace, id, "python", texts=False).values())).decode()
    assert "'user': ...,  # left out of this file" in script
    with pytest.raises(SteeringError, match="field user"):
        find_study("steer").parse({"user": ...})


def test_what_stood_in_a_form_and_what_clicks_open_stay_out_too(tmp_path: Path) -> None:
    said = "a prompt that nobody else is to read"
    runs = Workspace(tmp_path).runs
    about = {**RUN.about, "page": {"settings": {"user": said}, "run": "grid-run"}}
    id = runs.begin(replace(RUN, about=about))
    runs.end(id, "done", result=_result(), view={"shown": {"card": {"value": said}}})
    runs.add_details(id, {"cell": {"0,0": {"card": {"value": said}}}})
    for texts in (True, False):
        file = io.BytesIO()
        write_archive(runs, [id], file, texts=texts)
        with zipfile.ZipFile(file) as archive:
            places = {name.partition("/")[2] for name in archive.namelist() if said.encode() in archive.read(name)}
        assert places == ({"result.json", "view.json", "details/cell.json"} if texts else set())
