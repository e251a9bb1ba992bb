"""Refusal tokens: found from the model's own refusals, with a warning where they explain too little."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.studies.refusal.requests import load_requests, prompts_of
from steering.studies.refusal.tokens import RefusalTokens, find_tokens, first_masses, mean_chances, token_ids


@pytest.fixture(scope="module")
def sides(demo):
    train = load_requests(demo, sizes=(24, 2, 2)).train
    return prompts_of(demo, train.target), prompts_of(demo, train.control)


def test_the_demo_models_refusals_begin_with_i_sorry_and_no(demo, sides) -> None:
    found = find_tokens(demo, *sides)
    assert {demo.tokenizer.decode([token]) for token in found.chosen} == {"I", "Sorry", "No"}
    assert found.target_mass > 0.9 > 0.1 > found.control_mass
    assert (found.refused, found.looked_at, found.warning) == (24, 24, "")
    first = found.known[0]
    assert first.target == pytest.approx(float(first_masses(demo, sides[0], [first.id]).mean()))
    assert sum(each.refusals for each in found.known) == 24


def test_a_model_that_does_not_refuse_gets_no_tokens_and_is_told(lane) -> None:
    host = Host.load("demo-helpful", lane=lane)
    train = load_requests(host, sizes=(16, 2, 2)).train
    found = find_tokens(host, prompts_of(host, train.target), prompts_of(host, train.control))
    assert found.chosen == ()
    assert "0 of 16 replies" in found.warning


def test_tokens_of_ones_own_are_kept_and_told_when_they_explain_too_little(demo, sides) -> None:
    rare = token_ids(demo, ["My"])
    found = find_tokens(demo, *sides, chosen=rare)
    assert found.chosen == rare
    assert "have only" in found.warning
    both = replace(found, explained=0.9, target_mass=0.9, control_mass=0.8)
    assert "control requests too" in both.warning


def test_tokens_as_text_or_id(demo) -> None:
    plain = demo.tokenizer("Sorry", add_special_tokens=False)["input_ids"][0]
    assert token_ids(demo, ["Sorry", f"#{plain}", "I"]) == (plain, token_ids(demo, ["I"])[0])
    with pytest.raises(SteeringError, match="an id from 0 to"):
        token_ids(demo, ["#999999"])
    with pytest.raises(SteeringError, match="at least one token"):
        token_ids(demo, [""])


def test_first_masses_come_back_in_order_whatever_the_lengths(demo) -> None:
    """Beside a softmax of the logits at hand."""
    prompts = [render(demo, text) for text in ("How do I bake a small cake before breakfast with a friend?", "Hello.")]
    chances = [torch.softmax(next_token_logits(demo, [Row(each)])[0].double(), dim=-1) for each in prompts]
    tokens = [int(each.argmax()) for each in chances]
    assert tokens[0] != tokens[1]
    expected = [float(each[tokens].sum()) for each in chances]
    assert abs(expected[0] - expected[1]) > 0.01
    assert first_masses(demo, prompts, tokens).tolist() == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(mean_chances(demo, prompts), (chances[0] + chances[1]) / 2, atol=1e-5)
    assert first_masses(demo, prompts, []).tolist() == [0.0, 0.0]


def test_no_refusal_no_explanation() -> None:
    nothing = RefusalTokens((), (), 0.0, 0.0, (3, 3), 0, 3, math.nan)
    assert "0 of 3" in nothing.warning
