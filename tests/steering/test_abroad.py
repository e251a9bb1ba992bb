"""The large studies with no setting but `--quick`, on odd models: each ends well and says nothing untrue. A training
needs preferences named, and a budget that such weights can cost.

It takes about half an hour, so it runs where it is asked for: `make abroad`, or with `STEERING_ABROAD=1` set.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from odd_models import saved
from odd_templates import NO_SYSTEM, OPENED
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer, PreTrainedModel
from typer.testing import CliRunner

from steering.resources import resource
from workbench.cli.main import app


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("STEERING_ABROAD" not in os.environ, reason="half an hour; set STEERING_ABROAD=1"),
]

_SIZES = {
    "vocab_size": 3072,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def _random(kind: str, **fields: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**_SIZES, **fields}))


def _wrapper() -> PreTrainedModel:
    torch.manual_seed(0)
    text = {**_SIZES, "model_type": "gemma3_text", "layer_types": ["sliding_attention", "full_attention"] * 2}
    vision = {**_VISION, "model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14}
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return AutoModelForImageTextToText.from_config(config)


def _adapter(folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = folder / "base"
    shutil.copytree(resource("assets", "models", "demo"), base)
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def _four_bit(folder: Path) -> None:
    if find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed")
    from transformers import BitsAndBytesConfig

    saved(folder / "whole", _random("llama"))
    quantised = AutoModelForCausalLM.from_pretrained(
        folder / "whole", quantization_config=BitsAndBytesConfig(load_in_4bit=True), device_map={"": "cpu"}
    )
    saved(folder, quantised)


def _base(folder: Path) -> None:
    shutil.copytree(resource("assets", "models", "demo-base"), folder, dirs_exist_ok=True)


MODELS: dict[str, Callable[[Path], None]] = {
    "linear attention and attention": lambda folder: saved(
        folder,
        _random(
            "qwen3_next",
            **_EXPERTS,
            shared_expert_intermediate_size=32,
            linear_key_head_dim=16,
            linear_value_head_dim=16,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
            layer_types=["linear_attention", "full_attention"] * 2,
        ),
    ),
    "state space and attention": lambda folder: saved(
        folder,
        _random(
            "bamba",
            attn_layer_indices=[1, 3],
            mamba_n_heads=4,
            mamba_d_head=32,
            mamba_d_state=8,
            mamba_n_groups=1,
            mamba_expand=2,
        ),
    ),
    "experts": lambda folder: saved(folder, _random("qwen2_moe", **_EXPERTS, shared_expert_intermediate_size=32)),
    "wrapper": lambda folder: saved(folder, _wrapper()),
    "no template": lambda folder: saved(folder, _random("llama"), None),
    "no system": lambda folder: saved(folder, _random("llama"), NO_SYSTEM),
    "thinking": lambda folder: saved(folder, _random("llama"), OPENED),
    "base model": _base,
    "4-bit": _four_bit,
    "adapter": _adapter,
    "real vocabulary": lambda folder: saved(folder, _random("llama", vocab_size=151_936)),
    "tuple outputs": lambda folder: saved(folder, _random("bloom", n_head=4, n_layer=4)),
    "state space": lambda folder: saved(folder, _random("mamba", state_size=8)),
}
"""Name → writes such a model into a folder."""


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param.replace(" ", "-"))
    MODELS[request.param](folder)
    return folder


STUDIES: dict[str, tuple[str, ...]] = {
    "refusal": (),
    "tradeoff": (),
    "probe": (),
    "train": ("--set", "data=demo-formality", "--set", "budget=0.01"),
}
"""What each is told, too: nothing costs much on weights that say nearly the same of every token."""


@pytest.mark.parametrize("study", STUDIES)
def test_it_ends_well_and_says_what_it_found(study: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ["--model", str(folder), "--quick", "--out", str(out), *STUDIES[study]]
    run = CliRunner().invoke(app, ["run", study, *given])
    assert run.exit_code == 0, run.output[-3000:]
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    print(study, folder.name, json.dumps(result["notes"], indent=1))
    assert result["measures"], "a study without a figure"
