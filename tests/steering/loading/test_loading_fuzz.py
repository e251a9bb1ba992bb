"""Hostile configurations and weights files: a model or one clear error, whatever they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loading_support import randomise, saved
from transformers import LlamaConfig, LlamaForCausalLM

from steering.errors import SteeringError
from steering.loading.adapters import find_adapter
from steering.loading.checkpoints import Checkpoint, locate
from steering.loading.gguf_models import check_gguf
from steering.loading.quantised import stored_quantisation
from steering.loading.weight_files import check_weights
from steering.model.host import Host


QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NUMBERS = st.one_of(
    st.integers(-3, 200), st.sampled_from([0, -1, 2**31, 2**40, 2**63, 10**12, 10**30, 3_000_000, 9_999]), st.floats()
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    config = LlamaConfig(
        vocab_size=3072,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return saved(randomise(LlamaForCausalLM(config)), tmp_path_factory.mktemp("fuzz") / "model")


KEYS = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rms_norm_eps",
    "hidden_act",
    "tie_word_embeddings",
    "model_type",
    "architectures",
    "dtype",
    "torch_dtype",
    "quantization_config",
    "auto_map",
    "layer_types",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "attention_bias",
    "text_config",
    "vision_config",
    "is_encoder_decoder",
    "sliding_window",
    "num_local_experts",
]


@pytest.mark.slow
@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3))
@settings(QUICK, max_examples=150)
def test_any_configuration_is_a_model_or_one_error(changes, folder, lane) -> None:
    file = folder / "config.json"
    before = file.read_text()
    try:
        file.write_text(json.dumps({**json.loads(before), **changes}))
        Host.load(str(folder), lane=lane)
    except SteeringError:
        pass
    finally:
        file.write_text(before)


@given(content=st.one_of(st.binary(max_size=200), VALUES.map(json.dumps).map(str.encode)))
@settings(QUICK, max_examples=200)
def test_any_weights_file_is_read_or_one_error(content, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    for name, data in {
        "model.safetensors": len(content).to_bytes(8, "little") + content,
        "model.safetensors.index.json": content,
        "pytorch_model.bin": content,
    }.items():
        (folder / name).write_bytes(data)
        with _only_ours():
            check_weights(folder)
        (folder / name).unlink()
    with _only_ours():
        (folder / "any.gguf").write_bytes(b"GGUF\3\0\0\0" + content)
        check_gguf(folder / "any.gguf")
    (folder / "adapter_config.json").write_bytes(content)
    with _only_ours():
        find_adapter("any", Checkpoint(str(folder), "folder"), base=None, revision=None)
    shutil.rmtree(folder)


@given(said=st.dictionaries(st.sampled_from(["quantization_config", "quantization", "text_config"]), VALUES))
@settings(QUICK, max_examples=200)
def test_any_word_on_quantisation_is_understood_or_one_error(said) -> None:
    with _only_ours():
        stored_quantisation("any", said)


@given(name=st.text(max_size=40))
@settings(QUICK, max_examples=400)
def test_any_name_is_a_place_or_one_error(name) -> None:
    with _only_ours():
        assert isinstance(locate(name), Checkpoint)


class _only_ours:
    """Lets a `SteeringError` pass as an answer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> bool:
        return isinstance(error, SteeringError)


def test_the_fuzz_can_fail(tmp_path: Path) -> None:
    with pytest.raises(KeyError), _only_ours():
        raise KeyError("a traceback")
