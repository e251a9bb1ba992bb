"""Chat settings on the page: what is typed becomes settings of the model for everybody, and is shown again."""

from __future__ import annotations

import copy

import pytest
from odd_templates import SWITCHED

from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from workbench.bench import Workbench
from workbench.controls.chat_card import chat_html, chat_settings, typed
from workbench.controls.fields import WrongField


GIVEN = {"thought": "skip", "thought_tokens": 9, "system": "user", "prefill": "Sure,"}


def test_what_is_typed_becomes_settings_and_reads_back() -> None:
    chat = chat_settings(switches="enable_thinking=false, effort=low", **GIVEN)
    assert chat == ChatSettings.model_validate({**GIVEN, "switches": {"enable_thinking": False, "effort": "low"}})
    assert chat_settings(switches=typed(chat), **GIVEN) == chat
    with pytest.raises(WrongField, match=r"^.*template switch 'effort' was given.*key=value") as wrong:
        chat_settings(switches="enable_thinking=false, effort", **GIVEN)
    assert wrong.value.field == "switches"
    assert "--set" not in str(wrong.value)  # a word of the command line
    with pytest.raises(SteeringError, match="thought_tokens"):
        chat_settings(switches="", **{**GIVEN, "thought_tokens": -1})


def test_settings_are_of_the_loaded_model_and_a_switch_it_does_not_read_is_refused(
    tiny_host, tokenizer, tmp_path, monkeypatch
) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "tokenizer", copy.deepcopy(tokenizer))
    host.tokenizer.chat_template = SWITCHED
    bench = Workbench(workspace=tmp_path, lane=host.lane)
    with pytest.raises(SteeringError, match="No model"):
        bench.model.use(ChatSettings())
    bench.model.host = host
    before = bench.seen
    bench.model.use(ChatSettings(switches={"enable_thinking": True}))
    assert bench.host is not None
    assert bench.host.chat.switches == {"enable_thinking": True}
    assert bench.seen != before  # pages notice
    assert "enable_thinking (true, false)" in chat_html(bench.host)
    assert "thinks first" in chat_html(bench.host)
    with pytest.raises(SteeringError, match="enable_thinking"):
        bench.model.use(ChatSettings(switches={"thinking": True}))
