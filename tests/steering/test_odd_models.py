"""First runs on one's own model: every study ends well and says what is true, with nothing set about the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_models import odd_model, saved
from odd_templates import ALTERNATING, NO_SYSTEM, OPENED, SWITCHED
from typer.testing import CliRunner

from tests.families import tiny_family
from tests.few_replies import few_replies
from workbench.cli.main import app


SMALL = {
    "tradeoff": ("strengths=-1,0,1", "n=2", "n_replies=2", "reply_tokens=4", "random=1", "also=degenerate"),
    "refusal": ("n_train=4", "n_validation=2", "n_test=2", "reply_tokens=4", "questions=2", "random=0"),
    "probe": (
        "n=20", "blocks=1", "restarts=1", "steps=5", "folds=2", "random=2", "permutations=100", "aqi_n=5", "cause=[]",
        "controls=[]",
    ),
    "train": (
        "data=demo-formality", "n=16", "steps=4", "batch=4", "replies=2", "reply_tokens=4", "random=1", "judge=none",
        "shuffled=false",
    ),
}  # fmt: skip
ODD = {"base": None, "no system": NO_SYSTEM, "alternating": ALTERNATING, "opened": OPENED, "switched": SWITCHED}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with few_replies(2):
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    odd = {name: odd_model(tmp_path_factory.mktemp("model"), template) for name, template in ODD.items()}
    return {**odd, "linear attention": saved(tmp_path_factory.mktemp("model"), tiny_family("qwen3_next"))}


@pytest.fixture
def run(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))

    def run(study: str, model: str, *more: str, dtype: str = "auto") -> tuple[str, dict]:
        given = [part for setting in (*SMALL[study], *more) for part in ("--set", setting)]
        out, name = tmp_path / "out", str(folders[model])
        result = CliRunner().invoke(app, ["run", study, "--model", name, "--dtype", dtype, "--out", str(out), *given])
        assert result.exit_code == 0, result.output
        content = json.loads((out / "result.json").read_text())
        return " ".join(content["notes"]), content

    return run


@pytest.mark.parametrize("model", ["base", "no system"])
def test_a_tradeoff_has_defaults_on_any_model(run, model) -> None:
    notes, content = run("tradeoff", model)
    assert "Vector truth" in notes
    assert "honesty" in notes
    assert "recipes" not in content["given"]
    assert ("Left out: system prompt." in notes) == (model == "no system")


def test_a_system_prompt_in_the_users_message_keeps_the_comparison(run) -> None:
    notes, content = run("tradeoff", "no system", "chat.system=user")
    assert "Left out" not in notes
    assert content["settings"]["chat"]["system"] == "user"
    assert content["model"]["chat"]["system"] == "user"


@pytest.mark.parametrize("model", ["base", "alternating", "switched"])
def test_a_study_of_refusal_says_what_it_found_on_any_model(run, model) -> None:
    notes, _ = run("refusal", model)
    assert "refuses 0 of 4" in notes  # random weights refuse nothing
    assert ("no chat template" in notes) == (model == "base")
    assert ("enable_thinking=False" in notes) == (model == "switched")


def test_a_model_that_is_let_think_says_that_answers_are_missing(run) -> None:
    notes, _ = run("refusal", "opened", "chat.thought=think", "chat.thought_tokens=4", "n_test=2")
    assert "thinks first" in notes
    # Those of requests and of questions by letter; random weights end none.
    assert re.search(r"behind (\d+) thoughts of the unsteered model; \1 of them did not end \(within 4 tokens", notes)
    notes, _ = run("refusal", "opened")
    assert "empty thought" in notes


def test_probes_run_on_a_model_without_a_system_turn(run) -> None:
    notes, _ = run("probe", "no system")
    assert "n = 20 pairs of general" in notes


@pytest.mark.parametrize(
    ("model", "dtype"),
    [("linear attention", "auto"), ("base", "bfloat16")],
    ids=["linear attention, attention and experts", "no template, half precision"],
)
def test_a_vector_is_trained_on_any_model_at_its_budget(run, model, dtype) -> None:
    notes, content = run("train", model, dtype=dtype)
    assert "Best at 0.25 nats: DPO" in notes
    assert "Not at the budget" not in notes
    margins = {each["name"]: each["value"] for each in content["measures"]}
    assert margins["margin_mean_difference"] > 0, "there is something to learn"
    assert margins["margin_dpo"] > margins["margin_mean_difference"] + 0.1, "nats; held out, at equal KL"
