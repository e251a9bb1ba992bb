"""Weights that are missing, damaged, left over or no numbers are noticed, by name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from loading_support import edited, randomise, saved, with_tokenizer
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host


_SIZES = {
    "vocab_size": 3072,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "eos_token_id": None,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return saved(randomise(LlamaForCausalLM(LlamaConfig(**_SIZES))), tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def change(folder, work) -> None:
    """Edit the tensors of a folder."""
    tensors = load_file(folder / "model.safetensors")
    work(tensors)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def refused(folder, lane, **options) -> str:
    with pytest.raises(SteeringError) as caught:
        Host.load(str(folder), lane=lane, options=LoadOptions(**options))
    assert "spelling" not in str(caught.value)
    assert "network" not in str(caught.value)
    return str(caught.value)


def test_a_whole_model_loads_without_a_word(folder, lane) -> None:
    assert not [note for note in Host.load(str(folder), lane=lane).info.notes if "end token" not in note]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lm_head.weight", r"output head is not in its files.*lm_head\.weight"),
        ("model.layers.1.mlp.up_proj.weight", r"model\.layers\.1\.mlp\.up_proj\.weight"),
        ("model.norm.weight", r"model\.norm\.weight"),
        ("model.embed_tokens.weight", r"model\.embed_tokens\.weight"),
    ],
)
def test_a_tensor_that_is_not_there_is_named(name, said, folder, lane) -> None:
    change(folder, lambda tensors: tensors.pop(name))
    assert re.search(said, refused(folder, lane))
    host = Host.load(str(folder), lane=lane, options=LoadOptions(allow_missing=True))
    assert any(name in note for note in host.info.notes)  # who knows may go on, and it stays written there


def test_a_layer_that_is_not_there_is_named(folder, lane) -> None:
    def drop(tensors):
        for name in [name for name in tensors if ".layers.2." in name]:
            del tensors[name]

    change(folder, drop)
    assert re.search(r"9 tensors are not in its files: model\.layers\.2\.", refused(folder, lane))


def test_more_blocks_in_the_files_than_in_the_configuration(folder, lane) -> None:
    edited(folder, num_hidden_layers=2)
    assert re.search(r"more blocks than the 2 of its configuration: model\.layers\.2\.", refused(folder, lane))


def test_a_tensor_without_a_place_in_a_block_is_named(folder, lane) -> None:
    change(folder, lambda tensors: tensors.update({"model.layers.0.self_attn.q_norm.weight": torch.ones(8)}))
    assert re.search(r"without a place in a LlamaForCausalLM.*q_norm\.weight", refused(folder, lane))


def test_an_adapter_left_in_the_weights_is_named(folder, lane) -> None:
    change(folder, lambda tensors: tensors.update({"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(2, 32)}))
    assert re.search(r"without a place.*lora_A", refused(folder, lane))


def test_old_buffers_are_no_false_alarm(folder, lane) -> None:
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4), "model.position_ids": torch.arange(9)[None]}
    change(folder, lambda tensors: tensors.update(old))
    assert Host.load(str(folder), lane=lane).info.blocks == 3


def test_tied_weights_and_masks_of_gpt2_are_no_false_alarm(tmp_path, lane) -> None:
    config = GPT2Config(vocab_size=3072, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=None)
    folder = saved(randomise(GPT2LMHeadModel(config)), tmp_path / "gpt2")

    def as_it_was_once_saved(tensors):
        assert "lm_head.weight" not in tensors  # tied to the embedding
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
        tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)

    change(folder, as_it_was_once_saved)
    assert Host.load(str(folder), lane=lane).info.blocks == 2


def test_a_shape_that_is_not_the_configurations_is_named(folder, lane) -> None:
    change(folder, lambda tensors: tensors.update({"model.layers.1.mlp.up_proj.weight": torch.ones(48, 32)}))
    assert re.search(r"up_proj\.weight: \(48, 32\) in the files, \(64, 32\)", refused(folder, lane))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(value, folder, lane) -> None:
    change(folder, lambda tensors: tensors["model.layers.1.mlp.up_proj.weight"][0, 0].fill_(value))
    assert re.search(r"NaN or infinite.*up_proj\.weight", refused(folder, lane))
    assert "NaN" in refused(folder, lane, allow_missing=True)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_a_file_that_ends_too_early_is_damaged(share, folder, lane) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * share)])
    assert re.search(r"model\.safetensors' is damaged", refused(folder, lane))


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    ],
)
def test_a_git_lfs_pointer_is_named(name, folder, lane) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123456\n")
    assert re.search(rf"{name}' is a Git LFS pointer.*git lfs pull", refused(folder, lane))


@pytest.fixture
def sharded(folder):
    """The same model in two files."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in files.items():
        save_file({name: tensors[name].contiguous() for name in part}, folder / file, {"format": "pt"})
    where = {name: file for file, part in files.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def test_shards_load_and_one_that_is_absent_is_named(sharded, lane) -> None:
    assert Host.load(str(sharded), lane=lane).info.blocks == 3
    (sharded / "two.safetensors").unlink()
    assert re.search(r"1 of the 2 weights files are not in .*two\.safetensors", refused(sharded, lane))
    (sharded / "model.safetensors.index.json").write_text("[]")
    assert "no index of weights files" in refused(sharded, lane)


def test_a_file_of_torch_loads_and_a_damaged_one_is_said(folder, lane) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert Host.load(str(folder), lane=lane).info.blocks == 3
    content = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(content[: len(content) // 2])
    assert "cut short" in refused(folder, lane)
    (folder / "pytorch_model.bin").write_bytes(b"<html>not found</html>")
    assert "not written by torch" in refused(folder, lane)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 10**12}, r"vocab_size = 1,000,000,000,000"),
        (
            {"vocab_size": 10**9},
            r"64,000,\d+,\d+ parameters, of them model\.embed_tokens\.weight with 1,000,000,000 × 32",
        ),
        ({"num_hidden_layers": 3_000_000}, r"num_hidden_layers = 3,000,000"),
        ({"num_hidden_layers": 9_000}, r"9,000 blocks; the weights files hold 30 tensors"),
        ({"intermediate_size": 10**9}, r"the weights files hold .* bytes"),
        ({"hidden_size": -4}, r"configuration"),
        ({"num_attention_heads": 0}, r"configuration"),
        ({"hidden_size": "wide"}, r"configuration"),
    ],
)
def test_hostile_configurations_are_told_before_memory_is_taken(changes, said, folder, lane) -> None:
    assert re.search(said, refused(edited(folder, **changes), lane))


def test_packed_weights_whose_configuration_does_not_say_so(folder, lane) -> None:
    change(folder, lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(64, 32, dtype=torch.int8)}))
    assert re.search(r"whole numbers \(model\.layers\.0\.mlp\.up_proj\.weight", refused(folder, lane))


def test_a_pickle_runs_no_code(folder, lane, tmp_path) -> None:
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    weights = {**load_file(folder / "model.safetensors"), "model.norm.weight": Hostile()}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "its weights cannot be read" in refused(folder, lane)
    assert not (tmp_path / "it ran").exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)  # it would have
    assert (tmp_path / "it ran").exists()


def test_files_outside_the_folder_and_links_to_nowhere_are_not_read(sharded, lane) -> None:
    file = sharded / "model.safetensors.index.json"
    (sharded / "one.safetensors").rename(sharded.parent / "one.safetensors")
    file.write_text(file.read_text().replace("one.safetensors", "../one.safetensors"))
    assert re.search(r"not in .*\.\./one\.safetensors", refused(sharded, lane))
    file.unlink()
    (sharded / "model.safetensors").symlink_to("/nowhere/blob")
    assert "a link to a file that is not there: /nowhere/blob" in refused(sharded, lane)


def test_a_head_that_transformers_ties_is_not_asked_for(tmp_path, lane) -> None:
    model = randomise(LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=True)))
    assert Host.load(str(saved(model, tmp_path / "tied")), lane=lane).info.blocks == 3


def test_a_bare_base_model_is_refused_by_its_head(tmp_path, lane) -> None:
    folder = tmp_path / "bare"
    randomise(LlamaForCausalLM(LlamaConfig(**_SIZES))).model.save_pretrained(folder)
    assert "output head is not in its files" in refused(with_tokenizer(folder), lane)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "transformer."])
def test_tensors_under_other_names_are_found_by_what_stands_before_them(prefix, folder, lane) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, folder / "pytorch_model.bin")
    assert f"under other names, each with '{prefix}' in front" in refused(folder, lane)


def test_the_checkpoint_of_a_training_is_said(folder, lane) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": tensors, "step": 3}, folder / "pytorch_model.bin")
    assert "hold state_dict, step and no tensors of the model" in refused(folder, lane)
    torch.save(LlamaForCausalLM(LlamaConfig(**_SIZES)), folder / "pytorch_model.bin")
    assert "holds Python objects beside tensors" in refused(folder, lane)


def test_parts_that_a_text_generator_does_not_have_are_told(folder, lane) -> None:
    change(folder, lambda t: t.update({"medusa_head.0.linear.weight": torch.ones(32, 32)}))
    assert any("medusa_head.0.linear.weight" in note for note in Host.load(str(folder), lane=lane).info.notes)


def test_truth_values_in_place_of_weights_are_refused(folder, lane) -> None:
    change(folder, lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(64, 32, dtype=torch.bool)}))
    assert "whole numbers (model.layers.0.mlp.up_proj.weight" in refused(folder, lane)
