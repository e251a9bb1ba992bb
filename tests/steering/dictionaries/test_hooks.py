"""Names of hooks mean one block and site, or are refused with what they mean."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from steering.dictionaries.hooks import check_hook, read_hook, told_where
from steering.errors import SteeringError
from steering.model import mlp_norm
from tests.conftest import tiny_model


SITES = ("block_input", "attention_output", "mlp_input", "mlp_output", "block_output")
NAMES: dict[str, tuple[str, ...]] = {
    "TransformerLens": ("hook_resid_pre", "hook_attn_out", "mlp.hook_in", "hook_mlp_out", "hook_resid_post"),
}
LLAMA = ("input", "self_attn.output", "post_attention_layernorm.output", "mlp.output", "output")
PATHS = {
    "llama": ("model.layers", LLAMA),
    "qwen2": ("model.layers", ("input", "self_attn", "mlp.input", "mlp", "")),
    "qwen3": ("model.layers", ("input", "self_attn.o_proj.output", "mlp.input", "mlp.down_proj.output", "output")),
    "gpt2": ("transformer.h", ("input", "attn.output", "ln_2.output", "mlp.c_proj.output", "output")),
    "gemma2": (
        "model.layers",
        ("input", "", "pre_feedforward_layernorm.output", "post_feedforward_layernorm.output", "output"),
    ),
    "gemma3_text": (
        "model.language_model.layers",
        ("input", "", "pre_feedforward_layernorm.output", "post_feedforward_layernorm.output", "output"),
    ),
}


@pytest.mark.parametrize("block", [0, 2, 41])
def test_transformer_lens_names_at_every_site(block: int) -> None:
    for name, site in zip(NAMES["TransformerLens"], SITES, strict=True):
        assert read_hook(f"blocks.{block}.{name}").where == (block, site)
    assert read_hook(f"block {block} mlp_input").where == (block, "mlp_input")  # our own words


@pytest.mark.parametrize("family", PATHS)
def test_module_paths_of_each_family_at_every_site(family: str) -> None:
    blocks, tails = PATHS[family]
    for tail, site in zip(tails, SITES, strict=True):
        if site == "attention_output" and family.startswith("gemma"):
            continue  # refused below
        assert read_hook(f"{blocks}.2.{tail}".rstrip(".")).where == (2, site)


@pytest.mark.parametrize("family", PATHS)
def test_what_a_path_names_is_what_the_model_has_there(family: str, tiny_host) -> None:
    """The module's own tensor, beside what our site is in that model: the mapping's ground truth."""
    host, model = tiny_host(family), tiny_model(family)
    _, tails = PATHS[family]
    module = model.get_submodule(host.sites.blocks_path)[2]
    seen: dict[str, torch.Tensor] = {}

    def first(value):
        return (value[0] if isinstance(value, tuple) else value).detach()

    handles = []
    for tail, site in zip(tails, SITES, strict=True):
        if site == "attention_output" and family.startswith("gemma"):
            continue
        name = tail.removesuffix("input").removesuffix("output").strip(".")
        target = module.get_submodule(name) if name else module

        def read(module, args, kwargs, output, site=site, tail=tail) -> None:
            inside = args[0] if args else kwargs.get("hidden_states")
            seen[site] = first(inside if tail.endswith("input") else output)

        handles.append(target.register_forward_hook(read, with_kwargs=True))
        check_hook(read_hook(f"{PATHS[family][0]}.2.{tail}".rstrip(".")), host.sites, tail)
    with torch.no_grad():
        model(torch.arange(5, 17)[None])
    for handle in handles:
        handle.remove()
    added = seen["block_output"] - seen["block_input"] - seen["mlp_output"]
    if "attention_output" in seen:  # the sites add up, as `steering.model.sites` has them
        torch.testing.assert_close(seen["attention_output"], added, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        mlp = module.mlp(seen["mlp_input"])
        mlp = module.post_feedforward_layernorm(mlp) if family.startswith("gemma") else mlp
    torch.testing.assert_close(mlp, seen["mlp_output"], rtol=1e-4, atol=1e-4)


def block_states(model: Any) -> dict[str, torch.Tensor]:
    """What our sites are in block 2, from the block's and the MLP's own inputs and outputs, and their sum."""
    block = next(each for name, each in model.named_modules() if name.endswith((".layers.2", ".h.2")))
    seen: dict[str, torch.Tensor] = {}

    def keep(into: str, out: str):
        def hook(module, args, kwargs, output) -> None:
            seen[into] = args[0] if args else kwargs["hidden_states"]
            seen[out] = output[0] if isinstance(output, tuple) else output

        return hook

    behind = getattr(block, "post_feedforward_layernorm", None)
    handles = [
        block.register_forward_hook(keep("block_input", "block_output"), with_kwargs=True),
        block.mlp.register_forward_hook(keep("mlp_input", "mlp_output"), with_kwargs=True),
    ]
    if behind is not None:
        handles.append(behind.register_forward_hook(keep("", "mlp_output"), with_kwargs=True))
    with torch.no_grad():
        model(torch.arange(5, 17)[None])
    for handle in handles:
        handle.remove()
    seen["attention_output"] = seen["block_output"] - seen["block_input"] - seen["mlp_output"]
    return seen


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gemma2", "gemma3_text"])
def test_transformer_lens_has_there_what_its_names_are_read_as(
    family: str, tokenizer, tiny_host, tmp_path: Path
) -> None:
    """TransformerLens itself, on a model whose norms have weights: each name against our site's own state."""
    from transformer_lens.model_bridge import TransformerBridge

    model, generator = copy.deepcopy(tiny_model(family)), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.5 + 0.8)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    states = block_states(model)
    with torch.no_grad():
        _, lens = TransformerBridge.boot_transformers(str(tmp_path), device="cpu").run_with_cache(
            torch.arange(5, 17)[None]
        )
    raw = ("attn.hook_out", "mlp.hook_out")
    for name in (*NAMES["TransformerLens"], "hook_in", "hook_out", *raw):
        hook = read_hook(f"blocks.2.{name}")
        same = torch.allclose(lens[f"blocks.2.{name}"], states[hook.site], rtol=1e-3, atol=1e-4)
        # A module by itself is not what is added where a norm stands behind it, which the model's sites tell.
        assert same == (name not in raw or not family.startswith("gemma"))
        if same:
            check_hook(hook, tiny_host(family).sites, name)
        else:
            with pytest.raises(SteeringError):
                check_hook(hook, tiny_host(family).sites, name)
    normed, hook = lens["blocks.2.ln2.hook_normalized"], read_hook("blocks.2.ln2.hook_normalized")
    assert (normed - states["mlp_input"]).abs().max() > 0.1  # since the norm's weight is not in it
    assert (hook.where, hook.before_weight) == ((2, "mlp_input"), True)
    sites = tiny_host(family).sites
    path = f"{sites.blocks_path}.2.{sites.blocks[2].mlp_norm}"
    factor, addend = mlp_norm._told_apart(model.get_submodule(path), 32)
    assert (factor - 1).abs().max() > 0.1
    torch.testing.assert_close(normed * factor + addend, states["mlp_input"], rtol=1e-3, atol=1e-4)
    assert lens["blocks.2.attn.hook_z"].ndim == 4  # refused: heads


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("blocks.3.attn.hook_z", "side by side"),
        ("model.layers.3.self_attn.o_proj.input", "side by side"),
        ("transformer.h.3.attn.c_proj.input", "side by side"),
        ("blocks.3.hook_resid_mid", "between attention and MLP"),
        ("blocks.3.hook_mlp_in", "the stream before the norm in TransformerLens"),
        ("blocks.3.mlp.hook_post", "neurons"),
        ("model.layers.3.mlp.down_proj.input", "neurons"),
        ("model.layers.3.self_attn.input", "enters attention"),
        ("model.layers.3.input_layernorm.output", "no site"),
        ("blocks.3.hook_resid_mid_extra", "no site"),
        ("hook_embed", "embeddings"),
        ("model.vision_tower.encoder.layers.3", "another part"),
        ("resid_post_layer_8", "no block"),
        ("block 3 nonsense", "no site"),
        ("", "no block"),
    ],
)
def test_names_that_mean_no_site_say_why(name: str, reason: str) -> None:
    with pytest.raises(SteeringError, match=reason) as caught:
        read_hook(name)
    assert "reads=3:block_output" in str(caught.value)  # what to do


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("gemma2", "model.layers.2.mlp.output"),
        ("gemma2", "model.layers.2.self_attn.output"),
        ("gemma3_text", "blocks.2.mlp.hook_out"),
        ("gemma3_text", "blocks.2.attn.hook_out"),
        ("gemma2", "model.layers.2.post_attention_layernorm.output"),
        ("olmo2", "model.layers.2.mlp"),
    ],
)
def test_a_module_with_a_norm_behind_it_is_not_the_site(family: str, name: str, tiny_host) -> None:
    with pytest.raises(SteeringError, match="In this model that is not what block 2 has"):
        check_hook(read_hook(name), tiny_host(family).sites, name)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_without_one_it_is(family: str, tiny_host) -> None:
    for name in ("blocks.2.mlp.hook_out", "blocks.2.attn.hook_out", "blocks.2.hook_mlp_out"):
        check_hook(read_hook(name), tiny_host(family).sites, name)


@pytest.mark.parametrize("told", ["3:block_output", "block 3 block_output", "3 block_output", (3, "block_output")])
def test_what_is_told_is_a_block_and_a_site(told) -> None:
    assert told_where(told).where == (3, "block_output")


@pytest.mark.parametrize("told", ["block_output", "3", "3:resid", "-1:block_output", "", "3:block_output:4"])
def test_what_is_told_wrongly_is_refused(told: str) -> None:
    with pytest.raises(SteeringError, match="block and one of"):
        told_where(told)
