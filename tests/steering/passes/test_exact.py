"""Distributions in pieces against the whole; studies on a device without float64, in half precision, within memory."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from steering.extraction.extract import extract
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.sites import ReadPlace
from steering.passes import exact
from steering.passes.decoding import generate
from steering.passes.exact import compared, divergence, losses_of, mass_of, sum_of_chances
from steering.passes.forced import read_forced
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.recipes.nats import calibrated
from steering.recipes.recipe import Intervention
from steering.studies import find_study
from steering.texts.contrast import ContrastSet
from steering.vectors.files import save_vector
from steering.vectors.token_readings import read_tokens
from tests.conftest import tiny_model
from tests.few_replies import few_replies
from tests.float64_guard import without_float64


@pytest.fixture(scope="module")
def half(lane, tokenizer):
    """A model in half precision, by study: a tiny one, unless it has to know something."""

    @cache
    def build(dtype, taught):
        if taught:
            return Host.load("demo", lane=lane, options=LoadOptions(dtype=dtype))
        model = deepcopy(tiny_model("llama")).to(getattr(torch, dtype))
        return Host.wrap(model, tokenizer, name=f"tiny-{dtype}", lane=lane)

    return lambda name, dtype: build(dtype, name in TAUGHT)


@pytest.fixture(scope="module")
def sentiment():
    """Of a model, by its name."""
    return cache(lambda host: extract(host, ContrastSet.load("sentiment"), name="sentiment"))


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = 5 * torch.randn(3, 5, 400, generator=generator)
    return base, base + torch.randn(3, 5, 400, generator=generator)


def test_what_is_told_of_a_replys_tokens_is_what_whole_distributions_give(logits, monkeypatch) -> None:
    monkeypatch.setattr(exact, "PIECE", 1500)
    (base, own), taken = (each[0] for each in logits), torch.tensor([3, 50, 7, 399, 0])
    p, q = (softmax(each.double().numpy(), axis=-1) for each in (base, own))
    told, rows = compared(base, own, taken, 6), np.arange(5)
    np.testing.assert_allclose(told.divergence, rel_entr(p, q).sum(axis=-1), rtol=1e-9)
    np.testing.assert_allclose(told.change, np.log(q[rows, taken] / p[rows, taken]), rtol=1e-9)
    assert told.tokens[:, 0].tolist() == taken.tolist()
    best = np.argsort(-np.maximum(p, q), axis=-1)[:, :6]
    assert told.tokens[:, 1:].tolist() == best.tolist()
    for found, chances in zip(told.chances, (p, q), strict=True):
        np.testing.assert_allclose(found, np.take_along_axis(chances, told.tokens.numpy(), axis=-1), rtol=1e-9)
    alone = compared(base, base, taken, 6)
    assert float(alone.divergence.sum()) == float(alone.change.abs().sum()) == 0.0
    assert alone.tokens[:, 1:].tolist() == np.argsort(-p, axis=-1)[:, :6].tolist()
    chances = np.take_along_axis(p, alone.tokens.numpy(), axis=-1)
    np.testing.assert_allclose(alone.chances[1], chances, rtol=1e-4)  # float32


@pytest.mark.parametrize("piece", [1, 1500, 2**20])
def test_pieces_give_what_the_whole_gives(logits, monkeypatch, piece: int) -> None:
    """Beside scipy in float64; pieces of one row, of three, and one for all."""
    monkeypatch.setattr(exact, "PIECE", piece)
    p, q = (each.double().numpy() for each in logits)
    chances = softmax(p, axis=-1)
    np.testing.assert_allclose(divergence(*logits), rel_entr(chances, softmax(q, axis=-1)).sum(axis=-1), rtol=1e-9)
    smoothed = (chances * (np.log(chances + 1e-6) - np.log(softmax(q, axis=-1) + 1e-6))).sum(axis=-1)
    np.testing.assert_allclose(divergence(*logits, smoothing=1e-6), smoothed, rtol=1e-9)
    np.testing.assert_allclose(mass_of(logits[0], [[1, 7], [3]])[..., 0], chances[..., 1] + chances[..., 7], rtol=1e-9)
    np.testing.assert_allclose(sum_of_chances(logits[0][0]), chances[0].sum(axis=0), rtol=1e-9)
    taken = torch.arange(15).reshape(3, 5)
    picked = np.take_along_axis(log_softmax(p, axis=-1), taken.numpy()[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(losses_of(logits[0], taken), -picked, rtol=1e-9)
    assert (divergence(logits[0], logits[0]) == 0).all()
    assert mass_of(logits[0][0, 0], [[2]]).shape == (1,)
    assert divergence(*logits).dtype == torch.float64


def test_the_guard_catches_float64_on_the_device(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, "Hello.")

    def read(place: ReadPlace, states: torch.Tensor) -> None:
        states.double()

    def work() -> None:
        batch, schedule = Batch.of(host, [prompt]), Schedule(host, [()])
        read_prompts(host, batch, schedule, read=read, places=[(1, "block_output")])

    host.run(lambda job: work(), title="free")
    with without_float64(host.model._module), pytest.raises(Exception, match="float64"):
        host.run(lambda job: work(), title="guarded")
    host.run(lambda job: work(), title="free again")


def test_the_guard_catches_a_helper_that_thinks_there_is_float64(tiny_host, monkeypatch) -> None:
    host = tiny_host("llama")
    replied = [(render(host, "Hello."), (5, 6, 7))]
    with without_float64(host.model._module):
        forced = host.run(lambda job: read_forced(host, [()], replied), title="read")
        assert forced.losses.shape == (1, 1, 3)
        monkeypatch.setattr(exact, "has_float64", lambda device: True)
        with pytest.raises(TypeError, match="float64"):
            _ = forced.losses


TINY: dict[str, dict[str, object]] = {
    "extract": {"contrast": "sentiment", "split_half": False},
    "methods": {"contrast": "sentiment"},
    "grid": {
        "x": "strength: 0, 1",
        "recipe": {"interventions": [{"vector": "sentiment"}], "decode": {"max_new_tokens": 3, "temperature": 1}},
    },
    "refusal": {
        "n_train": 4,
        "n_validation": 2,
        "n_test": 2,
        "arms": "ablate, affine, leace, weights",
        "random": 1,
        "reply_tokens": 2,
        "questions": 1,
        "last_only": True,
    },
    "tradeoff": {
        "recipes": "sentiment",
        "alignment": "honesty",
        "strengths": "-1, 0, 1",
        "n": 2,
        "n_replies": 2,
        "reply_tokens": 4,
        "random": 1,
        "compare": "ablation, prompt",
        "also": "sums, perplexity",
    },
    "probe": {
        "statements": "demo",
        "n": 20,
        "steps": 5,
        "restarts": 2,
        "random": 5,
        "permutations": 100,
        "aqi_n": 10,
        "cause": (),
        "blocks": "1-2",
    },
    "train": {"data": "demo-formality", "n": 8, "losses": "dpo", "steps": 2, "batch": 2}
    | {"replies": 1, "reply_tokens": 4, "random": 0, "shuffled": False, "budget": None},
    "pair_worth": {"data": "demo-formality", "n": 5, "n_held_out": 2, "steps": 2, "points": 2, "sizes": ""},
}


TAUGHT = ("refusal",)
"""Where no direction is found in a model that does not refuse, so that there is nothing to do to it."""


def run(host, name: str, sentiment, folder, **more):
    study, given = find_study(name), TINY[name] | more
    if name in ("grid", "tradeoff"):
        save_vector(sentiment(host), folder / "sentiment.safetensors")
        given["vectors"] = str(folder)
    with few_replies(2):
        return study.start(host, study.parse(given)).result()


@pytest.mark.parametrize("name", TINY)
def test_every_study_runs_on_a_device_without_float64(demo, tiny_host, sentiment, tmp_path, name: str) -> None:
    host = demo if name in TAUGHT else tiny_host("llama")
    with without_float64(host.model._module):
        result = run(host, name, sentiment, tmp_path)
    assert result.measures or result.tables


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "bfloat16") for name in TINY if name != "methods"), ("extract", "float16"), ("refusal", "float16")],
)
def test_every_study_runs_in_half_precision(half, sentiment, tmp_path, name: str, dtype: str) -> None:
    host = half(name, dtype)
    assert str(host.model._module.dtype) == f"torch.{dtype}"
    # What is estimated: a CPU takes long for a pass in float16, and bfloat16 has all of them.
    few_arms = {"arms": "affine, leace"} if (name, dtype) == ("refusal", "float16") else {}
    result = run(host, name, sentiment, tmp_path, **few_arms)
    assert result.measures or result.tables
    assert result.vectors or name in ("grid", "tradeoff", "pair_worth")
    for vector in result.vectors.values():
        assert torch.isfinite(vector.directions).all()


def test_readings_and_draws_run_on_a_device_without_float64(demo, sentiment) -> None:
    """What Steer does: streams, draws, tokens read again, and a strength in nats."""
    recipe, vector = Intervention(vector="sentiment", strength=0.5, unit="nats"), sentiment(demo)
    with without_float64(demo.model._module):
        rows = [Row(render(demo, "Write a note.")), Row(render(demo, "Write a note."), against=0)]
        replies = generate(demo, rows, DecodeSettings(max_new_tokens=4, temperature=1.0, top_p=0.9))
        read = read_tokens(demo, rows, [reply.ids for reply in replies], vector=vector)
        assert all(each.divergence < 1e-9 for each in read[1])
        assert calibrated(demo, recipe, {"sentiment": vector}, prompts=["Hello.", "What is a bank?"]).measured > 0
