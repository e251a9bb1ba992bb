"""GGUF files: the model that they hold, dequantised by transformers' own reader, and what is said of others."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants
from loading_support import randomise
from transformers import LlamaConfig, LlamaForCausalLM

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row


WIDTH, HEADS, INNER, BLOCKS = 64, 4, 128, 2
LETTERS = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
TOKENS = ["<|begin|>", "<|end|>", *LETTERS, "he", "ll"]
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(TOKENS),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=96,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        bos_token_id=0,
        eos_token_id=1,
    )
    return randomise(LlamaForCausalLM(config))


def permuted(weights: np.ndarray) -> np.ndarray:
    """Rows of queries and keys in llama.cpp's order: pairs of a rotation side by side."""
    halves = weights.reshape(HEADS, 2, weights.shape[0] // HEADS // 2, WIDTH)
    return halves.swapaxes(1, 2).reshape(weights.shape)


def write(
    model: LlamaForCausalLM, path, kind: GGMLQuantizationType, *, architecture: str = "llama", blocks: int = BLOCKS
):
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(blocks)
    writer.add_context_length(96)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, *[1] * (len(TOKENS) - 2)])
    writer.add_token_merges(["h e", "l l"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, weights in model.state_dict().items():
        own, values = renamed(name), weights.numpy()
        values = permuted(values) if own.endswith(("attn_q.weight", "attn_k.weight")) else values
        if values.ndim == 1 or kind is GGMLQuantizationType.F32:
            writer.add_tensor(own, np.ascontiguousarray(values))
        else:
            writer.add_tensor(own, quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def renamed(name: str) -> str:
    for theirs, own in {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}.items():
        if name.startswith(theirs):
            return name.replace(theirs, own)
    block, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{block}.{NAMES[rest.removesuffix('.weight')]}.weight"


@pytest.fixture(scope="module")
def model():
    return llama()


def logits(host: Host) -> tuple[torch.Tensor, list[int]]:
    prompt = render(host, "hello, model")
    return next_token_logits(host, [Row(prompt)])[0], list(prompt.ids)


@pytest.mark.parametrize(
    ("kind", "apart"),
    [(GGMLQuantizationType.F32, 1e-4), (GGMLQuantizationType.Q8_0, 0.2)],  # of the logits' deviation; 8 bits round
)
def test_a_gguf_file_is_the_model_that_was_written(kind, apart, model, tmp_path, lane) -> None:
    path = write(model, tmp_path / f"tiny-{kind.name}.gguf", kind)
    host = Host.load(str(path), lane=lane)
    found, ids = logits(host)
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([ids])).logits[0, -1]
    assert float((found - expected).abs().max() / expected.std()) < apart
    assert "GGUF, dequantised" in host.info.summary
    assert (host.info.blocks, host.info.width, host.info.context, host.info.source) == (BLOCKS, WIDTH, 96, "file")
    assert host.end_ids == {1}


def test_a_folder_with_one_gguf_file_is_that_file(model, tmp_path, lane) -> None:
    write(model, tmp_path / "tiny.gguf", GGMLQuantizationType.F32)
    assert Host.load(str(tmp_path), lane=lane).info.quantisation == "GGUF, dequantised"


def test_other_and_damaged_gguf_files_are_said(model, tmp_path, lane) -> None:
    def refused(path) -> str:
        with pytest.raises(SteeringError) as caught:
            Host.load(str(path), lane=lane)
        assert "spelling" not in str(caught.value)
        return str(caught.value)

    whole = write(model, tmp_path / "whole.gguf", GGMLQuantizationType.F32)
    content = whole.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: len(content) // 2])
    assert re.search(r"cut\.gguf' is damaged", refused(cut))
    cut.write_bytes(b"GGUF" + b"\3\0\0\0" + b"\xff" * 16)
    assert re.search(r"cut\.gguf' is damaged", refused(cut))
    cut.write_bytes(b"<html>" * 100)
    assert re.search(r"cut\.gguf' is damaged", refused(cut))
    cut.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "Git LFS pointer" in refused(cut)
    vector = write(model, tmp_path / "vector.gguf", GGMLQuantizationType.F32, architecture="controlvector")
    assert "control vector" in refused(vector)
    tower = write(model, tmp_path / "tower.gguf", GGMLQuantizationType.F32, architecture="clip")
    assert "vision tower" in refused(tower)
    odd = write(model, tmp_path / "odd.gguf", GGMLQuantizationType.F32, architecture="no-such-thing")
    assert re.search(r"'no-such-thing', which transformers .* cannot read from GGUF", refused(odd))
    many = write(model, tmp_path / "many.gguf", GGMLQuantizationType.F32, blocks=10**9)
    assert re.search("num_hidden_layers = 1,000,000,000", refused(many))
