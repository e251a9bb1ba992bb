"""LoRA and DoRA folders: the base with the adapter, as peft itself computes it and as the formula says."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from loading_support import randomise, saved, with_tokenizer
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from steering.errors import SteeringError
from steering.extraction.provenance import made_here
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row


TARGETS = ["q_proj", "v_proj", "down_proj"]


def model(width: int = 32, seed: int = 0) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=3072,
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        eos_token_id=None,
    )
    return randomise(LlamaForCausalLM(config), seed)


def adapt(base: LlamaForCausalLM, folder, seed: int = 1, **options):
    """Save an adapter with random weights for a base."""
    adapted = get_peft_model(
        base, LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": TARGETS, "task_type": "CAUSAL_LM", **options})
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_" in name and "magnitude" not in name:
                weights.normal_(0, 0.3)
            elif "magnitude" in name:
                weights.mul_(1.2)
    adapted.save_pretrained(folder)
    return folder


def say(folder, **changes):
    """Change what an adapter says of itself."""
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return saved(model(), tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture
def lora(base, tmp_path):
    folder = adapt(LlamaForCausalLM.from_pretrained(base), tmp_path / "lora")
    return say(folder, base_model_name_or_path=str(base))


def logits(host: Host) -> torch.Tensor:
    return next_token_logits(host, [Row(render(host, "Write a note to my boss about the meeting."))])[0]


def of_peft(base, folder, host: Host) -> torch.Tensor:
    """The same logits by peft's own forward pass, with the adapter beside the weights."""
    applied = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base), folder).eval()
    ids = torch.tensor([render(host, "Write a note to my boss about the meeting.").ids])
    with torch.no_grad():
        return applied(input_ids=ids).logits[0, -1]


def test_a_lora_folder_is_its_base_with_the_adapter(base, lora, lane) -> None:
    host, plain = Host.load(str(lora), lane=lane), Host.load(str(base), lane=lane)
    found = logits(host)
    assert float((found - logits(plain)).abs().max()) > 1  # the adapter does something
    # Sums of a few hundred float32 products in another order.
    torch.testing.assert_close(found, of_peft(base, lora, host), rtol=1e-4, atol=1e-3)


def test_the_weights_are_those_of_the_formula(base, lora, lane) -> None:
    host = Host.load(str(lora), lane=lane)
    tensors = load_file(lora / "adapter_model.safetensors")
    start = "base_model.model.model.layers.1.mlp.down_proj"
    change = tensors[f"{start}.lora_B.weight"] @ tensors[f"{start}.lora_A.weight"] * (8 / 4)  # alpha / r
    stored = load_file(base / "model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    merged = host.model._module.model.layers[1].mlp.down_proj.weight
    torch.testing.assert_close(merged.detach(), stored + change, rtol=0, atol=1e-5)
    assert float(change.abs().max()) > 0.1


def test_dora_is_its_base_with_the_adapter(base, tmp_path, lane) -> None:
    folder = adapt(LlamaForCausalLM.from_pretrained(base), tmp_path / "dora", use_dora=True)
    say(folder, base_model_name_or_path=str(base))
    host = Host.load(str(folder), lane=lane)
    assert host.info.adapter == "DoRA"
    torch.testing.assert_close(logits(host), of_peft(base, folder, host), rtol=1e-4, atol=1e-3)


def test_adapter_and_base_are_named_wherever_the_model_is(base, lora, lane) -> None:
    host = Host.load(str(lora), lane=lane)
    assert (host.info.adapter, host.info.base) == ("LoRA", str(base))
    assert f"LoRA on {base.name}" in host.info.summary  # its whole path stands in `base`
    assert made_here(host)["base"] == str(base)
    assert host.sites.available == Host.load(str(base), lane=lane).sites.available


def test_a_base_is_found_beside_the_adapter_or_named(base, lora, lane) -> None:
    shutil.copytree(base, lora.parent / "beside")
    say(lora, base_model_name_or_path="../beside")
    assert Host.load(str(lora), lane=lane).info.adapter == "LoRA"
    say(lora, base_model_name_or_path="/nowhere/base")
    with pytest.raises(SteeringError, match=r"base of the adapter .* is not there: '/nowhere/base'.*--base"):
        Host.load(str(lora), lane=lane)
    assert Host.load(str(lora), lane=lane, options=LoadOptions(base=str(base))).info.base == str(base)
    say(lora, base_model_name_or_path="someone/not-downloaded")
    with pytest.raises(SteeringError, match=r"base of the LoRA adapter .*someone/not-downloaded.*Hub.*--base"):
        Host.load(str(lora), lane=lane)
    say(lora, base_model_name_or_path=None)
    with pytest.raises(SteeringError, match=r"does not say what its base is.*--base"):
        Host.load(str(lora), lane=lane)


def test_a_wrong_base_is_refused(lora, tmp_path, lane) -> None:
    wide = saved(model(width=64), tmp_path / "wide")
    with pytest.raises(SteeringError, match=r"does not fit the base .*size mismatch"):
        Host.load(str(lora), lane=lane, options=LoadOptions(base=str(wide)))
    with pytest.raises(SteeringError, match="is an adapter itself"):
        Host.load(str(lora), lane=lane, options=LoadOptions(base=str(lora)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "of the kind PROMPT_TUNING.*cannot be merged into weights either"),
        ({"peft_type": "XLORA"}, "of the kind XLORA: several adapters.*cannot be merged into weights either"),
        ({"peft_type": "IA3"}, "of the kind IA3.*Merge it into its base with peft"),
        ({"alora_invocation_tokens": [5, 6]}, "an activated LoRA"),
        ({"task_type": "SEQ_CLS"}, "for another task: SEQ_CLS"),
        ({"target_modules": ["nothing_of_this"]}, "does not fit the base"),
        ({"r": 10**9}, "says a rank of 1000000000"),
        ({"rank_pattern": {"q_proj": 10**9}}, "says a rank of 1000000000"),
        ({"target_modules": ["q_proj"]}, "have no place in the base"),
        ({"target_modules": [*TARGETS, "o_proj"]}, "its files lack"),
    ],
)
def test_what_is_no_lora_or_does_not_fit_is_said(changes, message, lora, lane) -> None:
    with pytest.raises(SteeringError, match=message):
        Host.load(str(say(lora, **changes)), lane=lane)


def test_an_adapter_without_weights_or_with_damaged_ones_is_said(lora, lane) -> None:
    weights = lora / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(SteeringError, match=r"adapter_model\.safetensors' is damaged"):
        Host.load(str(lora), lane=lane)
    weights.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SteeringError, match="Git LFS pointer"):
        Host.load(str(lora), lane=lane)
    weights.unlink()
    with pytest.raises(SteeringError, match="has no weights"):
        Host.load(str(lora), lane=lane)
    (lora / "adapter_config.json").write_text("{")
    with pytest.raises(SteeringError, match="is no JSON"):
        Host.load(str(lora), lane=lane)


def test_an_adapter_with_infinite_weights_is_said(lora, lane) -> None:
    tensors = load_file(lora / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("inf")
    save_file(tensors, lora / "adapter_model.safetensors")
    with pytest.raises(SteeringError, match="NaN or infinite"):
        Host.load(str(lora), lane=lane)


def test_new_tokens_of_an_adapter_come_with_it(base, tmp_path, lane) -> None:
    grown = LlamaForCausalLM.from_pretrained(base)
    grown.resize_token_embeddings(3080, mean_resizing=False)
    folder = adapt(grown, tmp_path / "grown", modules_to_save=["embed_tokens", "lm_head"])
    say(with_tokenizer(folder), base_model_name_or_path=str(base))
    assert Host.load(str(folder), lane=lane).info.vocabulary == 3080


def test_a_base_for_a_whole_model_is_refused(base, lane) -> None:
    with pytest.raises(SteeringError, match=r"is no adapter.*Leave --base out"):
        Host.load(str(base), lane=lane, options=LoadOptions(base="demo"))


def test_a_whole_model_beside_an_adapter_is_asked_about(base, lora, lane) -> None:
    for file in base.iterdir():
        shutil.copy(file, lora / file.name)
    with pytest.raises(SteeringError, match="a whole model and an adapter"):
        Host.load(str(lora), lane=lane)
    assert re.search("LoRA on", Host.load(str(lora), lane=lane, options=LoadOptions(base=str(base))).info.summary)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("options", "shared"),
    [
        ({"target_modules": ["embed_tokens", "q_proj"]}, True),
        ({"target_modules": ["lm_head"]}, True),
        ({"modules_to_save": ["lm_head", "embed_tokens"]}, False),
        ({"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"layers.0.self_attn.v_proj": 3}}, False),
    ],
)
def test_an_adapter_of_embedding_and_head_is_what_peft_computes(options, shared, tied, tmp_path, lane) -> None:
    whole = model()
    if tied:
        whole.config.tie_word_embeddings = True
        whole.tie_weights()
    folder = saved(whole, tmp_path / "base")
    own = adapt(LlamaForCausalLM.from_pretrained(folder), tmp_path / "own", **options)
    host = Host.load(str(say(own, base_model_name_or_path=str(folder))), lane=lane)
    torch.testing.assert_close(logits(host), of_peft(folder, own, host), rtol=1e-4, atol=1e-3)  # as above
    beside = any("beside the weights" in note and "output head share" in note for note in host.info.notes)
    assert beside == (tied and shared)


# A warning of a class of PEFT's own would be shown by whoever shows all results, who had to import torch for it.
@pytest.mark.filterwarnings("ignore:.*lora_bias=True. was passed:UserWarning", "ignore:Adapter 'default':UserWarning")
@pytest.mark.parametrize("options", [{"layer_replication": [[0, 2], [1, 2]]}, {"lora_bias": True}])
def test_what_merging_would_change_stands_beside_the_weights(options, base, tmp_path, lane) -> None:
    folder = adapt(LlamaForCausalLM.from_pretrained(base), tmp_path / "own", **options)
    host = Host.load(str(say(folder, base_model_name_or_path=str(base))), lane=lane)
    assert "applied beside the weights" in host.info.notes[0]
    torch.testing.assert_close(logits(host), of_peft(base, folder, host), rtol=1e-4, atol=1e-3)


def test_an_adapter_is_not_added_to_weights_on_the_disk(lora, lane) -> None:
    options = LoadOptions(device_map="auto", max_memory="cpu=1kB")
    with pytest.raises(SteeringError, match="adding an adapter to them needs all at once"):
        Host.load(str(lora), lane=lane, options=options)
