"""Prompts: the template is applied once, and every token knows whose it is."""

from __future__ import annotations

import copy

import pytest

from steering.errors import SteeringError
from steering.model.prompts import Message, conversation, render, render_text


def text_of(prompt, role: str) -> str:
    return "".join(token for token, r in zip(prompt.tokens, prompt.roles, strict=True) if r == role)


def test_the_begin_token_stands_once_and_the_generation_prompt_last(demo) -> None:
    prompt = render(demo, "Hello there.")
    assert prompt.ids.count(demo.tokenizer.bos_token_id) == 1
    assert prompt.ids[0] == demo.tokenizer.bos_token_id
    expected = demo.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello there."}], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    assert list(prompt.ids) == list(expected)


def test_roles_follow_the_contents_even_where_a_content_repeats_the_template_or_an_earlier_turn(demo) -> None:
    turns = [
        Message("system", "user"),
        Message("user", "user"),
        Message("assistant", "Fine."),
        Message("user", "user Fine."),
    ]
    prompt = render(demo, turns)
    assert text_of(prompt, "system").strip() == "user"
    assert text_of(prompt, "assistant").strip() == "Fine."
    assert text_of(prompt, "user").replace(" ", "") == "useruserFine."


def test_a_conversation_that_ends_with_the_assistant_stays_open(demo) -> None:
    turns = [Message("user", "Write a review."), Message("assistant", "The hotel was")]
    prompt = render(demo, turns)
    assert prompt.text.endswith("The hotel was")
    assert prompt.roles[-1] == "assistant"


def test_without_a_template_the_text_is_tokenised_as_text(demo, tiny_host, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "info", host.info.__class__(**{**host.info.__dict__, "chat_template": False}))
    prompt = render(host, "The hotel was")
    assert prompt.text == "The hotel was"
    assert prompt.ids.count(host.tokenizer.bos_token_id) <= 1
    assert text_of(prompt, "user").strip() == "The hotel was"
    assert set(prompt.roles) <= {"template", "user"}


def test_text_to_continue_gets_no_template(demo) -> None:
    prompt = render_text(demo, "The hotel was")
    assert prompt.text == "The hotel was"
    assert text_of(prompt, "user").strip() == "The hotel was"
    assert demo.tokenizer.convert_tokens_to_ids("<|user|>") not in prompt.ids
    with pytest.raises(SteeringError, match="Type a text"):
        render_text(demo, " ")


def test_an_empty_prompt_is_refused_and_an_empty_system_prompt_is_left_out(demo) -> None:
    with pytest.raises(SteeringError, match="Type a prompt"):
        render(demo, "  ")
    assert conversation("Hello.", " ") == (Message("user", "Hello."),)


def test_a_template_that_refuses_the_roles_is_quoted(demo, monkeypatch) -> None:
    strict = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role.') }}{% endif %}"
        "{{ messages[0]['content'] }}"
    )
    monkeypatch.setattr(demo.tokenizer, "chat_template", strict)
    assert render(demo, "Hello.").text == "Hello."
    with pytest.raises(SteeringError, match=r"refuses the roles system, user: .*No system role") as found:
        render(demo, conversation("Hello.", "Be kind."))
    noted = found.value.left_out("system prompt")
    assert noted.startswith("Left out: system prompt. The chat template of demo refuses")
    assert "'No system role'. Put it into the user's message" in noted
    assert "Expected" not in noted


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}{{ m.content }", r"cannot be applied: unexpected '}'"),
        (
            "{{ persona.name }}{{ messages[0]['content'] }}",
            r"cannot be applied: 'persona' is undefined.*--template-set",
        ),
        ("{% for t in tools %}{% endfor %}{{ messages[0]['content'] }}", r"cannot be applied: 'NoneType'"),
        ("{{ raise_exception('tools first') }}", r"refuses the roles user: 'tools first'.*Give it what it asks for"),
    ],
)
def test_a_template_that_fails_is_told_by_its_cause(template, message, demo, monkeypatch) -> None:
    monkeypatch.setattr(demo.tokenizer, "chat_template", template)
    with pytest.raises(SteeringError, match=message) as found:
        render(demo, "Hello.")
    assert "roles alternate" not in str(found.value)


def test_any_text_round_trips_through_bytes(demo) -> None:
    for text in ("Grüße, 你好 🙂", "qzxv blorp"):
        assert text_of(render(demo, text), "user").strip() == text or "\ufffd" in text_of(render(demo, text), "user")
        assert text in demo.tokenizer.decode(render(demo, text).ids)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('never') }}", r"refuses the roles user: 'never'.*Give it what it asks for"),
        ("{{ messages[0].content | nothing }}", r"cannot be applied: No filter named 'nothing'"),
    ],
    ids=["it refuses", "it fails"],
)
def test_a_template_that_fails_for_everything_is_not_mended_by_moving_the_system_prompt(
    template, said, tiny_host, tokenizer, monkeypatch
) -> None:
    host = copy.copy(tiny_host("llama"))
    monkeypatch.setattr(host, "tokenizer", copy.deepcopy(tokenizer))
    host.tokenizer.chat_template = template
    host.openings = {}
    with pytest.raises(SteeringError, match=said) as found:
        render(host, conversation("Hello.", "Be brief."))
    assert "Put it into the user's message" not in str(found.value)
