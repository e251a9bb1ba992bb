"""Models with code of their own, and tokenizers that go with a model only in part."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from loading_support import edited, randomise, saved, with_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import render, render_text
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row


_CODE = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast


class OwnConfig(PretrainedConfig):
    model_type = "own-words"

    def __init__(self, breadth=32, depth=3, words=3072, max_seq_len=96, **kwargs):
        super().__init__(**kwargs)
        self.breadth, self.depth, self.words, self.max_seq_len = breadth, depth, words, max_seq_len


class OwnBlock(nn.Module):
    def __init__(self, breadth):
        super().__init__()
        self.norm = nn.LayerNorm(breadth)
        self.mix = nn.Linear(breadth, breadth)
        self.out = nn.Linear(breadth, breadth)

    def forward(self, x):
        seen = self.mix(self.norm(x)).cumsum(dim=1) / torch.arange(1, x.shape[1] + 1)[:, None]
        return x + self.out(torch.tanh(seen))


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = nn.Embedding(config.words, config.breadth)
        self.steps = nn.ModuleList([OwnBlock(config.breadth) for _ in range(config.depth)])
        self.head = nn.Linear(config.breadth, config.words, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.words

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        x = self.words(input_ids)
        for step in self.steps:
            x = step(x)
        return CausalLMOutputWithPast(logits=self.head(x))
"""
_AUTO = {"AutoConfig": "own_model.OwnConfig", "AutoModelForCausalLM": "own_model.OwnModel"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A model whose code lies beside it and whose configuration has no usual name."""
    import importlib.util
    import sys

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = with_tokenizer(tmp_path / "own")
    (folder / "own_model.py").write_text(_CODE)
    spec = importlib.util.spec_from_file_location("own_model_of_the_test", folder / "own_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = randomise(module.OwnModel(module.OwnConfig()))
    model.save_pretrained(folder)
    return edited(folder, auto_map=_AUTO, architectures=["OwnModel"])


def test_own_code_runs_only_where_it_is_trusted(own, lane) -> None:
    (own / "own_model.py").write_text("raise SystemError('it ran')\n" + _CODE)
    with pytest.raises(SteeringError, match=r"own Python code, which was not run.*--trust-remote-code"):
        Host.load(str(own), lane=lane)
    with pytest.raises(SteeringError, match="it ran"):
        Host.load(str(own), lane=lane, options=LoadOptions(trust_remote_code=True))


def test_a_configuration_without_any_usual_name_is_read_off_the_model(own, lane) -> None:
    host = Host.load(str(own), lane=lane, options=LoadOptions(trust_remote_code=True))
    assert (host.info.blocks, host.info.width, host.info.vocabulary, host.info.context) == (3, 32, 3072, 96)
    assert host.sites.blocks_path == "steps"
    reply = generate(host, [Row(render(host, "Hello there."))], DecodeSettings(max_new_tokens=4))[0]
    assert len(reply.ids) == 4


def test_own_code_of_an_impossible_size_is_told_before_memory_is_taken(own, lane) -> None:
    with pytest.raises(SteeringError, match=r"describes .* parameters, of them words\.weight with 900,000,000"):
        Host.load(str(edited(own, words=900_000_000)), lane=lane, options=LoadOptions(trust_remote_code=True))


def test_own_code_that_fails_or_is_no_generator_says_so(own, lane) -> None:
    trusted = LoadOptions(trust_remote_code=True)
    (own / "own_model.py").write_text("import no_such_package_at_all\n" + _CODE)
    with pytest.raises(SteeringError, match=r"needs a package that is not installed.*no_such_package_at_all"):
        Host.load(str(own), lane=lane, options=trusted)
    edited(own, auto_map={"AutoConfig": "own_model.OwnConfig", "AutoModel": "own_model.OwnModel"})
    (own / "own_model.py").write_text(_CODE)
    with pytest.raises(SteeringError, match=r"offers AutoModel\. .*AutoModelForCausalLM"):
        Host.load(str(own), lane=lane, options=trusted)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        eos_token_id=None,
    )
    return saved(randomise(LlamaForCausalLM(config)), tmp_path_factory.mktemp("made") / "model")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def test_a_vocabulary_smaller_than_the_tokenizers_is_said_before_it_runs(folder, lane) -> None:
    host = Host.load(str(folder), lane=lane)
    known = len(host.tokenizer)
    assert known > host.info.vocabulary == 2048
    assert any(f"knows {known:,} tokens, the model 2,048" in note for note in host.info.notes)
    text = next(host.tokenizer.decode([token]) for token in range(2048, known) if _one(host, token))
    with pytest.raises(SteeringError, match=r"the token .* \(id \d+\).*from 0 to 2047"):
        generate(host, [Row(render_text(host, text))], DecodeSettings(max_new_tokens=1))


def _one(host, token: int) -> bool:
    text = host.tokenizer.decode([token])
    return text.strip() != "" and token in host.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_tokenizer_without_an_end_ends_at_the_longest(folder, lane) -> None:
    file = folder / "tokenizer_config.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in said.items() if key not in ("eos_token", "pad_token")}))
    host = Host.load(str(folder), lane=lane)
    assert host.end_ids == frozenset()
    assert any(
        "no" in note and "end token" in note for note in [n for n in host.info.notes if "end token" in n] or [""]
    )
    rows = [Row(render_text(host, text)) for text in ("Good morning, dear", "Hello")]
    replies = generate(host, rows, DecodeSettings(max_new_tokens=5))
    assert [reply.finish for reply in replies] == ["length", "length"]


@pytest.mark.parametrize("name", ["max_seq_len", "n_positions", "seq_length", "max_sequence_length", "n_ctx"])
def test_the_context_is_found_under_its_other_names(name) -> None:
    from transformers import PretrainedConfig

    from steering.loading.configurations import context_of

    assert context_of(PretrainedConfig(**{name: 777}), None) == (777, "")


def test_a_context_that_nobody_says_is_said() -> None:
    from types import SimpleNamespace

    from transformers import PretrainedConfig

    from steering.loading.configurations import context_of

    number, note = context_of(PretrainedConfig(), SimpleNamespace(model_max_length=512))
    assert number == 512
    assert "tokenizer's" in note
    number, note = context_of(PretrainedConfig(), SimpleNamespace(model_max_length=10**30))
    assert number == 2048
    assert "assumed" in note


def test_a_template_beside_the_tokenizer_is_taken(folder, lane) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    assert not Host.load(str(folder), lane=lane).info.chat_template
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))  # as processors keep it
    host = Host.load(str(folder), lane=lane)
    assert host.info.chat_template
    assert re.search("Hello", render(host, "Hello.").text)


def test_a_context_under_another_name_counts_before_what_every_model_of_the_class_has() -> None:
    from transformers import BigBirdConfig

    from steering.loading.configurations import context_of

    assert context_of(LlamaConfig(max_seq_len=77), None) == (77, "")
    assert context_of(LlamaConfig(max_position_embeddings=99, max_seq_len=77), None) == (99, "")
    assert context_of(BigBirdConfig(block_size=16), None) == (4096, "")  # its blocks of attention


def said_of_generation(folder, **said) -> None:
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **said}))


def test_what_the_models_own_generate_does_besides_is_told(folder, lane) -> None:
    said_of_generation(folder, repetition_penalty=1.05, temperature=0.7, suppress_tokens=[5], num_beams=1)
    (note,) = [each for each in Host.load(str(folder), lane=lane).info.notes if "generation_config" in each]
    assert "repetition_penalty = 1.05, suppress_tokens = [5]: replies here are decoded without" in note


@pytest.mark.parametrize("stated", [7, 7.0, [7], [[7], [9]], [7, "<|end|>"]])
def test_end_tokens_are_read_however_they_are_written(stated, folder, lane) -> None:
    said_of_generation(folder, eos_token_id=stated)
    assert 7 in Host.load(str(folder), lane=lane).end_ids
