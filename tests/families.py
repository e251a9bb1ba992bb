"""Tiny random-weight models of every family of decoders that transformers knows: a family a line.

A line holds what differs from `SIZES`. Encoder-decoders are here by their decoder, and
encoders that can be told to be one.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel


SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 3072),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim", "dim", "embedding_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 4),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "dff"), 64),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "context_length", "max_seq_len"), 128),
    **dict.fromkeys(("head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "index_head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "sliding_window", "mamba_d_head", "mamba_head_dim"), 16),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "index_topk"), 32),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "linear_num_value_heads"), 4),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "linear_num_heads", "rotary_dim"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_key_value_heads", "linear_num_key_heads", "index_n_heads"), 2),
    **dict.fromkeys(("mamba_d_state", "ssm_state_size", "state_size"), 8),
    **dict.fromkeys(("mamba_n_groups", "n_groups", "n_group", "topk_group", "n_shared_experts"), 1),
    **dict.fromkeys(("first_k_dense_replace",), 1),
    "mamba_expand": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
    "tie_word_embeddings": False,
}
_MLA = {"num_key_value_heads": 4}
_LINEAR = ["linear_attention", "full_attention"] * 2
_MAMBA = ["mamba", "attention"] * 2
_CONV = ["conv", "full_attention"] * 2
_WINDOWS = ["sliding_attention", "full_attention"] * 2
_ROPE = {kind: {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]} for kind in set(_WINDOWS)}
_DOTS3 = {
    "shared_experts_intermediate_size": 32,
    **{f"swa_{name}": SIZES[name] for name in ("num_attention_heads", "q_lora_rank", "kv_lora_rank", "v_head_dim")},
    "swa_num_key_value_heads": 4,
    "swa_head_dim": 16,
    "swa_qk_nope_head_dim": 8,
    "head_dim": 16,
}
_DECODER = {"is_decoder": True}
_REFORMER = {
    "axial_pos_embds_dim": (16, 16),
    "axial_pos_shape": (8, 16),
    "attention_head_size": 8,
    "feed_forward_size": 64,
    "attn_layers": ["local"] * 4,
}
_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_TEXT = _SMALL | {"num_hidden_layers": 4, "num_key_value_heads": 2, "vocab_size": 3072, "pad_token_id": 0}
_SOUND = {
    "num_blocks": 2,
    "ext_pw_out_channel": 32,
    "nemo_conv_channels": 32,
    "depthwise_seperable_out_channel": 32,
}
_BLT_PART = _SMALL | {"num_key_value_heads": 2, "vocab_size": 3072, "max_position_embeddings": 128}
_BLT = {
    "encoder_hash_byte_group_vocab": 500,
    "patcher_config": _BLT_PART,
    "encoder_config": _BLT_PART | {"hidden_size_global": 32},
    "decoder_config": _BLT_PART | {"hidden_size_global": 32},
    "global_config": _BLT_PART,
}
_QWEN4 = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 32,
    "indexer_compress_ratio": 4,
    "ngram_vocab_size_base": 200,
    "split_ngram_parts": 4,
    "heads_per_ngram": 2,
    "ple_embed_dim": 8,
    "hc_lowrank": 8,
}
_ABSENT: Any = object()
"""For a size that a configuration lists and does not let be set."""

FAMILIES: dict[str, dict[str, Any]] = {
    "afmoe": {},
    "apertus": {},
    "arcee": {},
    "aria_text": {},
    "axk1": _MLA,
    "axk2": _MLA,
    "bailing_hybrid": {**_MLA, "layer_types": _LINEAR},
    "bamba": {"attn_layer_indices": [1, 3]},
    "bart": _DECODER,
    "beam": {},
    "bert": _DECODER,
    "bert-generation": _DECODER,
    "big_bird": _DECODER,
    "bigbird_pegasus": {},
    "biogpt": {},
    "bitnet": {},
    "blenderbot": {"encoder_layers": 4},  # with fewer, transformers makes its cache too small for its decoder
    "blenderbot-small": _DECODER,
    "bloom": {},
    "blt": _BLT,
    "camembert": _DECODER,
    "codegen": {},
    "cohere": {},
    "cohere2": {},
    "cohere2_moe": {},
    "cohere_compass_text": {"layer_types": _WINDOWS, "rope_parameters": _ROPE},
    "cpmant": {},
    "ctrl": {},
    "cwm": {},
    "data2vec-text": _DECODER,
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": _MLA,
    "deepseek_v3": _MLA,
    "deepseek_v32": _MLA,
    "deepseek_v4": {},
    "diffllama": {},
    "doge": {},
    "dots1": {},
    "dots3_note_text": {**_MLA, **_DOTS3},
    "electra": _DECODER,
    "emu3": {"text_config": _TEXT},
    "ernie": _DECODER,
    "ernie4_5": {},
    "ernie4_5_moe": {},
    "exaone4": {},
    "exaone_moe": {},
    "falcon": {"head_dim": _ABSENT},
    "falcon_h1": {"mamba_d_ssm": 64, "ssm_out_multiplier": 0.5, "attention_out_multiplier": 0.7},
    "falcon_mamba": {},
    "flex_olmo": {},
    "flint": {},
    "gemma": {},
    "gemma2": {},
    "gemma3_text": {},
    "gemma3n_text": {
        "num_kv_shared_layers": 0,
        "layer_types": _WINDOWS,
        "laurel_rank": 8,
        "hidden_size_per_layer_input": 8,
    },
    "gemma4_text": {"layer_types": _WINDOWS, "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 2},
    "gemma4_unified_text": {"layer_types": _WINDOWS},
    "git": {"vision_config": _SMALL | {"image_size": 32, "patch_size": 16}},
    "glm": {},
    "glm4": {},
    "glm4_moe": {},
    "glm4_moe_lite": _MLA,
    "glm_moe_dsa": _MLA,
    "gpt-sw3": {},
    "gpt2": {},
    "gpt_bigcode": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 16},
    "gpt_neox": {},
    "gpt_neox_japanese": {},
    "gpt_oss": {},
    "gptj": {},
    "granite": {"residual_multiplier": 0.22},
    "granite_swa": {"residual_multiplier": 0.22},
    "granitemoe": {"residual_multiplier": 0.22},
    "granitemoe_swa": {},
    "granitemoehybrid": {"layer_types": _MAMBA, "residual_multiplier": 0.22, "shared_intermediate_size": 32},
    "granitemoeshared": {"residual_multiplier": 0.22, "shared_intermediate_size": 32},
    "helium": {},
    "hrm_text": {},
    "hunyuan_v1_dense": {},
    "hunyuan_v1_moe": {},
    "hy_v3": {},
    "hy_v4": {},
    "hyperclovax": {},
    "inkling2_text": {"rel_extent": 32},
    "inkling_text": {"rel_extent": 32},
    "internlm3": {},
    "iquestcoder": {},
    "jais2": {},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "jetmoe": {},
    "kimi_linear": {**_MLA, "layer_types": _LINEAR, "num_local_experts": 4},
    "kolibri1": {},
    "laguna": {},
    "lfm2": {"layer_types": _CONV},
    "lfm2_moe": {"layer_types": _CONV, "num_dense_layers": 1},
    "lfm3": {},
    "llama": {},
    "llama4_text": {},
    "longcat_flash": {
        **_MLA,
        "num_layers": 2,
        "ffn_hidden_size": 64,
        "expert_ffn_hidden_size": 32,
        "moe_topk": 2,
        "zero_expert_num": 2,
    },
    "mamba": {},
    "mamba2": {"num_heads": 4, "head_dim": 16},
    "marian": _DECODER,
    "mbart": {},
    "megatron-bert": _DECODER,
    "mellum": {},
    "mimo_v2_flash": {},
    "minicpm3": _MLA,
    "minimax": {},
    "minimax_m2": {},
    "minimax_m3_vl_text": {},
    "ministral": {},
    "ministral3": {},
    "mistral": {},
    "mixtral": {},
    "mllama": {"text_config": _TEXT | {"cross_attention_layers": [1]}},
    "modernbert-decoder": {},
    "moshi": {},
    "mpt": {},
    "mvp": _DECODER,
    "nanochat": {},
    "nemotron": {},
    "nemotron_h": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": {},
    "olmo_hybrid": {},
    "olmoe": {},
    "openai-gpt": {},
    "opt": {},
    "pegasus": {},
    "persimmon": {},
    "phi": {},
    "phi3": {},
    "phi4_multimodal": {
        "vision_config": _SMALL | {"image_size": 32, "crop_size": 32, "patch_size": 8},
        "audio_config": _SMALL | _SOUND,
    },
    "phimoe": {},
    "plbart": _DECODER,
    "prophetnet": {**_DECODER, "num_hidden_layers": _ABSENT, "num_decoder_layers": 4, "num_decoder_attention_heads": 4},
    "qwen2": {},
    "qwen2_moe": {},
    "qwen3": {},
    "qwen3_5_moe_text": {},
    "qwen3_5_text": {},
    "qwen3_moe": {},
    "qwen3_next": {},
    "qwen4_exp_text": _QWEN4,
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "attention_window_size": 16, "lru_width": 32},
    "reformer": {**_DECODER, **_REFORMER},
    "rembert": {**_DECODER, "input_embedding_size": 32, "output_embedding_size": 32},
    "roberta": _DECODER,
    "roberta-prelayernorm": _DECODER,
    "roc_bert": {
        **_DECODER,
        "pronunciation_vocab_size": 64,
        "shape_vocab_size": 64,
        "enable_pronunciation": False,
        "enable_shape": False,
    },
    "roformer": _DECODER,
    "rwkv": {},
    "seed_oss": {},
    "smollm3": {},
    "solar_open": {},
    "stablelm": {},
    "starcoder2": {},
    "trocr": {},
    "vaultgemma": {},
    "whisper": {},
    "xglm": {},
    "xlm": {"causal": True, "emb_dim": 32, "n_words": 3072},
    "xlm-roberta": _DECODER,
    "xlm-roberta-xl": _DECODER,
    "xlnet": {"max_position_embeddings": _ABSENT, "d_inner": 64},
    "xlstm": {"v_head_dim": _ABSENT, "qk_head_dim": _ABSENT},
    "xmod": {**_DECODER, "default_language": "en_XX"},
    "youtu": _MLA,
    "zamba": {},
    "zamba2": {"layers_block_type": ["mamba", "hybrid", "mamba", "mamba"], "adapter_rank": 8, "n_mamba_heads": 4},
    "zaya": {"num_experts_per_tok": 1},
}

TEXT_PARTS = {
    "dots3_note": "dots3_note_text",
    "fuyu": "persimmon",
    "gemma3n": "gemma3n_text",
    "gemma4_unified": "gemma4_unified_text",
    "llama4": "llama4_text",
    "moss_transcribe_diarize": "qwen3",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "qwen4_exp": "qwen4_exp_text",
}
"""Models of more than text whose language model is of a family above."""
NOT_BUILT = {
    **dict.fromkeys(("musicgen", "musicgen_melody"), "no attribute 'dropout'"),  # and what they write is sound
    "gemma4_assistant": "hidden_size_per_layer_input must be 0",  # they draft for another model, whose states they read
    "gemma4_unified_assistant": "set of layer types producing a cache",
}
"""What transformers 5.23 lists as a decoder and does not build from its own default configuration, and its words."""

_VISION: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "embed_dim", "out_hidden_size", "projection_dim", "image_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "depth", "num_attention_heads", "num_heads", "num_key_value_heads"), 4),
    **dict.fromkeys(("patch_size", "head_dim"), 8),
    **dict.fromkeys(("spatial_merge_size", "temporal_patch_size", "pooling_kernel_size", "mlp_ratio"), 2),
    **dict.fromkeys(("num_position_embeddings", "window_size"), 16),
    "deepstack_visual_indexes": [1],
    "fullatt_block_indexes": [1],
    "intermediate_size": 64,
    "position_embedding_size": 64,
}
_SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}}

WRAPPERS: dict[str, dict[str, Any]] = {
    "aya_vision": {},
    "gemma3": {},
    "gemma4": {"layer_types": _WINDOWS, "hidden_size_per_layer_input": 8},
    "glm4v": _SECTIONS,
    "got_ocr2": {},
    "idefics3": {},
    "internvl": {},
    "lfm2_vl": {"layer_types": _CONV},
    "llava": {},
    "llava_next": {},
    "mistral3": {},
    "paligemma": {},
    "qwen2_5_vl": _SECTIONS,
    "qwen2_vl": _SECTIONS,
    "qwen3_5": {},
    "qwen3_vl": _SECTIONS,
    "smolvlm": {},
}
"""Models of text and images, with what differs from `SIZES` in their text part."""


def tiny_family(name: str) -> PreTrainedModel:
    """A random-weight model of a family, from its configuration alone; weights wide enough that argmax is never a
    near-tie.
    """
    usual = AutoConfig.for_model(name)
    torch.manual_seed(0)
    if name in WRAPPERS:
        text = {**_known(usual.text_config, SIZES, WRAPPERS[name]), "model_type": usual.text_config.model_type}
        seeing = usual.vision_config  # Gemma 4 goes without unless one is given
        image = {**_known(seeing, _VISION, {}), "model_type": seeing.model_type} if seeing else None
        token = {key: 3000 for key in ("image_token_id", "image_token_index") if key in dir(usual)}
        config = AutoConfig.for_model(name, text_config=text, vision_config=image, **token)
        model = AutoModelForImageTextToText.from_config(config).eval()
    else:
        config = AutoConfig.for_model(name, **_known(usual, SIZES, FAMILIES[name]))
        model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
        for name, buffer in model.named_buffers():
            if name.endswith("layers.1.layer_scalar"):  # 1 in a new Gemma 4, and other numbers in trained ones
                buffer.fill_(0.5)
    model.generation_config.eos_token_id = model.generation_config.forced_eos_token_id = None
    return model


def _known(usual: Any, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given, and those sizes that a configuration has."""
    listed = set(dir(usual))
    own = {key: value for key, value in sizes.items() if key in listed and key not in given}
    return own | {key: value for key, value in given.items() if value is not _ABSENT}
