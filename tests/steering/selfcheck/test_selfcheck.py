"""The self-check: whole models pass it, and each fault that is planted is caught by the check that is there for it."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from steering import selfcheck
from steering.model.host import Host
from steering.model.sites import Part
from steering.passes import schedule, tracing, visitor
from steering.passes.rows import Batch
from steering.selfcheck import CHECKS, Check, Failed, checks, self_check
from steering.selfcheck.short import short_check
from tests.conftest import ARCHITECTURES, tiny_model
from tests.families import tiny_family
from workbench.cli.main import app
from workbench.frame.selfcheck_card import checks_html, verdict


TURNS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
ENDS_WITH_USER = "{% if messages[-1].role != 'user' %}{{ raise_exception('the last turn is the user\\'s') }}{% endif %}"
GENERATION_PROMPT = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


def looked(host, *names) -> dict[str, Check]:
    """What the self-check finds; that of these checks alone, where some are named."""
    with pytest.MonkeyPatch.context() as patch:
        if names:
            patch.setattr(selfcheck, "CHECKS", {name: CHECKS[name] for name in names})
        return {check.name: check for check in self_check(host)}


def outcomes(host, *names) -> dict[str, str]:
    return {name: check.outcome for name, check in looked(host, *names).items()}


def shortly(host) -> dict[str, str]:
    return {check.name: check.outcome for check in host.run(lambda job: short_check(host), title="check")}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_passes(architecture, tiny_host) -> None:
    host = tiny_host(architecture)
    found = list(self_check(host))
    assert [check.name for check in found] == list(CHECKS)
    assert [check for check in found if check.outcome == "fail"] == []
    assert all(check.meaning.endswith(".") and check.detail for check in found)
    short = shortly(host)
    assert list(short) == ["hook parity", "rows", "decoding steps", "block index", "overflow", "template"]
    assert set(short.values()) == {"pass"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_passes(dtype, tokenizer, lane) -> None:
    host = Host.wrap(deepcopy(tiny_model("llama")).to(dtype), tokenizer, name="half", lane=lane)
    assert "fail" not in outcomes(host).values()


def test_a_model_without_a_template_is_none_the_worse_for_it(tokenizer, lane) -> None:
    bare = deepcopy(tokenizer)
    bare.chat_template = None
    found = outcomes(Host.wrap(tiny_model("llama"), bare, name="bare", lane=lane))
    assert found.pop("template") == "not applicable"
    assert set(found.values()) == {"pass"}


def _ruin_writes(monkeypatch, change) -> None:
    """Let every write go through `change(old states, new states)`."""
    rightly = schedule.Visit.write
    monkeypatch.setattr(schedule.Visit, "write", lambda self, x, coverage: change(x, rightly(self, x, coverage)))


def _no_writes_when_decoding(monkeypatch) -> None:
    _ruin_writes(monkeypatch, lambda old, new: new if old.shape[1] > 1 else old)


def _first_row_only(monkeypatch) -> None:
    _ruin_writes(monkeypatch, lambda old, new: torch.cat([new[:1], old[1:]]))


def _all_rows(monkeypatch) -> None:
    _ruin_writes(monkeypatch, lambda old, new: old + (new - old).sum(dim=0, keepdim=True))


def _half_a_write(monkeypatch) -> None:
    _ruin_writes(monkeypatch, lambda old, new: (old + new) / 2)


def _no_positions(monkeypatch) -> None:
    """As if position ids were left to the model, which counts the padding."""
    rightly = tracing.inputs_of

    def wrong(batch: Batch):
        places = torch.arange(batch.ids.shape[1]).expand_as(batch.ids)
        return {**rightly(batch), "position_ids": places}

    monkeypatch.setattr(tracing, "inputs_of", wrong)


def _right_end(monkeypatch) -> None:
    """As if the last column were read whatever the padding's side."""
    rightly = Batch.of.__func__
    monkeypatch.setattr(
        Batch,
        "of",
        classmethod(lambda cls, host, prompts, side="right", **more: rightly(cls, host, prompts, side, **more)),
    )


FAULTS = {
    "writes miss decoding steps": (_no_writes_when_decoding, {"decoding steps"}),
    "only the first row is steered": (_first_row_only, {"rows"}),
    "a row leaks into the others": (_all_rows, {"rows"}),
    "half of a write gets lost": (_half_a_write, {"hook parity", "ablation"}),
    "position ids count the padding": (_no_positions, {"padding"}),
    "padding on the right, read at the end": (_right_end, {"padding"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_by_its_check(fault, tiny_host, monkeypatch) -> None:
    plant, catchers = FAULTS[fault]
    host = tiny_host("gpt2" if "position ids" in fault else "llama")  # rotary positions are relative, gpt2's are not
    assert set(outcomes(host, *catchers).values()) == {"pass"}
    plant(monkeypatch)
    assert set(outcomes(host, *catchers).values()) == {"fail"}
    assert "fail" in shortly(host).values(), "and by the short form"


def test_steps_that_a_models_own_code_parts_from_whole_passes_are_held_against_its_own(
    tokenizer, lane, monkeypatch
) -> None:
    host = Host.wrap(tiny_family("nemotron_h"), tokenizer, name="nemotron", lane=lane)  # a limit in whole passes alone
    found = looked(host, "decoding steps")["decoding steps"]
    assert found.outcome == "pass"
    parted, own = (float(text) for text in re.findall(r"lie (\S+) standard", found.detail))
    assert parted > 2e-3  # what float32 may
    assert own < 1e-4
    mixer = host.model._module.model.layers[0].mixer
    monkeypatch.setattr(mixer, "time_step_limit", (0.0, float("inf")))  # as steps have it
    assert "own code" not in looked(host, "decoding steps")["decoding steps"].detail
    monkeypatch.undo()
    _no_writes_when_decoding(monkeypatch)
    assert outcomes(host, "decoding steps")["decoding steps"] == "fail"


def _wrapped(tokenizer, lane, change) -> Host:
    model = deepcopy(tiny_model("llama"))
    host = Host.wrap(model, tokenizer, name="faulty", lane=lane)
    change(host)
    return host


def test_a_block_list_that_is_one_short_is_caught(tokenizer, lane) -> None:
    def shift(host: Host) -> None:
        host.sites = replace(host.sites, blocks=host.sites.blocks[:3])
        host.info = replace(host.info, blocks=3)

    assert outcomes(_wrapped(tokenizer, lane, shift), "block index")["block index"] == "fail"


def test_blocks_in_another_order_are_caught(tokenizer, lane, monkeypatch) -> None:
    """Reads and writes agree with each other, but both are one block off."""
    rightly = visitor.in_forward_order

    def shifted(host, places):
        stops = {stop.place: stop for stop in rightly(host, {(b, s) for b in range(4) for _, s in places})}
        wanted = [(block, site) for block, site in sorted(places) if block < 3]
        return [stops[block + 1, site]._replace(place=(block, site)) for block, site in wanted]

    host = _wrapped(tokenizer, lane, lambda host: None)
    assert outcomes(host, "block index")["block index"] == "pass"
    monkeypatch.setattr(visitor, "in_forward_order", shifted)
    assert outcomes(host, "block index")["block index"] == "fail"


def test_an_attention_output_before_its_post_norm_is_caught(tokenizer, lane) -> None:
    host = Host.wrap(deepcopy(tiny_model("gemma2")), tokenizer, name="gemma", lane=lane)
    assert outcomes(host, "residual stream")["residual stream"] == "pass"
    before_norms = {"attention_output": (Part("self_attn", order=0),), "mlp_output": (Part("mlp", order=1),)}
    blocks = tuple(replace(block, inner=before_norms) for block in host.sites.blocks)
    host.sites = replace(host.sites, blocks=blocks)
    assert outcomes(host, "residual stream")["residual stream"] == "fail"


def test_states_that_nearly_overflow_are_caught(tokenizer, lane) -> None:
    model = deepcopy(tiny_model("llama")).to(torch.float16)
    with torch.no_grad():
        model.model.embed_tokens.weight *= 12_000
    assert outcomes(Host.wrap(model, tokenizer, name="loud", lane=lane), "overflow")["overflow"] == "fail"


def test_a_second_start_token_is_caught(tokenizer, lane) -> None:
    twice = deepcopy(tokenizer)
    assert "{{ bos_token }}" in twice.chat_template or "bos_token" in twice.chat_template
    twice.chat_template = "{{ bos_token }}" + twice.chat_template
    assert outcomes(Host.wrap(tiny_model("llama"), twice, name="twice", lane=lane), "template")["template"] == "fail"


@pytest.mark.parametrize(
    ("template", "outcome"),
    [
        (TURNS, "fail"),  # nothing opens a reply
        (TURNS + GENERATION_PROMPT, "pass"),
        (ENDS_WITH_USER + TURNS + GENERATION_PROMPT, "pass"),
    ],
)
def test_a_generation_prompt_that_lacks_what_comes_before_replies_is_noticed(
    template, outcome, tiny_host, tokenizer, monkeypatch
) -> None:
    host = tiny_host("llama")
    other = deepcopy(tokenizer)
    other.chat_template = template
    monkeypatch.setattr(host, "tokenizer", other)
    assert shortly(host)["template"] == outcome


def test_steering_that_leaks_between_threads_is_caught(tokenizer, lane, monkeypatch) -> None:
    """As with plain hooks on one model: what one thread writes, the others get too."""
    host = _wrapped(tokenizer, lane, lambda host: None)
    rightly = checks.generate
    running: list[int] = []

    @contextmanager
    def counted():
        running.append(1)
        try:
            yield
        finally:
            running.pop()

    def leaking(host, rows, settings):
        with counted():
            if len(running) > 1:
                rows = [replace(row, plan=()) for row in rows]
            return rightly(host, rows, settings)

    assert outcomes(host, "threads")["threads"] == "pass"
    monkeypatch.setattr(checks, "generate", leaking)
    assert outcomes(host, "threads")["threads"] == "fail"


def test_a_check_that_breaks_fails_alone(tiny_host, monkeypatch) -> None:
    def broken(bench):
        raise ZeroDivisionError("no")

    monkeypatch.setitem(CHECKS, "padding", ("It is padded.", broken))
    found = {check.name: check for check in self_check(tiny_host("llama"))}
    assert found["padding"].outcome == "fail"
    assert found["padding"].detail == "ZeroDivisionError: no"
    assert sum(check.outcome == "fail" for check in found.values()) == 1


def test_the_command_prints_a_table_or_json_and_its_exit_code_tells(monkeypatch) -> None:
    result = CliRunner().invoke(app, ["selfcheck", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == list(CHECKS)
    assert {row["outcome"] for row in rows} == {"pass"}

    def failing(bench):
        raise Failed("lies apart")

    monkeypatch.setattr(selfcheck, "CHECKS", {"rows": CHECKS["rows"], "padding": ("It is padded.", failing)})
    result = CliRunner().invoke(app, ["selfcheck"])
    assert result.exit_code == 1
    assert "do not trust what depends on: padding" in result.stdout


def test_the_page_tells_every_outcome_and_never_trusts_a_model_that_failed() -> None:
    rows = [
        Check(name, "fail" if name == "padding" else "pass", f"{name} <holds>.", "measured & found") for name in CHECKS
    ]
    shown = checks_html("a <model>", rows, len(CHECKS))
    assert "<holds>" not in shown
    assert "a <model>" not in shown
    assert "do not trust what depends on: padding" in shown
    assert shown.count("measured &amp; found") == len(CHECKS)
    assert verdict(rows) == "Self-check: 1 failed"
    assert "do not trust" not in checks_html("m", rows[:3], len(CHECKS))  # while it runs, nothing is concluded
    fine = [replace(check, outcome="pass") for check in rows]
    assert verdict(fine) == "Self-check: passed"
    assert "m is read and written rightly" in checks_html("m", fine, len(CHECKS))
