"""Readings at every token of a reply, against the model read step by step and against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.vectors.token_readings import ALTERNATIVES, read_tokens, summary
from steering.vectors.vector import Provenance, SteeringVector
from steering.writes.interventions import Write
from steering.writes.operations import Ablate, Add


TEXT = "Write a review of the hotel by the river."
BLOCK, SITE = 1, "block_output"


@pytest.fixture
def vector() -> SteeringVector:
    directions = torch.randn(4, 32, generator=torch.Generator().manual_seed(3))
    return SteeringVector(
        name="joy",
        directions=directions / directions.norm(dim=-1, keepdim=True),
        mean_differences=torch.full((4,), 2.0),
        references=torch.full((4,), -0.5),
        residual_norms=torch.full((4,), 5.0),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site=SITE,
        default_block=BLOCK,
        default_block_reason="",
        suggested_strength=1.0,
        provenance=Provenance.made_elsewhere(),
    )


def _rows(host, vector, strength=4.0) -> tuple[Row, Row]:
    prompt = render(host, TEXT)
    return Row(prompt), Row(prompt, (Write(Add(vector.directions[BLOCK], strength), BLOCK, SITE),), against=0)


def _chances(host, row, ids) -> torch.Tensor:
    """Log-probabilities of the token after each prefix of a reply, one forward pass a prefix, float64."""
    found = []
    for end in range(len(ids)):
        prompt = replace(row.prompt, ids=(*row.prompt.ids, *ids[:end]))
        found.append(torch.log_softmax(next_token_logits(host, [Row(prompt, row.plan)])[0].double(), dim=-1))
    return torch.stack(found)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_divergence_and_change_are_those_of_the_model_read_token_by_token(architecture, tiny_host, vector) -> None:
    host = tiny_host(architecture)
    rows = _rows(host, vector)
    replies = [(5, 9, 300, 41), (7, 700, 12)]
    plain, steered = read_tokens(host, rows, replies)
    assert [(each.divergence, each.change) for each in plain] == [(0.0, 0.0)] * 4  # its own reference
    base, own = (_chances(host, row, replies[1]) for row in rows)
    divergence = (base.exp() * (base - own)).sum(dim=-1)
    change = torch.stack([(own - base)[i, token] for i, token in enumerate(replies[1])])
    assert divergence.min() > 1e-3
    assert change.abs().min() > 1e-3
    # float32 logits of size 20, other order of sums
    torch.testing.assert_close(torch.tensor([t.divergence for t in steered]).double(), divergence, rtol=2e-3, atol=1e-3)
    torch.testing.assert_close(torch.tensor([t.change for t in steered]).double(), change, rtol=2e-3, atol=2e-3)


def test_the_token_that_was_taken_stands_first_among_the_alternatives(tiny_host, vector) -> None:
    host = tiny_host("llama")
    rows = _rows(host, vector)
    replies = [(5, 9), (7, 700, 12)]
    _, steered = read_tokens(host, rows, replies)
    base, own = (_chances(host, row, replies[1]).exp() for row in rows)
    for i, (token, reading) in enumerate(zip(replies[1], steered, strict=True)):
        assert len(reading.alternatives) == ALTERNATIVES + 1
        first = reading.alternatives[0]
        assert first[0] == reading.token == host.tokenizer.decode([token])
        assert first[1:] == pytest.approx((float(base[i, token]), float(own[i, token])), rel=5e-3)
        likeliest = host.tokenizer.decode([int(torch.maximum(base[i], own[i]).argmax())])
        assert likeliest in [text for text, _, _ in reading.alternatives]


def test_projections_are_in_mean_differences_and_beside_what_the_unsteered_model_has(tiny_host, vector) -> None:
    """Against Hugging Face's own hidden states; and what is added at the vector's block shows up whole."""
    host = tiny_host("llama")
    rows = _rows(host, vector, strength=4.0)
    ids = (7, 700, 12)
    plain, steered = read_tokens(host, rows, [ids, ids], vector=vector)
    model = host.model._module
    with torch.no_grad():
        given = torch.tensor([[*rows[0].prompt.ids, *ids]])
        states = model(input_ids=given, output_hidden_states=True).hidden_states[BLOCK + 1][0, -len(ids) :]
    expected = states.double() @ vector.directions[BLOCK].double() / 2.0
    assert expected.abs().min() > 0.01
    for known in ([each.projection for each in plain], [each.unsteered for each in plain + steered]):
        torch.testing.assert_close(torch.tensor(known).double(), expected.repeat(len(known) // 3), rtol=1e-4, atol=1e-4)
    moved = torch.tensor([each.projection for each in steered]).double() - expected
    torch.testing.assert_close(moved, torch.full((3,), 4.0 / 2.0).double(), rtol=1e-4, atol=1e-4)
    total = summary(steered)
    assert total.unsteered == pytest.approx(float(expected.mean()), rel=1e-4)
    assert total.projection == pytest.approx(float(expected.mean()) + 2.0, rel=1e-4)


def test_an_ablated_direction_reads_as_nothing(tiny_host, vector) -> None:
    host = tiny_host("llama")
    rows = _rows(host, vector)
    cut = replace(rows[1], plan=(Write(Ablate(vector.directions[BLOCK]), BLOCK, SITE),))
    (_, ablated) = read_tokens(host, [rows[0], cut], [(7, 700, 12)] * 2, vector=vector)
    for each in ablated:
        assert each.unsteered is not None
        assert each.projection is not None
        assert abs(each.unsteered) > 0.01
        assert abs(each.projection) < 1e-5  # float32 at the width of a tiny model


def test_a_reply_that_fills_the_context_and_an_empty_one_can_be_read(tiny_host, vector, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "end_ids", frozenset())
    rows = _rows(host, vector)
    full = generate(host, rows, DecodeSettings(max_new_tokens=200))
    assert full[0].finish == "context"
    plain, nothing = read_tokens(host, rows, [full[0].ids, ()])
    assert len(plain) == len(full[0].ids)
    assert nothing == ()


def test_a_vector_of_another_model_is_refused(tiny_host, vector) -> None:
    host = tiny_host("llama")
    wide = torch.eye(4, 64)
    with pytest.raises(SteeringError, match="does not fit"):
        read_tokens(host, _rows(host, vector), [(5,), (7,)], vector=replace(vector, directions=wide))
