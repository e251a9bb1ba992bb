"""Strength in nats: what was asked for is what is measured, on fresh prompts too."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from steering.demo import examples
from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes import nats
from steering.recipes.nats import calibrated, calibration_prompts, divergences
from steering.recipes.plans import plan_of
from steering.recipes.recipe import GateSettings, Intervention, Recipe
from steering.texts.contrast import ContrastSet


ENOUGH = {None: 14, "refusal": 24}
"""Prompts whose 95th percentile is that of fresh ones within a quarter, by their kind."""
FEW = 6
"""Where it is one and the same strength that is asked for."""


def _prompts(seed: int, n: int, kind: str | None = None) -> list[str]:
    found = examples(kind=kind, split="held_out", n=2 * n, seed=seed)
    return [item.request for item in found if len(item.messages) == 2][:n]


def _replied(host, prompts):
    rendered = [render(host, text) for text in prompts]
    replies = generate(host, [Row(prompt) for prompt in rendered], DecodeSettings(max_new_tokens=nats.REPLY_TOKENS))
    return [(prompt, reply.ids) for prompt, reply in zip(rendered, replies, strict=True)]


@pytest.fixture(scope="module")
def fresh(demo):
    """By kind of request: prompts that no strength was found on, with the model's own replies."""
    return cache(lambda kind: _replied(demo, _prompts(2, ENOUGH[kind], kind)))


@pytest.fixture(scope="module")
def vectors(demo):
    return {name: extract(demo, ContrastSet.load(name)) for name in ("formality", "harm")}


@pytest.fixture
def few(monkeypatch) -> None:
    """A calibration set that is read quickly."""
    prompts = calibration_prompts()[:FEW]
    monkeypatch.setattr(nats, "calibration_prompts", lambda: prompts)


def test_divergences_are_kl_written_out(demo, vectors) -> None:
    """One forward pass of the bare model a row, with a hook, and the sum over the vocabulary in float64."""
    step = Intervention(vector="formality", strength=0.5)
    plan = plan_of(Recipe(interventions=(step,)), demo, vectors)
    (write,) = plan
    replied = _replied(demo, ["Write a note to my boss about the picnic.", "Hello."])
    found = divergences(demo, [plan], replied)[0]
    model, delta = demo.model._module, write.operation.strength * write.operation.direction

    def log_chances(ids, hooked: bool) -> torch.Tensor:
        layer = model.model.layers[write.block]
        handle = layer.register_forward_hook(lambda module, inputs, output: output + delta) if hooked else None
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double()
        if handle:
            handle.remove()
        return logits - logits.exp().sum(dim=-1, keepdim=True).log()

    expected = []
    for prompt, reply in replied:
        ids = (*prompt.ids, *reply)
        plain, steered = (log_chances(ids, hooked)[len(prompt) - 1 :] for hooked in (False, True))
        expected += (plain.exp() * (plain - steered)).sum(dim=-1).tolist()
    assert max(expected) > 0.1
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-5)  # float32 logits


ADD, ROTATE = ({"vector": "formality", "mode": mode} for mode in ("add", "rotate"))
ABLATE = {"vector": "harm", "mode": "ablate", "blocks": "everywhere"}


@pytest.mark.parametrize(
    ("fields", "kind", "budget"),
    [(ADD, None, 4.0), (ROTATE, None, 1.0), (ABLATE, "refusal", 0.25)],
)
def test_the_budget_is_what_is_measured_on_fresh_prompts(demo, vectors, fresh, fields, kind, budget) -> None:
    step = Intervention(**fields, strength=budget, unit="nats")
    found = calibrated(demo, step, vectors, prompts=_prompts(1, ENOUGH[kind], kind))
    assert found.measured == pytest.approx(budget, rel=0.05)
    assert 1 <= found.passes <= 6
    natural = step.model_copy(update={"strength": found.strength, "unit": "mean_difference"})
    plan = plan_of(Recipe(interventions=(natural,)), demo, vectors)
    measured = divergences(demo, [plan], fresh(kind))
    assert measured.shape[1] > 200
    assert float(np.percentile(measured.numpy(), 95)) == pytest.approx(budget, rel=0.25)
    if fields["mode"] == "ablate":
        assert 0 < found.strength < 1


def test_a_recipe_in_nats_writes_the_calibrated_strength_and_asks_once(demo, vectors, few, monkeypatch) -> None:
    step = Intervention(vector="formality", strength=-1.0, unit="nats")
    found = calibrated(demo, step, vectors)
    assert found.strength < 0  # the other way
    monkeypatch.setattr(nats, "divergences", None)  # nothing is measured again
    (write,) = plan_of(Recipe(interventions=(step,)), demo, vectors)
    vector = vectors["formality"]
    scale = float(vector.mean_differences[vector.default_block])
    assert write.operation.strength == pytest.approx(found.strength * scale)


def test_the_same_directions_with_another_default_block_are_measured_anew(demo, vectors, few) -> None:
    step = Intervention(vector="formality", strength=-1.0, unit="nats")
    vector = vectors["formality"]
    other = replace(vector, default_block=vector.default_block - 1)
    assert other.digest == vector.digest
    found = [calibrated(demo, step, {"formality": each}).strength for each in (vector, other)]
    assert abs(found[0] / found[1] - 1) > 0.2  # the block before holds the concept far more faintly
    assert calibrated(demo, step.model_copy(update={"unit": "raw"}), vectors).strength == found[0]  # no unit counts


def test_a_gate_does_not_count(demo, vectors, few) -> None:
    step = Intervention(vector="formality", strength=-1.0, unit="nats")
    gated = step.model_copy(update={"gate": GateSettings(vector="harm", threshold=100.0)})  # never open
    assert calibrated(demo, gated, vectors) == calibrated(demo, step, vectors)


def test_the_calibration_set_is_many_kinds_of_requests() -> None:
    prompts = calibration_prompts()
    assert len(set(prompts)) == len(prompts) >= 40


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strength": 0.0}, "a number above 0, or below it to steer away"),
        ({"strength": math.nan}, "a number above 0"),
        ({"mode": "ablate", "strength": -1.0}, "a number above 0"),
        ({"mode": "ablate", "strength": 30.0}, "at most"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(demo, vectors, few, fields, message) -> None:
    with pytest.raises(SteeringError, match=message):
        plan_of(Recipe(interventions=(Intervention(vector="formality", unit="nats", **fields),)), demo, vectors)
