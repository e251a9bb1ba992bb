"""Weight orthogonalisation equals ablation where it can, and is refused where it cannot."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.sites import SITES
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.recipes import orthogonal
from steering.recipes.orthogonal import orthogonalised, save_model
from steering.writes.interventions import Write
from steering.writes.operations import Ablate
from tests.conftest import ARCHITECTURES, tiny_model
from tests.families import tiny_family


POST_NORM = ("gemma2", "gemma3_text", "olmo2")
TEXTS = ("Goodbye now.", "Tell me what a harbour looks like in the evening.")


def _direction() -> torch.Tensor:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(5))
    return vector / vector.norm()


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in POST_NORM])
def test_the_copy_gives_the_logits_of_ablation_and_the_model_stays_as_it_is(architecture, tiny_host) -> None:
    host, u = tiny_host(architecture), _direction()
    prompts = [render(host, text) for text in TEXTS]
    before = next_token_logits(host, [Row(prompt) for prompt in prompts])
    edited = orthogonalised(host, u)
    places = [(block, site) for block in range(4) for site in SITES if site != "block_output"]
    plan = tuple(Write(Ablate(u), block, site) for block, site in places)
    ablated = next_token_logits(host, [Row(prompt, plan) for prompt in prompts])
    found = next_token_logits(edited, [Row(prompt) for prompt in prompts])
    assert (before - ablated).abs().max() > 0.1
    torch.testing.assert_close(found, ablated, rtol=1e-3, atol=5e-3)  # float32 logits of size 20
    assert torch.equal(next_token_logits(host, [Row(prompt) for prompt in prompts]), before)


LAYOUTS = ("gpt_oss", "llama4_text", "granitemoehybrid", "dbrx", "mamba2", "lfm2", "qwen3_next", "recurrent_gemma")
"""Experts as (expert, in, out) or in one matrix, and mixers of hybrids and of state spaces."""


@pytest.mark.parametrize("family", LAYOUTS)
def test_experts_and_mixers_of_other_layouts_are_reached(family, tokenizer, lane) -> None:
    host, u = Host.wrap(tiny_family(family), tokenizer, name=family, lane=lane), _direction()
    prompts = [render(host, text) for text in TEXTS]
    before = next_token_logits(host, [Row(prompt) for prompt in prompts])
    plan = tuple(Write(Ablate(u), block, site) for block, site in host.sites.everywhere())
    ablated = next_token_logits(host, [Row(prompt, plan) for prompt in prompts])
    found = next_token_logits(orthogonalised(host, u), [Row(prompt) for prompt in prompts])
    assert (before - ablated).abs().max() > 0.1 * before.std()
    torch.testing.assert_close(found, ablated, rtol=1e-3, atol=5e-3)


def test_square_experts_are_told_apart_by_what_enters_them() -> None:
    """(expert, 32, 32) says nothing; the matrices in front are (expert, in, out) or (expert, out, in)."""

    class Experts(torch.nn.Module):
        def __init__(self, *entering: int) -> None:
            super().__init__()
            self.gate_up_proj = torch.nn.Parameter(torch.zeros(4, *entering))
            self.down_proj = torch.nn.Parameter(torch.zeros(4, 32, 32))

    for entering, axis in (((32, 64), 2), ((64, 32), 1)):
        module = Experts(*entering)
        assert orthogonal._axis(module, "layers.0.mlp.experts", "down_proj", module.down_proj, 32) == axis


def test_what_cannot_be_reached_is_refused_by_its_name(tiny_host, tokenizer, lane, monkeypatch) -> None:
    monkeypatch.setattr(orthogonal, "_WRITERS", tuple(name for name in orthogonal._WRITERS if name != "down_proj"))
    host = Host.wrap(deepcopy(tiny_model("llama")), tokenizer, name="odd", lane=lane)
    with pytest.raises(SteeringError, match=r"left along it: 0\.mlp, 1\.mlp, 2\.mlp, 3\.mlp"):
        orthogonalised(host, _direction())


@pytest.mark.parametrize("architecture", POST_NORM)
def test_a_norm_in_between_is_refused_with_the_reason(architecture, tiny_host) -> None:
    with pytest.raises(SteeringError, match="norms what attention and MLP write"):
        orthogonalised(tiny_host(architecture), _direction())


def test_a_copy_that_does_not_equal_ablation_is_refused(tiny_host, tokenizer, lane, monkeypatch) -> None:
    """Planted: one of the matrices goes by a name that nobody knows."""
    monkeypatch.setattr(orthogonal, "_WRITERS", ("o_proj",))
    host = Host.wrap(deepcopy(tiny_model("llama")), tokenizer, name="odd", lane=lane)
    with pytest.raises(SteeringError, match="do not give the logits of ablation"):
        orthogonalised(host, _direction())


def test_half_precision_is_orthogonal_up_to_its_rounding(tokenizer, lane) -> None:
    host = Host.wrap(deepcopy(tiny_model("llama")).bfloat16(), tokenizer, name="half", lane=lane)
    edited = orthogonalised(host, _direction())
    weight = edited.model._module.model.layers[1].mlp.down_proj.weight.float()
    plain = host.model._module.model.layers[1].mlp.down_proj.weight.float()
    assert (_direction() @ plain).abs().max() > 0.2
    assert (_direction() @ weight).abs().max() < 0.02  # eight bits of each of 32 numbers


def test_only_a_unit_vector_is_taken(tiny_host) -> None:
    with pytest.raises(SteeringError, match="unit"):
        orthogonalised(tiny_host("llama"), 2 * _direction())


def test_a_saved_copy_loads_again_with_the_same_logits(demo, tmp_path, lane) -> None:
    """Its embeddings were tied: on disk they must not be, or the output would be orthogonalised too."""
    from steering.demo.planted import planted_vector

    vector = planted_vector("demo")
    edited = orthogonalised(demo, vector.directions[0])
    folder = save_model(edited, tmp_path / "model", made_from=demo, vectors=[vector])
    again = Host.load(str(folder), lane=lane)
    rows = [Row(render(host, "How do I rob a bank?")) for host in (demo, edited, again)]
    plain, here, there = (next_token_logits(host, [row]) for host, row in zip((demo, edited, again), rows, strict=True))
    assert (plain - here).abs().max() > 1
    torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-4)
    assert list(folder.glob("*.safetensors"))
    assert json.loads((folder / "orthogonalised.json").read_text())["made_from"] == "demo"
