"""What is put around a contrast set's prompts: a system prompt, the generation prompt, the model's own replies."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.extraction.reading import Reading
from steering.model.prompts import Message, render
from steering.passes.activations import read_states
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.texts.contrast import ContrastSet


def _user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def test_a_system_prompt_stands_before_every_prompt(tiny_host) -> None:
    host = tiny_host("llama")
    (prompt,) = Reading(system="Be kind.").prompts(host, [_user("Hello.")])
    assert prompt == render(host, [Message("system", "Be kind."), Message("user", "Hello.")])
    own = (Message("system", "Be brief."), Message("user", "Hello."))
    with pytest.raises(SteeringError, match="the contrast set has its own"):
        Reading(system="Be kind.").prompts(host, [own])
    assert Reading().prompts(host, [own]) == [render(host, own)]


def test_without_the_generation_prompt_the_users_message_ends_the_text(tiny_host) -> None:
    host = tiny_host("llama")
    (with_it,), (without,) = (
        Reading(generation_prompt=each).prompts(host, [_user("Hello.")]) for each in (True, False)
    )
    assert with_it.ids[: len(without)] == without.ids
    assert len(with_it) > len(without)
    assert "assistant" in with_it.text
    assert "assistant" not in without.text


def test_the_models_own_replies_are_read_where_the_set_has_none(demo) -> None:
    answered = (Message("user", "What is the capital of France?"), Message("assistant", "It is Paris."))
    asked = _user("What is the capital of Italy?")
    own, given = Reading(reply_tokens=8).prompts(demo, [asked, answered])
    assert given == render(demo, answered)
    (reply,) = generate(demo, [Row(render(demo, asked))], DecodeSettings(max_new_tokens=8))
    assert own.ids == (*render(demo, asked).ids, *reply.ids)
    assert own.roles.count("assistant") == len(reply.ids) <= 8
    assert "Rome" in own.text
    assert Reading().prompts(demo, [asked]) == [render(demo, asked)]  # nothing is written unless it is wanted


def test_mean_reply_is_the_mean_over_the_replys_states(tiny_host) -> None:
    host = tiny_host("llama")
    turns = (Message("user", "Hello."), Message("assistant", "Good day to you."))
    prompt = render(host, turns)
    places = [place for place, role in enumerate(prompt.roles) if role == "assistant"]
    assert len(places) > 2
    each = torch.stack([read_states(host, [prompt], pooling=(place,))[0] for place in places])
    torch.testing.assert_close(
        read_states(host, [prompt], pooling="mean_reply")[0], each.mean(dim=0), rtol=1e-4, atol=1e-5
    )


def test_a_vector_says_how_it_was_read(demo) -> None:
    formal = ContrastSet.load("formality")
    vector = extract(demo, formal, pooling="mean_reply", system="You are helpful.", reply_tokens=6)
    assert vector.provenance.pooling == "mean_reply"
    assert vector.provenance.settings == {"system": "You are helpful.", "generation_prompt": True, "reply_tokens": 6}
    assert vector.best_auroc > 0.95  # formal replies read unlike informal ones
    picked = extract(demo, formal, pooling=(-2, -1))
    assert picked.provenance.pooling == "-2,-1"
    assert picked.provenance.settings["reply_tokens"] == 0
