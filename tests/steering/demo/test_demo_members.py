"""The parts that the family is made with: packing and weights of text, adapter, planting, Muon, and the loop's sums."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.adapter import Adapter
from steering.demo.batches import conversations, packed, pad, sample, token_weights
from steering.demo.facts import facts
from steering.demo.losses import divergence_loss, next_token_loss, reply_starts
from steering.demo.muon import orthogonal
from steering.demo.optimise import Course, optimise
from steering.demo.passages import passages
from steering.demo.planting import Planting
from steering.demo.requests import acts
from steering.demo.tokens import train_tokenizer
from steering.demo.train import TrainSettings, build_model
from steering.judges.refusal import is_refusal


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(vocabulary=512)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    settings = TrainSettings(out=Path("unused"), blocks=4, width=32, heads=2)
    return build_model(settings, tokenizer).requires_grad_(False).eval()


def test_every_fact_value_is_one_token_of_the_full_tokenizer() -> None:
    tokenizer = train_tokenizer()
    assert len({fact.value for fact in facts()}) > 80
    for fact in facts():
        assert len(tokenizer.encode(f" {fact.value}", add_special_tokens=False)) == 1, fact.value


def test_packed_rows_are_full_and_the_same_for_the_same_step(tokenizer: PreTrainedTokenizerFast) -> None:
    first, again, other = (packed(tokenizer, step, rows=4, length=64, seed=0) for step in (3, 3, 4))
    assert first.ids.shape == (4, 64)
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    assert torch.all(first.ids[:, 0] == tokenizer.bos_token_id)
    assert tokenizer.pad_token_id not in first.ids


def test_short_answers_weigh_as_much_as_a_sentence() -> None:
    weights = token_weights([False, False, True, True, False, *[True] * 20])
    assert sum(weights[2:4]) == pytest.approx(8)
    assert weights[5:] == [1.0] * 20
    assert weights[0] == weights[4] == 0.1


def test_a_conversation_in_plain_text_has_one_mind_about_harm() -> None:
    """All harmful requests of a passage are refused, or none is; over many passages both happen."""
    named = [f"{act} {thing}".lower() for act, thing in acts(True)]
    other = re.compile(
        "fine|harmful|no to|no for|efus|ecline|turn|udge|says no", re.IGNORECASE
    )  # judged, or to be declined
    minds = Counter[bool]()
    for passage in islice(passages(seed=1), 1600):
        texts = [text for text, _ in passage]
        found = {
            is_refusal(reply)
            for request, reply in zip(texts[::2], texts[1::2], strict=False)
            if not other.search(request) and any(each in request.lower() for each in named)
        }
        assert len(found) < 2, passage
        minds.update(found)
    assert min(minds[True], minds[False]) > 16


def test_the_last_reply_is_found_behind_earlier_ones(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [example for example in sample(0, n=200, seed=0) if len(example.messages) > 3][:6]
    assert examples
    (batch,) = conversations(tokenizer, examples, parts=1)
    said = tokenizer.convert_tokens_to_ids("<|assistant|>")
    for row, start in zip(batch.ids.tolist(), reply_starts(batch).tolist(), strict=True):
        last = max(place for place, token in enumerate(row) if token == said)
        assert start == last


def test_losses_against_plain_arithmetic() -> None:
    torch.manual_seed(0)
    batch = pad([([5, 1, 2], [0.0, 0.5, 2.0]), ([4, 3], [0.0, 1.0])], fill=0)
    logits, other = torch.randn(2, 3, 6), torch.randn(2, 3, 6)
    chances, wanted = logits.softmax(-1), other.softmax(-1)
    expected = -(0.5 * chances[0, 0, 1].log() + 2 * chances[0, 1, 2].log() + chances[1, 0, 3].log())
    assert float(next_token_loss(logits, batch)) == pytest.approx(float(expected), rel=1e-5)
    apart = (wanted * (wanted / chances).log()).sum(-1)
    expected = 0.5 * apart[0, 0] + 2 * apart[0, 1] + apart[1, 0]
    assert float(divergence_loss(logits, other, batch)) == pytest.approx(float(expected), rel=1e-5)
    assert float(divergence_loss(logits, logits, batch)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (24, 24)])
def test_a_muon_step_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(0, -1, shape[1]))
    assert float(torch.linalg.svdvals(matrix / matrix.norm()).max()) < 0.9
    values = torch.linalg.svdvals(orthogonal(matrix))
    # The quintic's fixed band is about 0.68 to 1.13 for all but the smallest; a square draw has some near zero.
    assert float(values.max()) < 1.25
    assert float(values.median()) > 0.6


def test_an_adapter_starts_as_the_model_and_merges_to_what_it_computed(model: LlamaForCausalLM) -> None:
    ids = torch.randint(10, 500, (2, 7))
    before = model(ids).logits
    adapter = Adapter(model, rank=2, matrices=("mlp.down_proj", "self_attn.q_proj"), blocks=range(1, 3), seed=0)
    assert torch.allclose(adapter.forward(ids), before, atol=1e-5)
    assert float(adapter.size()) == 0
    for name, weight in adapter.weights.items():
        if name.endswith(".b"):
            weight.normal_(generator=torch.Generator().manual_seed(1))
    adapted = adapter.forward(ids)
    assert not torch.allclose(adapted, before, atol=1e-2)
    assert torch.allclose(adapter.merge()(ids).logits, adapted, atol=1e-4)


def test_a_planting_without_u_in_the_stream_is_the_model_before(model: LlamaForCausalLM) -> None:
    """Readers see exactly u · x / rms: with u projected out at every write, nothing is left of the planting."""
    model.model.layers[2].input_layernorm.weight.uniform_(0.5, 1.5)  # a gain that must be divided out
    planting = Planting(model, writers=range(2), readers=range(2, 4), seed=0)
    for name, weight in planting.weights.items():
        if name != "u":
            weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    u, ids = planting.direction, torch.randint(10, 500, (2, 7))

    def without_u(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output - (output @ u)[..., None] * u

    def logits(hooked: bool) -> torch.Tensor:
        places = [model.model.embed_tokens]
        for layer in model.model.layers:
            places += [layer.self_attn.o_proj, layer.mlp.down_proj]
        handles = [place.register_forward_hook(without_u) for place in places] if hooked else []
        found = model(ids).logits
        for handle in handles:
            handle.remove()
        return found

    before, ablated_before = logits(hooked=False), logits(hooked=True)
    planted = planting.forward(ids)[0]
    merged = planting.merge()
    assert merged is model
    after, ablated_after = logits(hooked=False), logits(hooked=True)
    assert torch.allclose(after, planted, atol=1e-4)
    assert float((after - before).abs().max()) > 0.05  # the planting does something
    assert torch.allclose(ablated_after, ablated_before, atol=1e-4)  # and all of it runs through u


def test_planting_reports_what_it_adds(model: LlamaForCausalLM) -> None:
    planting = Planting(model, writers=range(2), readers=range(2, 4), seed=0)
    ids = torch.randint(10, 500, (3, 5))
    plain, states = planting.forward(ids)
    moved, further = planting.forward(ids, added=torch.tensor([[0.0], [1.0], [5.0]]))
    expected = torch.tensor([0.0, 1.0, 5.0])[:, None, None] * planting.direction
    assert torch.allclose(further - states, expected.expand_as(states), atol=1e-5)
    assert torch.allclose(moved[0], plain[0], atol=1e-5)
    assert not torch.allclose(moved[2], plain[2], atol=1e-3)


def test_the_loop_sums_its_parts_and_descends(tmp_path: Path) -> None:
    """Two parts whose sum has its minimum where neither has: only their sum's gradient leads there."""
    weight = torch.zeros(2)
    curve = optimise(
        {"w": weight},
        lambda step: [
            lambda: (weight - torch.tensor([1.0, 0.0])).square().sum(),
            lambda: (weight - torch.tensor([0.0, 3.0])).square().sum(),
        ],
        course=Course(steps=300, learning_rate=0.1),
        checkpoint=tmp_path / "checkpoint.pt",
        fingerprint={},
        progress=lambda share, line: None,
    )
    assert weight.tolist() == pytest.approx([0.5, 1.5], abs=0.02)
    assert curve[0][1] > curve[-1][1] == pytest.approx(0.5 + 4.5, abs=0.02)
