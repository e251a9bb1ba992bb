"""The self-check at every load: few passes, kept by the weights, and beside every result that depends on it."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes import schedule
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.selfcheck import Check, self_check
from steering.selfcheck.kept import checked
from steering.selfcheck.short import short_check
from steering.studies import find_study
from steering.studies.page import notes_html
from steering.vectors.files import load_vector, save_vector
from steering.vectors.gguf import load_gguf, save_gguf
from steering.writes.interventions import Write
from steering.writes.operations import Add
from tests.conftest import tiny_model
from workbench.cli.main import app
from workbench.controls.default_view import said_html
from workbench.page import cards


FAILED = Check("rows", "fail", "A steered row leaves the others of its batch alone.", "logits lie 3 apart")
STEPS = replace(FAILED, name="decoding steps")


FRESH = 4 + 1
"""Passes of a check, and the trial of a step by hooks."""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Any:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def host(tokenizer, lane) -> Host:
    return Host.wrap(deepcopy(tiny_model("llama")), tokenizer, name="own", lane=lane)


def passes_of(host: Host, work: Any) -> int:
    """How often the first block runs meanwhile."""
    seen: list[int] = []
    block = host.model._module.get_submodule(f"{host.sites.blocks_path}.0")
    handle = block.register_forward_pre_hook(lambda *_: seen.append(1))
    try:
        host.run(lambda job: work(), title="count")
    finally:
        handle.remove()
    return len(seen)


def test_it_takes_four_passes_and_a_trial_and_none_the_second_time(host, home, monkeypatch) -> None:
    assert passes_of(host, lambda: short_check(host)) == FRESH
    assert passes_of(host, lambda: checked(host)) == FRESH - 1  # the model's steps have been tried by then
    found: list[Any] = []
    assert passes_of(host, lambda: found.append(checked(host))) == 0
    assert found[0] == host.run(lambda job: short_check(host), title="check")
    assert all(check.outcome == "pass" for check in found[0])


def test_other_weights_and_what_failed_are_looked_at_again(host, home, tokenizer, lane, monkeypatch) -> None:
    assert passes_of(host, lambda: checked(host)) == FRESH
    with torch.no_grad():
        other = deepcopy(tiny_model("llama"))
        other.lm_head.weight *= 2
    trained = Host.wrap(other, tokenizer, name="own", lane=lane)
    assert passes_of(trained, lambda: checked(trained)) == FRESH
    for file in (home / "selfcheck").iterdir():
        file.write_text("{")  # damaged: as if it were not there
    rightly = schedule.Visit.write
    monkeypatch.setattr(schedule.Visit, "write", lambda self, x, c: (x + rightly(self, x, c)) / 2)
    for _ in range(2):
        # Where steps and whole passes part, the bare model's own are looked at besides.
        assert passes_of(host, lambda: checked(host)) >= FRESH - 1
    assert any(check.outcome == "fail" for check in host.run(lambda job: checked(host), title="check"))


def test_a_folder_that_cannot_be_written_does_not_matter(host, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path / "file"))
    assert passes_of(host, lambda: checked(host)) == FRESH


def test_a_loaded_model_has_been_checked(demo) -> None:
    assert "check" in demo.__dict__
    assert demo.warnings == ()


def test_a_result_carries_what_failed_unless_it_does_not_depend_on_it(host, tmp_path) -> None:
    study = find_study("extract")
    settings = study.parse({"contrast": "formality"})
    sound = study.start(host, settings).result()
    tables = [pd.read_csv(path, comment="#") for path in sound.write(tmp_path / "sound").glob("*.csv")]
    assert all("warning" not in table for table in tables)
    assert not any("self-check" in note for note in sound.notes)
    host.check = (FAILED, STEPS)
    result = study.start(host, settings).result()
    (sentence,) = [note for note in result.notes if "self-check" in note]
    assert sentence == (
        "own fails a self-check that this depends on, “rows”: it does not hold that a steered row leaves the others "
        "of its batch alone (logits lie 3 apart). Do not trust it."
    )
    result.write(tmp_path)
    written = json.loads((tmp_path / "result.json").read_text())
    assert sentence in written["notes"]
    assert len(written["model"]["warnings"]) == 2
    tables = [pd.read_csv(tmp_path / name, comment="#") for name in written["tables"].values()]
    assert tables
    assert all(set(table["warning"]) == {sentence} for table in tables)
    assert all("warning" not in table for table in result.tables.values())
    assert "leaves the others of its batch alone" in said_html(result)
    (vector,) = result.vectors.values()
    assert vector.provenance.warnings == (sentence,)
    assert load_vector(save_vector(vector, tmp_path / "v.safetensors")).provenance.warnings == (sentence,)
    assert load_gguf(save_gguf(vector, tmp_path / "v.gguf")).provenance.warnings == (sentence,)
    assert "leaves the others of its batch alone" in notes_html(host, [])
    assert "decoding steps" in notes_html(host, [])


def test_the_bar_has_a_badge_and_the_sentences(host) -> None:
    assert "Self-check: passed" in cards.model_bar(host.info, checks=[replace(FAILED, outcome="pass")])
    shown = cards.model_bar(host.info, checks=[FAILED, replace(STEPS, outcome="not applicable")])
    assert "Self-check: 1 failed" in shown
    assert "it does not hold that a steered row leaves the others of its batch alone" in shown


def test_commands_say_what_failed(home, monkeypatch) -> None:
    monkeypatch.setattr("steering.selfcheck.kept.short_check", lambda host: (FAILED,))
    result = CliRunner().invoke(app, ["extract", "formality"])
    assert "fails a self-check that this depends on" in result.stderr
    assert "fails a self-check that this depends on" in result.stdout, "and so does the result"


THINKS = "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}"
TURNS = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content.split('</think>')[-1] + '<|end|>' }}{% endfor %}"
TEMPLATES = {
    "opens a thought": TURNS + THINKS,
    "passes an empty thought by": TURNS
    + "{% if add_generation_prompt %}{{ '<|assistant|><think>\n\n</think>\n\n' }}{% endif %}",
    "injects the date": "{{ 'Today is ' + strftime_now('%d %B %Y') + '.' }}"
    + TURNS
    + "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    "wants content parts": "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    "alternates roles and refuses system": "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ ('[INST] ' + m.content + ' [/INST]') if m.role == 'user' else ' ' + m.content + eos_token }}{% endfor %}",
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_honest_templates_pass(kind, tokenizer, lane) -> None:
    own = deepcopy(tokenizer)
    own.chat_template = TEMPLATES[kind]
    host = Host.wrap(tiny_model("llama"), own, name=kind, lane=lane)
    assert ("<think>" in render(host, "Hello there.").text) == ("thought" in kind)
    found = {check.name: check for check in host.run(lambda job: short_check(host), title="check")}
    assert found["template"].outcome == "pass", found["template"].detail
    assert "fail" not in {check.outcome for check in found.values()}


def test_templates_that_lose_the_reply_s_beginning_fail(tokenizer, lane) -> None:
    own = deepcopy(tokenizer)
    own.chat_template = TURNS + "{% if add_generation_prompt %}{{ '<|bot|>' }}{% endif %}"
    host = Host.wrap(tiny_model("llama"), own, name="lost", lane=lane)
    found = {check.name: check.detail for check in self_check(host) if check.outcome == "fail"}
    assert "not a continuation" in found["template"]


def test_a_failure_of_the_model_s_own_code_is_told_and_one_of_ours_is_not_hidden(host, monkeypatch) -> None:
    rows = [Row(render(host, "Hello."))]
    attention = host.model._module.model.layers[2].self_attn

    class Broken(torch.nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no kernel for this\nand more")

    whole = attention.o_proj
    attention.o_proj = Broken()
    try:
        with pytest.raises(
            SteeringError, match="own code failed during 'Generating': RuntimeError: no kernel for this"
        ):
            generate(host, rows, DecodeSettings(max_new_tokens=2))
    finally:
        attention.o_proj = whole

    direction = torch.zeros(host.info.width)
    direction[0] = 1
    monkeypatch.setattr("steering.passes.schedule._apply", None)
    with pytest.raises(TypeError, match="not callable"):
        generate(host, [replace(rows[0], plan=(Write(Add(direction, 1.0), 1, "block_output"),))])
