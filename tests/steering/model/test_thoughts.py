"""Thoughts: delimiters are found in templates of any family, and replies taken apart by them."""

from __future__ import annotations

import copy

import pytest
import torch
from odd_templates import (
    BUILT,
    CHANNELS,
    NO_SYSTEM,
    ONE_SIDED,
    OPENED,
    PARTS,
    PLAIN,
    SPLIT_NAMES,
    SWITCHED,
    THINKING,
    VARIABLES,
)

from steering import ContrastSet, extract
from steering.errors import SteeringError
from steering.extraction.again import extract_again
from steering.extraction.reading import Reading
from steering.model import openings
from steering.model.chat_settings import ChatSettings
from steering.model.fingerprint import fingerprint
from steering.model.openings import chat_notes, opening_of
from steering.model.prompts import Message, conversation, render
from steering.model.templates import Switch, applied, switches_of, template_notes
from steering.model.thought_markers import markers_of
from steering.model.thoughts import Markers, Parts, split
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.recipe import Recipe


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


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>\n", "</think>"),
        ("[THINK]", "[/THINK]"),
        ("<seed:think>", "</seed:think>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<reasoning>", "</reasoning>"),
        ("◁think▷", "◁/think▷"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ],
)
def test_a_thought_that_the_generation_prompt_alone_opens_is_found(host, opening, closing) -> None:
    host.tokenizer.chat_template = PLAIN.replace("<|assistant|>{% endif %}", f"<|assistant|>{opening}{{% endif %}}")
    prompt = render(host, "Hello.")
    spaces = "\n\n" if opening.endswith("\n") else ""
    assert prompt.text.endswith(f"<|assistant|>{opening}{spaces[1:]}{closing}{spaces}")
    assert not prompt.opened
    assert render(host.under(ChatSettings(thought="think")), "Hello.").opened


def test_a_switch_of_thought_without_delimiters_turns_it_off(host) -> None:
    host.tokenizer.chat_template = "{{ 'Think. ' if thinking | default(true) }}" + PLAIN
    assert not render(host, "Hello.").text.startswith("Think.")
    assert any("thinking=False" in note for note in chat_notes(host))
    assert render(host.under(ChatSettings(thought="think")), "Hello.").text.startswith("Think.")


@pytest.mark.parametrize("template", [PLAIN, NO_SYSTEM, PARTS])
def test_a_template_without_thought_names_none(tokenizer, template) -> None:
    assert markers_of(with_template(tokenizer, template)).pairs == ()


def test_delimiters_are_read_from_the_added_tokens_too(tokenizer) -> None:
    other = with_template(tokenizer, PLAIN)
    other.add_tokens(["<|begin_of_thought|>", "<|end_of_thought|>", "<|thoughtless|>"], special_tokens=True)
    assert markers_of(other).pairs == (("<|begin_of_thought|>", "<|end_of_thought|>"),)


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
    assert markers_of(switched).closes(f"<|end|>{closed}")
    assert not markers_of(switched).closes(f"{closed}Yes.")
    assert not Markers().closes("Yes.")


@pytest.fixture
def host(tiny_host, tokenizer, monkeypatch):
    """A tiny model, to be given a template by `host.tokenizer.chat_template = ...`."""
    host = tiny_host("llama")
    monkeypatch.setattr(host, "tokenizer", copy.deepcopy(tokenizer))
    return host


def test_replies_arrive_taken_apart(host) -> None:
    host.tokenizer.chat_template = OPENED
    prompt = render(host.under(ChatSettings(thought="think", thought_tokens=6)), "What is <think>?")
    assert prompt.opened
    (reply,) = generate(host, [Row(prompt)], DecodeSettings(max_new_tokens=4))
    assert not reply.finished
    assert not reply.answer
    assert (len(reply.ids), reply.finish, reply.thought_tokens) == (6, "thought", 6)
    reading = Reading(reply_tokens=4)
    with pytest.raises(SteeringError, match="thought_tokens"):
        reading.prompts(host.under(ChatSettings(thought="think", thought_tokens=6)), [conversation("Hello.")])
    host.tokenizer.chat_template = PLAIN
    prompt = render(host, conversation("What is <think>?"))
    assert not prompt.opened  # the user's own words open nothing
    (reply,) = generate(host, [Row(prompt)], DecodeSettings(max_new_tokens=4))
    assert reply.finished
    assert reply.answer == reply.text


def test_the_answer_has_all_its_tokens_behind_a_thought(host, monkeypatch) -> None:
    host.tokenizer.chat_template = OPENED
    said = host.tokenizer("Hm. </think> Yes, of course. That is good.", add_special_tokens=False)["input_ids"]
    thought = len(host.tokenizer("Hm. </think>", add_special_tokens=False)["input_ids"])
    script = iter(said)

    def choose(logits, *args, **kwargs):
        return torch.tensor([next(script)])

    monkeypatch.setattr(torch.Tensor, "argmax", choose)
    prompt = render(host.under(ChatSettings(thought="think")), "Is it?")
    (reply,) = generate(host, [Row(prompt)], DecodeSettings(max_new_tokens=4))
    assert reply.thought == "Hm."
    assert reply.thought_tokens == thought
    assert len(reply.ids) == thought + 4
    assert reply.finish == "length"


@pytest.mark.parametrize(
    ("template", "switches", "tail"),
    [
        (SWITCHED, {"enable_thinking": False}, "<|assistant|><think>\n\n</think>\n\n"),
        (OPENED, {}, "<|assistant|><think>\n\n</think>\n\n"),
        (BUILT, {"thinking": False}, "<|open|>assistant<|sep|>"),
        (ONE_SIDED, {"enable_thinking": False}, "<|turn>model\n<|channel>thought\n<channel|>"),
        (SPLIT_NAMES, {"reasoning": False}, "<|assistant|><|START_THINKING|><|END_THINKING|>"),
        (PLAIN, {}, "<|assistant|>"),
    ],
)
def test_a_prompt_ends_where_the_answer_begins(host, template, switches, tail) -> None:
    host.tokenizer.chat_template = template
    prompt = render(host, "Hello.")
    assert opening_of(host).switches == switches
    assert prompt.text.endswith(tail)
    assert not prompt.opened
    assert prompt.thought_tokens == 0
    assert prompt.roles[-1] == "template"


def test_a_model_whose_first_token_opens_a_thought_gets_an_empty_one(host, monkeypatch) -> None:
    host.tokenizer.chat_template = VARIABLES
    assert render(host, "Hello.").text.endswith("<|assistant|>")  # the tiny model opens none
    first = host.tokenizer("<seed:think>", add_special_tokens=False)["input_ids"][0]
    monkeypatch.setattr(openings, "likeliest", lambda model, ids: first)
    host.openings.clear()
    assert render(host, "Hello.").text.endswith("<|assistant|><seed:think>\n\n</seed:think>\n\n")
    host.openings.clear()


def test_a_switch_that_asks_for_thought_is_obeyed_and_an_unknown_one_refused(host) -> None:
    host.tokenizer.chat_template = SWITCHED
    thinking = host.under(ChatSettings(switches={"enable_thinking": True}))
    assert render(thinking, "Hello.").text.endswith("<|assistant|>")
    assert render(thinking, "Hello.").thought_tokens == 512
    assert any("thinks first" in note for note in chat_notes(thinking))
    assert any("kept from it" in note for note in chat_notes(host))
    host.tokenizer.chat_template = SWITCHED + "{% if keep_thinking %}{% endif %}"
    about_old_ones = host.under(ChatSettings(switches={"keep_thinking": True}))
    assert render(about_old_ones, "Hello.").thought_tokens == 0
    with pytest.raises(SteeringError, match="enable_thinking"):
        render(host.under(ChatSettings(switches={"enable_thoughts": True})), "Hello.")


def test_a_prefill_is_what_replies_go_on_from(host) -> None:
    host.tokenizer.chat_template = OPENED
    prompt = render(host.under(ChatSettings(prefill="Sure,")), "Hello.")
    assert prompt.text.endswith("</think>\n\nSure,")
    given = render(host.under(ChatSettings(prefill="Sure,")), [Message("user", "Hello."), Message("assistant", "No")])
    assert given.text.endswith("No")  # a given reply has its own beginning


def test_a_system_prompt_may_stand_in_the_users_message(host) -> None:
    host.tokenizer.chat_template = NO_SYSTEM
    asked = conversation("Hello.", "Be kind.")
    with pytest.raises(SteeringError, match=r"chat\.system=user"):
        render(host, asked)
    prompt = render(host.under(ChatSettings(system="user")), asked)
    assert prompt.text == "<|user|>Be kind.\n\nHello.<|end|><|assistant|>"


def test_chat_settings_are_part_of_recipes_and_of_what_results_are_kept_by(host) -> None:
    view = host.under(ChatSettings(prefill="Sure,"))
    assert host.under(ChatSettings(prefill="Sure,")) is view
    assert view.under(ChatSettings()) is host
    assert fingerprint(view) != fingerprint(host)
    assert fingerprint(view) != fingerprint(host.under(ChatSettings(prefill="No,")))
    recipe = Recipe().stamped(view)
    assert recipe.on(host) is view
    assert "chat" not in Recipe().stamped(host).to_json()
    assert Recipe.model_validate_json(recipe.to_json()) == recipe


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


def test_every_role_has_its_content_as_the_template_reads_it(tiny_host, tokenizer, monkeypatch) -> None:
    host = tiny_host("llama")
    mixed = PARTS.replace("{% for part in m['content'] %}", "{% if m.role == 'assistant' %}{{ m.content }}{% else %}")
    mixed = mixed.replace("{% if part['type'] == 'text' %}{{ part['text'] }}", "{{ m.content[0].text }}", 1)
    mixed = mixed.replace("{% endif %}{% endfor %}<|end|>", "{% endif %}<|end|>")
    monkeypatch.setattr(host, "tokenizer", with_template(tokenizer, mixed))
    turns = [Message("user", "Hello."), Message("assistant", "Fine."), Message("user", "And?")]
    said = "<|user|>Hello.<|end|><|assistant|>Fine.<|end|><|user|>And?<|end|><|assistant|>"
    assert render(host, turns).text == said


def test_of_several_templates_the_default_is_used_and_named(tokenizer) -> None:
    several = with_template(tokenizer, {"tools": "T", "default": PLAIN})
    assert applied(several, [{"role": "user", "content": "Hello."}]) == "<|user|>Hello.<|end|><|assistant|>"
    assert any("'default' is used" in note for note in template_notes(several))


def test_a_template_that_drops_a_system_prompt_without_a_word_is_refused(host) -> None:
    host.tokenizer.chat_template = (
        "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    )
    assert "Hello." in render(host, "Hello.").text
    with pytest.raises(SteeringError, match="leaves the system message out"):
        render(host, conversation("Hello.", "Be kind."))


def test_a_vector_says_under_which_chat_settings_it_was_made_and_is_made_again_under_them(host) -> None:
    view = host.under(ChatSettings(prefill="Sure,"))
    contrast = ContrastSet.load("formality")
    assert "chat" not in extract(host, contrast, split_half=False).provenance.settings
    vector = extract(view, contrast, split_half=False)
    again = extract_again(host, vector, "mean_difference", name="again")
    assert torch.equal(again.directions, vector.directions)
    assert not torch.allclose(extract(host, contrast, split_half=False).directions, vector.directions)


BUDGET = PLAIN.replace("<|assistant|>", "<|assistant|>{% if thinking_budget == 0 %}<think></think>{% endif %}")
EFFORT = PLAIN.replace("<|assistant|>", "<|assistant|>{% if reasoning_effort == 'none' %}<think></think>{% endif %}")
TOLD = "{% if thinking_budget == 0 %}Be quick.{% endif %}" + PLAIN


@pytest.mark.parametrize(
    ("template", "off"),
    [(BUDGET, {"thinking_budget": 0}), (EFFORT, {"reasoning_effort": "none"})],
    ids=["a budget of 0", "an effort of none"],
)
def test_a_budget_or_effort_that_turns_thought_off_is_used(template, off, tiny_host, tokenizer, monkeypatch) -> None:
    host = copy.copy(tiny_host("llama"))
    monkeypatch.setattr(host, "tokenizer", with_template(tokenizer, template))
    host.openings = {}
    assert "<think>" not in applied(host.tokenizer, [{"role": "user", "content": "Hello."}])
    opening = opening_of(host)
    assert (opening.switches, opening.thinks) == (off, False)
    assert render(host, "Hello.").text.endswith("<|assistant|><think></think>")
    host.chat = ChatSettings(thought="think")
    thinking = opening_of(host)
    assert (thinking.switches, thinking.thinks) == ({}, True)
    (name,) = off
    host.chat = ChatSettings(switches={name: 64 if name == "thinking_budget" else "high"})
    assert opening_of(host).thinks


def test_a_budget_that_leaves_the_beginning_of_a_reply_alone_is_no_switch(tiny_host, tokenizer, monkeypatch) -> None:
    host = copy.copy(tiny_host("llama"))
    monkeypatch.setattr(host, "tokenizer", with_template(tokenizer, TOLD))
    host.openings = {}
    assert [each.name for each in switches_of(host.tokenizer)] == ["thinking_budget"]
    assert opening_of(host).switches == {}
