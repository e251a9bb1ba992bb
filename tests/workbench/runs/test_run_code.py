"""A run as script, notebook and YAML: each gives the run's own numbers, texts and vectors, for every study."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.origins.origin import PLACES
from steering.studies import STUDIES, find_study
from steering.studies.study import Result
from tests.few_replies import few_replies
from tests.programs import Program
from tests.workbench.cli.test_cli import call
from tests.workbench.runs.every_study import FEW, TINY, Made
from workbench.cli.kept_runs import run_kept
from workbench.runs.code import KINDS, as_files, write_files
from workbench.runs.query import Query
from workbench.runs.run import Run
from workbench.workspace import Workspace


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """As they were read when every study ran."""
    with few_replies(FEW):
        yield


@pytest.fixture
def loaded(demo: Host, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Loading gives the model that is there; what was asked for is taken down, but for a second model beside it."""
    asked: list[Any] = []
    really = Host.load

    def load(cls: Any, name: str, **options: Any) -> Host:
        if name != "demo":
            return really(name, **options)
        asked.append((name, options["options"]))
        return demo

    monkeypatch.setattr(Host, "load", classmethod(load))
    return asked


def _same(found: Result, first: Result) -> None:
    """Equal, not close: measures, tables, texts, vectors and settings."""
    assert repr(found.measures) == repr(first.measures)  # by which nan is nan
    assert [*found.tables] == [*first.tables]
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, check_exact=True)
    assert {name: vector.content for name, vector in found.vectors.items()} == {
        name: vector.content for name, vector in first.vectors.items()
    }
    assert _anywhere(found) == _anywhere(first)
    assert _settings(found) == _settings(first)
    assert {name: _timeless(text) for name, text in found.files.items() if name != "reproduce.py"} == {
        name: _timeless(text) for name, text in first.files.items() if name != "reproduce.py"
    }


def _anywhere(result: Result) -> list[str]:
    """Notes, but for one that says where a dictionary is kept: a script names no place of this machine."""
    return [note for note in result.notes if not note.startswith(("Kept as", "Measured and not kept"))]


def _settings(result: Result) -> dict[str, Any]:
    """But for places on this machine."""
    return {name: value for name, value in result.settings.items() if name not in PLACES}


def _timeless(text: str) -> str:
    """A report without what is new every time: when it was made, Plotly's names of its figures, and places."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
    return text


def _run(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    if kind == "python":
        found: Result = runpy.run_path(str(path))["result"]
        return found
    if kind == "notebook":
        monkeypatch.chdir(path.parent)
        space: dict[str, Any] = {}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                exec(compile(cell["source"], "cell", "exec"), space)
        result: Result = space["result"]
        return result
    results: list[Result] = []
    kept = run_kept

    def keep(*given: Any) -> Result:
        results.append(kept(*given))
        return results[0]

    monkeypatch.setattr("workbench.cli.kept_runs.run_kept", keep)
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(path.parent / "home"))  # where nothing of the run is known
    call("run", str(path))
    return results[0]


RUN = [*product(TINY, ["python"]), *product(("extract", "steer", "grid"), ["yaml"]), ("steer", "notebook")]
"""Each study by its script; by YAML those whose settings hold vectors, recipes and texts, others up to the run."""


@pytest.mark.parametrize(("study", "kind"), RUN)
def test_a_run_made_again_from_its_file_is_the_same(
    study: str, kind: str, made: Made, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Host
) -> None:
    path = write_files(as_files(made.workspace, made.ids[study], kind), tmp_path)
    _same(_run(kind, path, monkeypatch), made.results[study])
    ((name, options),) = loaded
    assert (name, options.dtype, options.device) == ("demo", demo.info.dtype, demo.info.device)


@pytest.mark.parametrize("study", [name for name in TINY if (name, "yaml") not in RUN])
def test_yaml_asks_for_the_same_run(
    study: str, made: Made, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is run, with which settings; that those give the same is the script's to show."""
    asked: list[Any] = []

    def ask(workspace: Any, host: Any, asked_for: Any, settings: Any, *rest: Any) -> Result:
        asked.append((asked_for.name, settings))
        return made.results[study]

    path = write_files(as_files(made.workspace, made.ids[study], "yaml"), tmp_path)
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("workbench.cli.kept_runs.run_kept", ask)
    call("run", str(path))
    ((name, settings),) = asked
    assert name == study
    first = {name: value for name, value in made.results[study].settings.items() if name not in PLACES}
    found = {name: value for name, value in settings.model_dump(mode="json").items() if name not in PLACES}
    assert found == first


@pytest.mark.parametrize("study", TINY)
def test_a_notebook_runs_what_the_script_runs(study: str, made: Made) -> None:
    id = made.ids[study]
    cells = json.loads(next(iter(as_files(made.workspace, id, "notebook").values())))["cells"]
    code = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    script = next(iter(as_files(made.workspace, id, "python").values())).decode()
    assert script.endswith(code.replace("Path.cwd()", "Path(__file__).parent") + "\n")


def test_chat_settings_of_the_model_hold_again(
    made: Made, demo: Host, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, host = find_study("steer"), demo.under(ChatSettings(prefill="Well, boss,"))
    settings = study.parse({"recipes": [{"decode": {"max_new_tokens": 5}}]})
    first = run_kept(made.workspace, host, study, settings)
    (run, *_) = made.workspace.runs.find(Query(kind="steer"))
    bare = study.start(demo, settings).result()
    assert bare.tables["replies"]["text"][0] != first.tables["replies"]["text"][0]
    for kind in ("python", "yaml"):
        path = write_files(as_files(made.workspace, run.id, kind), tmp_path / kind)
        _same(_run(kind, path, monkeypatch), first)


def test_an_upload_goes_with_the_run(
    made: Made, demo: Host, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "question,aligned,misaligned\nHow was it?,Fine.,Bad.\nAnd now?,Good.,Poor.\n"
    (tmp_path / "mine 1.csv").write_text(text)
    source = made.workspace.uploads.add(tmp_path / "mine 1.csv").source
    study = find_study("tradeoff")
    less = {"strengths": "0, 1", "random": 0, "also": []}
    settings = study.parse({**TINY["tradeoff"], **less, "alignment": source, "vectors": str(made.workspace.shelf)})
    first = run_kept(made.workspace, demo, study, settings)
    (run, *_) = made.workspace.runs.find(Query(kind="tradeoff"))
    files = as_files(made.workspace, run.id, "python")
    assert text.encode() in files.values()
    digest = source.removeprefix("upload:").partition("/")[0]
    assert digest not in next(iter(files.values())).decode()
    found = _run("python", write_files(files, tmp_path / "there"), monkeypatch)
    assert found.measures == first.measures
    pd.testing.assert_frame_equal(found.tables["points"], first.tables["points"], check_exact=True)


def test_a_file_of_this_machine_goes_with_the_run_as_it_was(
    made: Made, demo: Host, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("good,bad,note\n" + "".join(f"I like it {n}.,I hate it {n}.,x\n" for n in range(12)))
    study, before = find_study("extract"), mine.read_bytes()
    first = run_kept(made.workspace, demo, study, study.parse({"contrast": f"{mine}::good,bad"}))
    (run, *_) = made.workspace.runs.find(Query(kind="extract"))
    mine.write_text("good,bad\nother,texts\n")
    for kind in ("python", "yaml"):
        files = as_files(made.workspace, run.id, kind)
        assert files["contrast-mine.csv"] == before
        _same_numbers(_run(kind, write_files(files, tmp_path / kind), monkeypatch), first)
    for digest in [each.digest for each in made.workspace.uploads.find()]:
        made.workspace.uploads.remove(digest)
    with pytest.raises(SteeringError, match=r"'mine\.csv' of the setting 'contrast' is not here as it was"):
        as_files(made.workspace, run.id, "python")
    assert [*as_files(made.workspace, run.id, "python", texts=False)] == [f"extract-{run.id[:8]}.py"]


def _same_numbers(found: Result, first: Result) -> None:
    assert found.measures == first.measures
    pd.testing.assert_frame_equal(found.tables["blocks"], first.tables["blocks"], check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_a_panel_in_a_folder_says_why_it_is_not_given_as_code(kind: str, tmp_path: Path) -> None:
    runs = (workspace := Workspace(tmp_path)).runs
    id = runs.begin(Run("", "norms", "Norms of mine", "demo", panel="norms"))
    runs.end(id, "done", result=Result("norms", {}, (), {"name": "demo"}, (), {}, ""))
    with pytest.raises(SteeringError, match=r"no installed package offers.*--panels-dir.*workbench panels new"):
        as_files(workspace, id, kind)
    runs.close()


def test_every_study_is_tried() -> None:
    assert set(TINY) == set(STUDIES)


def test_a_script_runs_in_a_process_of_its_own(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_files(as_files(made.workspace, made.ids["steer"], "python"), tmp_path)
    monkeypatch.chdir(tmp_path)
    script = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
    code, said = Program(script, path, said=tmp_path / "said", STEERING_WORKBENCH_HOME=tmp_path / "home").wait()
    assert code == 0, said
    table = pd.read_csv(tmp_path / "again" / "replies.csv", comment="#", keep_default_na=False)
    first = made.results["steer"].tables["replies"]
    assert table["text"].tolist() == first["text"].tolist()
    assert first["text"][0] != first["text"][1]


def test_a_notebook_is_one_as_nbformat_4_says(made: Made) -> None:
    (content,) = as_files(made.workspace, made.ids["extract"], "notebook").values()
    found = json.loads(content)
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert found["cells"][0]["cell_type"] == "markdown"
    ids = [cell["id"] for cell in found["cells"]]
    assert len(set(ids)) == len(ids) > 3
    for cell in found["cells"]:
        wanted = {"id", "cell_type", "metadata", "source"}
        assert set(cell) == (wanted if cell["cell_type"] == "markdown" else wanted | {"execution_count", "outputs"})


def test_a_vector_that_is_missing_or_another_one_is_one_error(
    made: Made, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = as_files(made.workspace, made.ids["grid"], "python")
    assert {name for name in files if name.endswith(".safetensors")} == {
        "vectors/formality.safetensors",
        "vectors/sentiment.safetensors",
    }
    path = write_files(files, tmp_path)
    (tmp_path / "vectors" / "sentiment.safetensors").unlink()
    with pytest.raises(SteeringError, match=r"'sentiment' is not there.*runs code ID --out"):
        runpy.run_path(str(path))
    (tmp_path / "vectors" / "sentiment.safetensors").write_bytes(files["vectors/formality.safetensors"])
    with pytest.raises(SteeringError, match="another vector than the run took"):
        runpy.run_path(str(path))
    yaml_file = tmp_path / "run.yaml"
    yaml_file.write_bytes(next(iter(as_files(made.workspace, made.ids["grid"], "yaml").values())))
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    assert "vectors that the run took are not here" in _said(call("run", str(yaml_file), code=1).stderr)
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(made.workspace.folder))  # the run's own copies are there
    assert "Kept as run" in call("run", str(yaml_file)).stderr


def test_what_runs_export_writes_is_taken_and_what_is_typed_goes_before_it(
    made: Made, loaded: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(made.workspace.folder))
    call("runs", "export", made.ids["extract"], "--out", str(tmp_path / "out"))
    for named in ("", "result.json", "blocks.csv", "tone.safetensors"):
        call("run", str(tmp_path / "out" / named), "--set", "seed=7", "--out", str(tmp_path / "again"))
        said = json.loads((tmp_path / "again" / "result.json").read_text())
        assert (said["settings"]["seed"], said["settings"]["name"]) == (7, "tone")
        assert said["settings"]["pooling"] == [-2, -1]
        assert said["origin"]["run"] != made.ids["extract"]


def _said(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study": "nonsense"}, "The study 'nonsense' was asked for"),
        ({"version": 2}, "version 2 of the format"),
        ({"colour": "red"}, "field colour: there is none"),
        ({"settings": {"sed": 1}}, "field sed: there is none"),
        ({"settings": {"seed": "many"}}, "field seed: 'many'"),
        ({"settings": ["seed"]}, "field settings"),
        ({"vectors": {"joy": 3}}, "field vectors"),
        ({"model": {"load": {}}}, "names no study or no model"),
        ({"model": {"name": "demo", "load": {"speed": "high"}}}, "field speed in load in model"),
        ({"model": {"name": "demo", "chat": {"thought": "maybe"}}}, "field thought: 'maybe'"),
        ({"left_out": ["contrast"]}, "leaves out prompts and replies: contrast"),
        ({"format": "something else"}, "does not say which run it comes from"),
    ],
)
def test_a_wrong_file_is_one_clear_error(
    change: dict[str, Any], said: str, made: Made, loaded: list[Any], tmp_path: Path
) -> None:
    (content,) = as_files(made.workspace, made.ids["extract"], "yaml").values()
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(content), **change}))
    assert said in _said(call("run", str(path), code=1).stderr)
    assert "Traceback" not in call("run", str(path), code=1).output


def test_files_that_carry_no_run_are_said_to(tmp_path: Path) -> None:
    for name, content in {
        "a.csv": "a,b\n1,2\n",
        "a.json": "[1]",
        "a.yaml": "a: [",
        "a.png": "no",
        "a.pdf": "x",
    }.items():
        (tmp_path / name).write_text(content)
        said = _said(call("run", str(tmp_path / name), code=1).stderr)
        assert "does not say which run" in said or "not valid YAML" in said, said
    assert "There is no file" in _said(call("run", str(tmp_path / "none.yaml"), code=1).stderr)


def test_a_file_cannot_ask_for_a_models_own_code(made: Made, loaded: list[Any], tmp_path: Path) -> None:
    (content,) = as_files(made.workspace, made.ids["extract"], "yaml").values()
    said = yaml.safe_load(content)
    said["model"]["load"]["trust_remote_code"] = True
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(said))
    assert "--trust-remote-code" in call("run", str(path)).stderr
    call("run", str(path), "--trust-remote-code")
    assert [options.trust_remote_code for _, options in loaded] == [False, True]


@pytest.mark.parametrize(
    "text", ["1e5", "no", "2026-01-01", "~", "0x1f", "a: b # c", "", " x", "é\u2028\t\x07", "1.5", "a\nb\n"]
)
def test_texts_stay_texts_in_yaml(text: str, tmp_path: Path) -> None:
    from steering.origins.carriers import read_origin
    from steering.origins.origin import Origin
    from steering.origins.run_file import run_file

    origin = Origin("steer", {"user": text, text or "x": 1e-7}, {"name": text or "demo"})
    assert read_origin("run.yaml", run_file(origin).encode()) == origin


def test_the_command_prints_and_writes_it(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(made.workspace.folder))
    printed = call("runs", "code", made.ids["grid"], "--as", "yaml")
    assert yaml.safe_load(printed.stdout)["settings"]["x"] == "strength: 0, 1"
    assert "give --out FOLDER" in _said(printed.stderr)
    call("runs", "code", made.ids["grid"], "--out", str(tmp_path / "code"))
    names = {str(path.relative_to(tmp_path / "code")) for path in (tmp_path / "code").rglob("*.*")}
    assert names == {
        f"grid-{made.ids['grid'][:8]}.py",
        "vectors/formality.safetensors",
        "vectors/sentiment.safetensors",
    }
    next((tmp_path / "code").glob("*.py")).write_text("mine")
    assert "is there already" in _said(
        call("runs", "code", made.ids["grid"], "--out", str(tmp_path / "code"), code=1).stderr
    )
    assert "one of python, yaml, notebook" in _said(call("runs", "code", made.ids["grid"], "--as", "r", code=1).stderr)
