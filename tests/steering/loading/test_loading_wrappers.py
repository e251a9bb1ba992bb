"""Multimodal models are hosted as text generators: the same tokens as their own `generate`, alone and in a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from loading_support import randomise, saved
from transformers import AutoConfig, AutoModelForImageTextToText

from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row


_TEXT: dict[str, Any] = {
    "vocab_size": 3072,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
_PICTURE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "image_size": 28, "patch_size": 14}
# As many layers as the decoder has: its list must not be taken for the decoder's.
_TOWER = {**_PICTURE, "num_hidden_layers": 3}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_VIDEO = {"depth": 3, "hidden_size": 32, "num_heads": 4, "patch_size": 14}
WRAPPERS: dict[str, dict[str, Any]] = {
    "llava": {
        "text_config": {"model_type": "llama", **_TEXT},
        "vision_config": {"model_type": "clip_vision_model", **_TOWER},
    },
    "mistral3": {
        "text_config": {"model_type": "mistral", "head_dim": 8, **_TEXT},
        "vision_config": {"model_type": "pixtral", **_TOWER},
    },
    "gemma3": {
        "text_config": {**_TEXT, "head_dim": 8, "sliding_window": 16},
        "vision_config": {"model_type": "siglip_vision_model", **_TOWER},
    },
    "smolvlm": {"text_config": {"model_type": "llama", **_TEXT}, "vision_config": _TOWER},
    "qwen2_vl": {
        "text_config": {**_TEXT, "rope_parameters": _ROPE},
        "vision_config": {**_VIDEO, "embed_dim": 32, "mlp_ratio": 2},
    },
    "qwen3_vl": {
        "text_config": {**_TEXT, "head_dim": 8, "rope_parameters": _ROPE},
        "vision_config": {
            **_VIDEO,
            "out_hidden_size": 32,
            "intermediate_size": 64,
            "deepstack_visual_indexes": [1],
            "num_position_embeddings": 16,
        },
    },
}


@pytest.fixture(scope="module", params=WRAPPERS)
def wrapper(request, tmp_path_factory, lane):
    """A wrapper's folder hosted, and the wrapper itself as transformers loads it."""
    config = AutoConfig.for_model(request.param, **WRAPPERS[request.param])
    folder = saved(
        randomise(AutoModelForImageTextToText.from_config(config)), tmp_path_factory.mktemp("wrapper") / request.param
    )
    plain = AutoModelForImageTextToText.from_pretrained(folder).eval()
    plain.generation_config.eos_token_id = None
    return Host.load(str(folder), lane=lane), plain


def test_a_wrapper_writes_what_its_own_generate_writes(wrapper) -> None:
    host, plain = wrapper
    prompts = [render(host, text) for text in ("Write a note to my boss about the meeting.", "Hello.")]
    assert len(prompts[0]) != len(prompts[1])  # so that the batch is padded
    replies = generate(host, [Row(prompt) for prompt in prompts], DecodeSettings(max_new_tokens=6))
    for prompt, reply in zip(prompts, replies, strict=True):
        ids = torch.tensor([prompt.ids])
        whole = plain.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, pad_token_id=0
        )
        assert list(reply.ids) == whole[0, len(prompt) :].tolist()


def test_a_wrappers_numbers_are_its_decoders(wrapper) -> None:
    host, plain = wrapper
    text = plain.config.get_text_config()
    assert (host.info.blocks, host.info.width, host.info.vocabulary) == (3, 32, 3072)
    assert host.info.context == text.max_position_embeddings == 256
    assert any("language model" in note and "text alone" in note for note in host.info.notes)


def test_a_wrapper_that_wants_a_picture_is_hosted_by_the_generator_inside(tmp_path, lane) -> None:
    opt = {"vocab_size": 3072, "hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    opt |= {"word_embed_proj_dim": 32, "max_position_embeddings": 128, "eos_token_id": None}
    picture = {**_PICTURE, "num_hidden_layers": 3}
    former = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        "blip-2", text_config={"model_type": "opt", **opt}, vision_config=picture, qformer_config=former
    )
    wrapper = randomise(AutoModelForImageTextToText.from_config(config))
    host = Host.load(str(saved(wrapper, tmp_path / "blip-2")), lane=lane)
    ids = torch.tensor([render(host, "Hello there.").ids])
    with pytest.raises(TypeError, match="pixel_values"):
        wrapper(input_ids=ids)
    inner = wrapper.language_model
    inner.generation_config.eos_token_id = None
    whole = inner.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, pad_token_id=0
    )
    reply = generate(host, [Row(render(host, "Hello there."))], DecodeSettings(max_new_tokens=6))[0]
    assert list(reply.ids) == whole[0, ids.shape[1] :].tolist()
    assert (host.info.blocks, host.info.width) == (3, 32)
