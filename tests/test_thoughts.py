"""Thoughts: delimiters are found in templates of any family, and replies taken apart by them."""

from __future__ import annotations

import copy

import pytest
from odd_templates import CHANNELS, NO_SYSTEM, OPENED, PARTS, PLAIN, SWITCHED, THINKING

from steering.decoding import DecodeSettings, generate
from steering.prompts import Message, conversation, render
from steering.rows import Row
from steering.templates import Switch, applied, switches_of, template_notes
from steering.thoughts import Markers, Parts, markers_of, split


def with_template(tokenizer, template):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


@pytest.mark.parametrize("family", THINKING)
def test_delimiters_are_read_from_the_template(tokenizer, family) -> None:
    template, opening, closing = THINKING[family]
    markers = markers_of(with_template(tokenizer, template))
    assert (opening, closing) in markers.pairs
    assert split(f"{opening}\nHm.\n{closing}\n\nYes.", markers) == Parts("Hm.", "Yes.")
    assert split(f"Hm.\n{closing}Yes.", markers, opened=True) == Parts("Hm.", "Yes.")
    assert split(f"{opening}\nHm, hm", markers) == Parts("Hm, hm", "", finished=False)
    assert split("Hm, hm", markers, opened=True) == Parts("Hm, hm", "", finished=False)
    assert split(f"{opening}{closing}Yes.", markers) == Parts("", "Yes.")


@pytest.mark.parametrize("template", [PLAIN, NO_SYSTEM, PARTS])
def test_a_template_without_thought_names_none(tokenizer, template) -> None:
    assert markers_of(with_template(tokenizer, template)).pairs == ()


@pytest.mark.parametrize(
    ("reply", "thought", "answer"),
    [
        (
            "<think> I must refuse if this were harmful. </think> Sure, mix eggs.",
            "I must refuse if this were harmful.",
            "Sure, mix eggs.",
        ),
        ("a thought that the prompt opened\n</think>\nSure.", "a thought that the prompt opened", "Sure."),
        ("<reasoning>\nHm.\n</reasoning>\nYes. <think>Wait.</think>Still yes.", "Hm.\n\nWait.", "Yes. Still yes."),
        ("<thinking>Hm.</thinking><answer>Yes.</answer>", "Hm.", "Yes."),
        ("◁think▷Hm.◁/think▷Yes.", "Hm.", "Yes."),
        ("<|begin_of_thought|>Hm.<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>", "Hm.", "Yes."),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "Hm.", "Yes."),
        ("analysisWe must.assistantfinalYes.", "We must.", "Yes."),
    ],
)
def test_literal_delimiters_are_known_without_a_template(reply, thought, answer) -> None:
    assert split(reply) == Parts(thought, answer)


@pytest.mark.parametrize(
    "reply",
    [
        "End it with the tag `</think>`.",
        "Sure. Write <think> before it.",
        "[Reasoning] comes first in such an essay.",
        "Use \"<reasoning>\" and '</reasoning>' here.",
        "  I think, therefore I am.",
        "",
    ],
)
def test_words_about_tags_are_no_thoughts(reply) -> None:
    assert split(reply) == Parts("", reply)


def test_a_generation_prompt_that_opens_a_thought_is_noticed_whatever_the_user_types(tokenizer) -> None:
    opened, switched = with_template(tokenizer, OPENED), with_template(tokenizer, SWITCHED)
    turn = [{"role": "user", "content": "Hello."}]
    assert markers_of(opened).opens(applied(opened, turn))
    assert not markers_of(switched).opens(applied(switched, turn))
    closed = applied(switched, turn, switches={"enable_thinking": False}).rpartition("<|assistant|>")[2]
    assert markers_of(switched).closes(closed)
    assert not Markers().closes("Yes.")


def test_replies_arrive_taken_apart(tiny_host, tokenizer, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "tokenizer", with_template(tokenizer, OPENED))
    prompt = render(host, "What is <think>?")
    assert prompt.opened
    settings = DecodeSettings(max_new_tokens=4)
    (reply,) = generate(host, [Row(prompt)], settings)
    assert not reply.finished
    assert not reply.answer
    host.tokenizer.chat_template = PLAIN
    prompt = render(host, conversation("What is <think>?"))
    assert not prompt.opened  # the user's own words open nothing
    (reply,) = generate(host, [Row(prompt)], settings)
    assert reply.finished
    assert reply.answer == reply.text


def test_the_variables_of_a_template_are_listed_with_their_values(tokenizer) -> None:
    assert switches_of(with_template(tokenizer, SWITCHED)) == (Switch("enable_thinking", (True, False)),)
    assert switches_of(with_template(tokenizer, CHANNELS)) == (Switch("reasoning_effort", ("medium",)),)
    assert switches_of(tokenizer) == ()


def test_a_date_stands_still_and_is_told(tokenizer) -> None:
    dated = with_template(tokenizer, CHANNELS)
    assert "2024-07-26" in applied(dated, [{"role": "user", "content": "Hello."}])
    assert any("26 July 2024" in note for note in template_notes(dated))


def test_contents_go_in_as_the_template_reads_them(tiny_host, tokenizer, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "tokenizer", with_template(tokenizer, PARTS))
    prompt = render(host, [Message("system", "Be kind."), Message("user", "Hello there.")])
    assert prompt.text == "<|system|>Be kind.<|end|><|user|>Hello there.<|end|><|assistant|>"
    assert {"system", "user", "template"} == set(prompt.roles)


def test_of_several_templates_the_default_is_used_and_named(tokenizer) -> None:
    several = with_template(tokenizer, {"tools": "T", "default": PLAIN})
    assert applied(several, [{"role": "user", "content": "Hello."}]) == "<|user|>Hello.<|end|><|assistant|>"
    assert any("'default' is used" in note for note in template_notes(several))
