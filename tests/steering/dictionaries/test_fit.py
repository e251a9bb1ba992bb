"""A dictionary is believed where it explains the states of the place that it names, and no neighbour better."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from steering.demo import examples
from steering.demo.tokens import encode
from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.fit import Pair, candidates, check_model, explained_variance, judge
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.model.host import Host
from tests.dictionary_support import made, saved


@pytest.fixture(scope="module")
def seen(demo: Host) -> dict[tuple[int, str], torch.Tensor]:
    """The demo model's states at every place, of some conversations without their first tokens, by plain hooks."""
    model = demo.model._module
    found: dict[tuple[int, str], list[torch.Tensor]] = {}
    handles = []

    def keep(block: int, site: str, value) -> None:
        value = value[0] if isinstance(value, tuple) else value
        found.setdefault((block, site), []).append(value[0, 1:].detach().float())

    for block, layer in enumerate(model.model.layers):
        for module, site in ((layer.self_attn, "attention_output"), (layer.mlp, "mlp_output"), (layer, "block_output")):
            handles.append(module.register_forward_hook(lambda m, i, o, block=block, site=site: keep(block, site, o)))
        for module, site in ((layer, "block_input"), (layer.mlp, "mlp_input")):
            handles.append(
                module.register_forward_pre_hook(
                    lambda m, a, k, block=block, site=site: keep(block, site, a[0] if a else k["hidden_states"]),
                    with_kwargs=True,
                )
            )
    with torch.no_grad():
        for example in examples(split="held_out", n=16, seed=3):
            model(torch.tensor([encode(demo.tokenizer, example.messages)[0]]))
    for handle in handles:
        handle.remove()
    return {place: torch.cat(parts) for place, parts in found.items()}


def at(dictionary: Dictionary, demo: Host, seen) -> dict[Pair, tuple[torch.Tensor, torch.Tensor]]:
    return {(read, given): (seen[read], seen[given]) for read, given in candidates(dictionary, demo)}


@pytest.mark.parametrize("name", ["block-1-sae", "block-1-transcoder", "block-3-sae", "block-3-transcoder"])
def test_the_shipped_ones_belong_where_they_say(name: str, demo: Host, seen) -> None:
    dictionary = load_dictionary(f"demo/{name}")
    assert check_model(dictionary, demo) == ()
    states = at(dictionary, demo, seen)
    assert len(states) >= 4
    found = judge(dictionary, states)
    assert found.fault == ""
    found.check(name)
    assert found.explained[found.named] > 0.9
    assert found.explained[found.named] == max(found.explained.values())
    assert found.l0 == pytest.approx(32, abs=1.5)
    read, given = states[found.named]
    rebuilt = dictionary.sae(read).detach()
    left = ((given - rebuilt) ** 2).sum() / ((given - given.mean(0)) ** 2).sum()
    assert explained_variance(dictionary, read, given) == pytest.approx(1 - float(left), abs=1e-5)


@pytest.mark.parametrize("name", ["block-1-sae", "block-3-sae", "block-1-transcoder", "block-3-transcoder"])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_wrong_block_is_told_with_the_right_one(name: str, step: int, demo: Host, seen) -> None:
    right = load_dictionary(f"demo/{name}")
    wrong = replace(right, reads=(right.reads[0] + step, right.reads[1]), gives=(right.gives[0] + step, right.gives[1]))
    found = judge(wrong, at(wrong, demo, seen))
    assert found.better == (right.reads, right.gives)
    with pytest.raises(SteeringError, match=rf"reads={right.reads[0]}:{right.reads[1]}") as caught:
        found.check(wrong.name)
    assert "does not describe" in str(caught.value)


@pytest.mark.parametrize("site", ["mlp_output", "attention_output"])
def test_a_wrong_site_is_told_with_the_right_one(site: str, demo: Host, seen) -> None:
    right = load_dictionary("demo/block-3-sae")
    wrong = replace(right, reads=(3, site), gives=(3, site))
    assert judge(wrong, at(wrong, demo, seen)).better == ((3, "block_output"), (3, "block_output"))


def test_another_models_dictionary_explains_no_place(demo: Host, seen, tmp_path) -> None:
    """Its width fits by chance (#436); so does one whose last block is described with a huge error (#410)."""
    other = load_dictionary(saved(tmp_path, "topk", d_in=192, k=16, hook="blocks.3.hook_resid_post"))
    assert check_model(other, demo) == ("It was trained on tiny-llama; this is demo.",)
    found = judge(other, at(other, demo, seen))
    assert found.explained[found.named] < 0
    assert found.better is None
    assert "no place nearby better" in found.fault


def test_topk_without_its_k_shows_in_how_many_are_active(demo: Host, seen, tmp_path) -> None:
    """Features that are each coordinate and its negative: half of them are always active, and nothing is left over."""
    sae = made("standard", d_in=192, d_sae=384, hook="blocks.3.hook_resid_post")
    sae.W_enc.data.copy_(torch.cat([torch.eye(192), -torch.eye(192)], dim=1))
    sae.W_dec.data.copy_(sae.W_enc.T)
    sae.b_enc.data.zero_()
    sae.save_model(tmp_path)
    plain = load_dictionary(tmp_path)
    found = judge(plain, at(plain, demo, seen))
    assert found.explained[found.named] > 0.99
    assert found.l0 == pytest.approx(192, abs=1)
    assert "TopK dictionary that is read without its k" in found.fault


def test_what_files_tell_of_the_wrong_model(demo: Host, tiny_host, tmp_path) -> None:
    sae = load_dictionary("demo/block-3-sae")
    with pytest.raises(SteeringError, match=r"width 192.*width 32"):
        check_model(sae, tiny_host("llama"))
    deep = load_dictionary(saved(tmp_path / "deep", "standard", d_in=192, hook="blocks.11.hook_resid_post"))
    with pytest.raises(SteeringError, match="belongs to block 11"):
        check_model(deep, demo)
    named = load_dictionary(saved(tmp_path / "named", "standard", d_in=32, hook="model.layers.2.mlp.output"))
    check_model(named, tiny_host("llama"))
    with pytest.raises(SteeringError, match="In this model that is not what block 2 has"):
        check_model(named, tiny_host("gemma2"))
    assert check_model(replace(sae, model=""), demo) == ("Its files do not say which model it was trained on.",)


def test_a_place_by_its_other_name_is_no_neighbour(demo: Host) -> None:
    sae = load_dictionary("demo/block-3-sae")
    before = replace(sae, reads=(3, "block_input"), gives=(3, "block_input"))
    places = [read for read, _ in candidates(before, demo)]
    assert places[0] == (3, "block_input")
    assert (2, "block_output") not in places
    assert (3, "block_output") in places
