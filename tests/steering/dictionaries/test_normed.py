"""Transcoders of Gemma Scope's kind, which read the normed state before the norm's weight, on a model that has one."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from steering.dictionaries.fit import check_model
from steering.dictionaries.loading import load_dictionary
from steering.dictionaries.normed import as_if_here, on_model
from steering.errors import SteeringError
from steering.extraction.features import vector_of_feature
from steering.model.host import Host
from steering.model.mlp_norm import _told_apart, affine_before_mlp
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.studies.features.streams import stream_tokens
from tests.conftest import tiny_model
from tests.dictionary_support import saved


BLOCK, WIDTH, FEATURES = 2, 32, 96
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A tiny Gemma 2 whose norms have weights of their own."""
    made, generator = copy.deepcopy(tiny_model("gemma2")), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 1.5 - 0.5)
    return made


@pytest.fixture(scope="module")
def host(model, tokenizer, lane) -> Host:
    return Host.wrap(model, tokenizer, name="tiny-gemma", lane=lane)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = saved(tmp_path_factory.mktemp("dictionary"), "jumprelu_skip_transcoder", d_in=WIDTH, d_out=WIDTH)
    text = (folder / "cfg.json").read_text()
    (folder / "cfg.json").write_text(text.replace(f"blocks.{BLOCK}.mlp.hook_in", f"blocks.{BLOCK}.ln2.hook_normalized"))
    return load_dictionary(folder)


@pytest.fixture(scope="module")
def prompt(host):
    return render(host, "Write a note to my boss about the meeting.")


@pytest.fixture(scope="module")
def normed(model, prompt) -> torch.Tensor:
    """x / rms(x) of what enters the norm before the MLP, as TransformerLens has it, (token, width)."""
    seen = {}
    norm = model.model.layers[BLOCK].pre_feedforward_layernorm
    hook = norm.register_forward_hook(lambda module, inputs, output: seen.update(x=inputs[0][0], eps=module.eps))
    with torch.no_grad():
        model(torch.tensor([prompt.ids]))
    hook.remove()
    return seen["x"] / (seen["x"].square().mean(dim=-1, keepdim=True) + seen["eps"]).sqrt()


def test_it_reads_what_transformer_lens_has_there(host, model, loaded, prompt, normed) -> None:
    assert (loaded.reads, loaded.before_weight) == ((BLOCK, "mlp_input"), True)
    check_model(loaded, host)
    ((_, read),) = stream_tokens(host, [prompt], [loaded.reads], first=True)
    states = read[loaded.reads]
    weight = 1 + model.model.layers[BLOCK].pre_feedforward_layernorm.weight.detach()
    torch.testing.assert_close(states, normed * weight, **CLOSE)
    assert (states - normed).abs().max() > 0.5  # it is not the same
    with pytest.raises(SteeringError, match="on_model"):
        loaded.encode(states)
    found = on_model(loaded, host)
    with torch.no_grad():
        own, given = found.sae.encode(normed), found.sae(normed)
    assert 0.05 < (own > 0).float().mean() < 0.95
    torch.testing.assert_close(found.encode(states).of(range(FEATURES)), own, **CLOSE)
    torch.testing.assert_close(found.activations(states, [3, 50]), own[:, [3, 50]], **CLOSE)
    torch.testing.assert_close(found.reconstruct(states), given, **CLOSE)  # the skip reads it so, too
    assert found.digest == loaded.digest


def test_a_recipe_switches_its_feature_off_as_a_hook_does(host, model, loaded, prompt, normed) -> None:
    with torch.no_grad():
        active = loaded.sae.encode(normed)
    feature = int(active[-1].argmax())
    vector = vector_of_feature(host, loaded, feature, maximum=1.0, read_on="a note", name="loud")
    recipe = Recipe.model_validate({"interventions": [{"vector": "loud", "mode": "feature_off"}]})
    rows = [Row(prompt), Row(prompt, plan_of(recipe, host, {"loud": vector}))]
    plain, off = next_token_logits(host, rows)
    assert (plain - off).abs().max() > 0.1

    def without(module, inputs, output):
        return output - active[:, [feature]] * loaded.sae.W_dec[feature]

    hook = model.model.layers[BLOCK].post_feedforward_layernorm.register_forward_hook(without)
    with torch.no_grad():
        expected = model(torch.tensor([prompt.ids])).logits[0, -1]
    hook.remove()
    torch.testing.assert_close(off, expected[: len(off)], rtol=1e-3, atol=1e-3)


def test_another_blocks_states_are_read_as_if_they_were_its_own(host, model, loaded) -> None:
    layers = model.model.layers
    normal = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    there, here = (normal * (1 + layers[block].pre_feedforward_layernorm.weight.detach()) for block in (1, BLOCK))
    torch.testing.assert_close(as_if_here(on_model(loaded, host), host, 1, there), here, **CLOSE)


def test_where_no_norm_can_be_told_it_is_refused(host, loaded) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.tanh()

    assert _told_apart(Odd(), WIDTH) is None
    assert _told_apart(nn.Linear(WIDTH, WIDTH), WIDTH) is None
    bare = copy.copy(host)
    blocks = tuple(replace(each, mlp_norm="") for each in host.sites.blocks)
    bare.sites = replace(host.sites, blocks=blocks)
    with pytest.raises(SteeringError, match="no norm was found whose output enters the MLP"):
        check_model(loaded, bare)
    bare.base = bare
    with pytest.raises(SteeringError, match="no norm before its MLP"):
        affine_before_mlp(bare, BLOCK)
