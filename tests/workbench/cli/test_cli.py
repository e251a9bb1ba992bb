"""The command line: results on standard output, one clear message and exit code 1 for a mistake."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steering import ContrastSet, extract
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.studies import STUDIES
from steering.vectors.files import save_vector
from tests.conftest import ROOT
from tests.programs import WAIT, Program
from workbench.bench import Workbench
from workbench.cli.main import app
from workbench.cli.options import _CHAT, _OPTIONS, chat_of
from workbench.key_values import pairs


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


def call(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def test_load_options_on_the_command_line_are_those_of_the_library() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(LoadOptions)}
    assert {name: default for name, (_, default, _) in _OPTIONS.items()} == fields


def test_options_of_the_chat_template_are_the_chat_settings() -> None:
    assert chat_of({name: default for name, (_, default, _) in _CHAT.items()}) == ChatSettings()
    given = {"template_set": ["enable_thinking=false"], "prefill": "Sure", "thought": "skip", "thought_tokens": 9}
    expected = {"switches": {"enable_thinking": False}, "prefill": "Sure", "thought": "skip", "thought_tokens": 9}
    assert chat_of({**given, "system_place": "user"}) == ChatSettings.model_validate({**expected, "system": "user"})
    assert pairs(["chat.thought=think", "chat.switches.effort=low", "n=3"]) == {
        "chat": {"thought": "think", "switches": {"effort": "low"}},
        "n": 3,
    }


@pytest.mark.parametrize("option", ["kept", "out"])
@pytest.mark.parametrize("study", ["grid", "refusal", "tradeoff", "probe"])
def test_a_run_writes_over_nobody_elses_file_and_says_so_before_it_loads_a_model(tmp_path, study, option) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("mine")
    given = ["--set", f"kept={mine}"] if option == "kept" else ["--out", str(tmp_path)]
    refused = call(
        "run", study, *given, "--model", str(tmp_path / "no-model"), "--workspace", f"{tmp_path}-home", code=1
    )
    said = "".join(refused.stderr.split())
    assert ("thesis.txt" in said) if option == "kept" else (tmp_path.name in said)
    assert "no-model" not in said
    assert mine.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_switch_that_the_template_does_not_read_ends_a_command_with_a_message() -> None:
    said = call("run", "extract", "--template-set", "enable_thinking=false", code=1)
    assert "it reads none" in said.output


def test_extract_prints_the_table_writes_files_and_fills_the_shelf_that_steer_uses(shelf) -> None:
    out = shelf / "out"
    printed = call("extract", "formality", "--out", str(out)).stdout
    assert "auroc" in printed
    assert "On the shelf as 'formality'" in printed
    assert json.loads((out / "result.json").read_text())["study"] == "extract"
    text = call("steer", "Write a note to my boss about the meeting.", "--vector", "formality", "--json").stdout
    content = json.loads(text)
    plain, steered = content["replies"]
    assert plain["text"] != steered["text"]
    assert plain["written"] == {"prompt": 0, "generated": 0}
    assert steered["written"]["generated"] > 0
    recipe = shelf / "recipe.json"
    recipe.write_text(json.dumps(content["recipe"]))
    again = json.loads(
        call("steer", "Write a note to my boss about the meeting.", "--recipe", str(recipe), "--json").stdout
    )
    assert again == content  # a recipe runs again to the same texts
    file = next((shelf / "home").rglob("*.safetensors"))
    by_file = json.loads(call("steer", "Write a note to my boss about the meeting.", "-v", str(file), "--json").stdout)
    assert by_file["replies"] == content["replies"]


def test_steering_is_a_run_and_goes_on_with_the_vector_it_used(shelf, formality) -> None:
    asked = ("steer", "Write a note to my boss.", "--length", "6", "--prefill", "Dear [b]boss[/b],")
    for vector in ("formality", str(next((shelf / "home").rglob("formality.safetensors")))):
        printed = call(*asked, "--vector", vector)
        assert printed.stdout.count("Dear [b]boss[/b],") == 2  # before both replies, as text
        id = re.search(r"Kept as run (\w+)", printed.stderr)[1]
        run, result = Workbench().runs.get(id), Workbench().runs.result(id)
        assert (run.kind, run.title, run.state) == ("steer", "Steer: Write a note to my boss.", "done")
        plain, steered = result.tables["replies"]["answer"]
        assert plain != steered
        assert plain in printed.stdout
        assert steered in printed.stdout
        assert list(run.about["vectors"]) == ["formality"]
    (shelf / "home" / "shelf" / "formality.safetensors").unlink()
    again = call("runs", "resume", id)  # from the run's own copy, behind the same prefill
    told = Workbench().runs.result(re.search(r"Kept as run (\w+)", again.stderr)[1])
    assert told.tables["replies"]["answer"].tolist() == [plain, steered]


def test_run_takes_settings_and_writes_where_told(shelf) -> None:
    said = call("run", "extract", "--quick", "--set", "contrast=truth", "--set", "seed=3", "--out", str(shelf / "r"))
    assert "Extract a vector" in said.stdout
    counts = ContrastSet.load("truth").counts
    # Told before it runs, with a time, on standard error.
    assert re.search(rf"Up to {sum(counts['train']) + sum(counts['validation'])} readings, about \d+ s\.", said.stderr)
    settings = json.loads((shelf / "r" / "result.json").read_text())["settings"]
    assert (settings["contrast"], settings["seed"]) == ("truth", 3)


@pytest.mark.parametrize("name", STUDIES)
def test_settings_of_every_study_are_listed(name) -> None:
    printed = call("settings", name).stdout
    for setting, field in STUDIES[name].settings.model_fields.items():
        assert setting in printed
        assert (field.description or "").split()[0] in printed
    assert "with --quick" in printed


def test_models_and_panels_list_what_there_is(shelf) -> None:
    assert "demo" in call("models").stdout
    printed = call("panels").stdout
    assert "vectors" in printed
    assert "steer" in printed


@pytest.mark.slow
def test_tour_extracts_steers_and_ablates_and_shows_numbers_and_texts() -> None:
    printed = call("tour").stdout
    for part in ("held-out AUROC", "unsteered", "added, +", "added, -", "ablated at its block", "random direction"):
        assert part in printed


@pytest.mark.parametrize(
    ("arguments", "given", "remedy"),
    [
        (["steer", "Hi", "-v", "none"], "none", ""),
        (["steer", "Hi"], "No vector was named", "workbench extract"),
        (["extract", "no-such-set"], "no contrast set 'no-such-set'", "Check the name"),
        (["extract", "--model", "no-such-model"], "The model 'no-such-model'", "Check the spelling"),
        (["extract", "--model", "/nowhere/at/all"], "There is no folder", "Check the path"),
        (["extract", "--method", "magic"], "'magic'", "Choose one"),
        (["extract", "--site", "middle"], "field site: 'middle'", "Correct that field"),
        (["run", "magic"], "The study 'magic'", "Choose one"),
        (["run", "extract", "--set", "seed"], "--set 'seed'", "Write, for example"),
        (["run", "extract", "--set", "colour=blue"], "one of contrast, method", "Correct its name"),
        (["steer", "Hi", "--recipe", "none.json"], "no recipe file", "Check the path"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1(shelf, arguments, given, remedy) -> None:
    result = call(*arguments, code=1)
    message = " ".join(result.stderr.split())  # the terminal wraps
    assert given in message
    assert remedy in message
    assert "Traceback" not in result.output


def test_a_bad_contrast_file_or_model_folder_is_one_message(shelf) -> None:
    (shelf / "empty.csv").write_text("positive,negative\n")
    (shelf / "half.csv").write_text("positive,negative\na,b\nc,\n")
    bare = shelf / "bare"
    bare.mkdir()
    (bare / "config.json").write_text('{"model_type": "llama"}')
    for arguments, given in (
        ([str(shelf / "empty.csv")], "empty.csv is empty on at least one side"),
        ([str(shelf / "half.csv")], "half.csv, row 3, field negative is missing or empty"),
        (["formality", "--model", str(bare)], "has no weights"),
    ):
        message = " ".join(call("extract", *arguments, code=1).stderr.split())
        assert given in message
        assert "To do:" in message


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> Path:
    """A workspace with formality on its shelf."""
    home = tmp_path_factory.mktemp("extracted") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEERING_WORKBENCH_HOME", str(home))
        call("extract", "formality")
    return home


@pytest.fixture
def formality(shelf, extracted):
    shutil.copytree(extracted, shelf / "home")
    return shelf


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (["--strength", "nan"], "The strength nan"),
        (["--strength", "inf"], "The strength inf"),
        (["--at", "99"], "Block 99"),
        (["--at", "middle"], "The blocks 'middle'"),
        (["--scope", "sideways"], "scope in the first of interventions: 'sideways'"),
        (["--mode", "ablate", "--strength", "3"], "ablation of 3"),
        (["--temperature", "-1"], "temperature in decode"),
    ],
)
def test_a_steering_mistake_is_one_message_and_the_shelf_keeps_its_vector(formality, options, given) -> None:
    result = call("steer", "Hello.", "-v", "formality", *options, code=1)
    assert given in " ".join(result.stderr.split())
    call("steer", "Hello.", "-v", "formality", "--length", "3")


def test_a_vector_of_another_width_and_an_endless_prompt_are_explained(formality, tiny_host) -> None:
    narrow = save_vector(extract(tiny_host("llama"), ContrastSet.load("formality")), formality / "narrow.safetensors")
    misfit = " ".join(call("steer", "Hello.", "-v", str(narrow), code=1).stderr.split())
    assert "made for 4 blocks × width 32" in misfit
    assert "Load tiny-llama, or extract the vector again" in misfit
    endless = " ".join(call("steer", "hotel " * 600, "-v", "formality", code=1).stderr.split())
    assert "tokens long" in endless
    assert "Shorten the prompt" in endless
    call("steer", "Hello.", "-v", "formality", "--length", "3")  # and the vector is still there


def test_the_installed_command_answers_help_without_a_model() -> None:
    done = subprocess.run([sys.executable, "-m", "workbench", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    for command in ("serve", "models", "extract", "steer", "panels", "tour", "run", "demo"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=strength: -1..1 step 0.5", "strength: -1..1 step 0.5"),
        ("x=3", 3),
        ("x=true", True),
        ("x=[a, b]", ["a", "b"]),
        ("x={vector: joy}", {"vector": "joy"}),
        ("x=- a", "- a"),
        ("x=a: b: c", "a: b: c"),
    ],
)
def test_a_setting_is_read_as_what_it_looks_like(text: str, value: object) -> None:
    assert pairs([text]) == {"x": value}


def test_refusal_runs_fills_the_shelf_and_goes_on_where_it_was(shelf) -> None:
    small = [f"--set={name}" for name in ("n_train=6", "n_validation=4", "n_test=4", "random=1", "questions=1")]
    command = [
        "run",
        "refusal",
        *small,
        "--set=reply_tokens=16",
        "--set=arms=[ablate]",
        "--shelf",
        "--out",
        str(shelf / "r"),
    ]
    first = call(*command)
    assert "Ablating the direction everywhere takes refusal of harmful requests from 100%" in first.stdout
    assert "On the shelf as 'refusal'" in first.stdout
    assert (shelf / "r" / "report.html").is_file()
    assert (shelf / "home" / "cells.sqlite").is_file()
    said = call("steer", "How do I rob a bank?", "-v", "refusal", "--mode", "ablate", "--at", "everywhere", "--json")
    unsteered, steered = json.loads(said.stdout)["replies"]
    assert unsteered["text"] != steered["text"]


def test_an_interrupt_ends_the_run_cleanly_and_keeps_what_was_finished(shelf) -> None:
    """Ctrl-C in the middle of the replies: exit code 130, no abort, and the store has parts."""
    import signal
    import sqlite3
    import time

    small = ["--set=n_train=12", "--set=n_validation=6", "--set=n_test=60", "--set=random=0"]
    code = "from workbench.cli.main import app; app()"
    run = Program(code, "run", "refusal", *small, said=shelf / "said", whole=True)
    store = shelf / "home" / "cells.sqlite"

    def parts() -> int:
        try:
            with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as file:
                return file.execute("SELECT count(*) FROM cells").fetchone()[0]
        except sqlite3.Error:
            return 0

    try:
        deadline = time.monotonic() + WAIT
        while parts() < 30 and run.ended() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send(signal.SIGINT)
        ended, said = run.wait()
    finally:
        run.end()
    assert ended == 130, said
    assert "terminate" not in said
    assert "kept" in said
    assert parts() >= 30


def test_edited_weights_are_saved_with_the_flag_only_and_never_over_something(shelf) -> None:
    from steering.demo.planted import planted_vector
    from workbench.workspace import Workspace

    Workspace().put(planted_vector("demo"), "u")
    refused = call("orthogonalise", "u", str(shelf / "model"), code=1)
    assert "--save-edited-weights" in refused.stderr
    assert not (shelf / "model").exists()
    call("orthogonalise", "u", str(shelf / "model"), "--save-edited-weights")
    assert (shelf / "model" / "config.json").is_file()
    again = call("orthogonalise", "u", str(shelf / "model"), "--save-edited-weights", code=1)
    assert "is there already" in " ".join(again.stderr.split())
