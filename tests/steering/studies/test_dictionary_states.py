"""What trainings read: texts as tokens, some held out, and states at all tokens but those that rule the others."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from copy import copy
from pathlib import Path

import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.studies.dictionaries.corpus import corpus
from steering.studies.dictionaries.states import read_tokens, without_long
from steering.texts.contrast import ContrastSet


TEXTS = ["Hello.", "Write a review of the hotel.", "What is two plus three, and what is five plus six?"]


def test_a_model_without_the_demo_tokens_is_refused_the_grammar(tiny_host: Callable[[str], Host]) -> None:
    other = copy(tiny_host("llama"))
    other.tokenizer = namedtuple("tokenizer", "chat_template")("another")
    with pytest.raises(SteeringError, match="another tokenizer"):
        corpus(other, "grammar", reading="chat", tokens=1000, held_out=0.1, features=10, seed=0)


def test_held_out_texts_are_nobody_elses_and_pairs_stay_together(
    tiny_host: Callable[[str], Host], tmp_path: Path
) -> None:
    host = tiny_host("llama")
    file = tmp_path / "texts.txt"
    file.write_text(
        "\n".join([*(f"Note {n}: the weather is fine today." for n in range(60)), "Note 1: the weather is fine today."])
    )
    settings = {"reading": "chat", "tokens": 10_000, "held_out": 0.2, "features": 10, "seed": 0}
    found = corpus(host, str(file), **settings)
    assert len(found.held_out) == 12
    assert len(found.train) == 48  # one stood there twice
    assert not set(found.train) & set(found.held_out)
    assert corpus(host, str(file), **settings) == found
    assert corpus(host, str(file), **{**settings, "seed": 1}).held_out != found.held_out
    plain = corpus(host, str(file), **{**settings, "reading": "plain"})
    assert plain.tokens[0] < found.tokens[0]  # without the template's tokens
    pairs = corpus(host, "formality", **settings)
    contents = [host.tokenizer.decode(ids, skip_special_tokens=True) for ids in pairs.held_out]
    contrast = ContrastSet.load("formality")
    other = {p.text: n.text for p, n in zip(contrast.positive, contrast.negative, strict=True)}
    held = [text for text in contents if any(key in text for key in other)]
    assert held
    for text in held:
        key = max((key for key in other if key in text), key=len)
        assert any(other[key] in each for each in contents)


def test_the_states_are_the_models_own(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")
    prompts = [render(host, text) for text in TEXTS]
    assert len({len(prompt) for prompt in prompts}) == 3  # so that rows are padded
    places = [(1, "block_output"), (3, "mlp_output")]
    states = host.run(lambda job: read_tokens(host, [prompt.ids for prompt in prompts], places), title="Reading")
    assert len(states) == sum(map(len, prompts)) - 3  # all but one token a text
    for text, prompt in enumerate(prompts):
        own = states.text == text
        assert states.place[own].tolist() == list(range(1, len(prompt)))
        for block, site in places:
            last = read_states(host, [prompt], site=site)[0, block]
            torch.testing.assert_close(states.at[block, site][own][-1], last, rtol=1e-4, atol=1e-4)


def test_states_that_would_rule_all_others_are_left_out_in_all_models(tiny_host: Callable[[str], Host]) -> None:
    host, place = tiny_host("llama"), (1, "block_output")
    ids = [render(host, text).ids for text in TEXTS]
    states = host.run(lambda job: read_tokens(host, ids, [place]), title="Reading")
    other = host.run(lambda job: read_tokens(host, ids, [place]), title="Reading")
    other.at[place][3] *= 1000
    kept = without_long([states, other], 20.0)
    for each in kept:
        assert len(each) == len(states) - 1
        assert each.long == 1
        assert torch.equal(each.at[place][3], states.at[place][4])
    other.at[place][5, 0] = float("nan")
    with pytest.raises(SteeringError, match="finite"):
        without_long([states, other], 20.0)
