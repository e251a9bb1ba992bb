"""What is no text generator, and folders that hold none, are refused by what they are."""

from __future__ import annotations

import json
import os
import re
import shutil

import httpx
import pytest
import torch
import transformers
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from loading_support import edited, randomise, saved, with_tokenizer
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from steering.errors import SteeringError
from steering.loading.checkpoints import Checkpoint
from steering.loading.load_errors import load_error
from steering.loading.options import LoadOptions
from steering.loading.quantised import _BY_TRANSFORMERS, _LIBRARIES, _ON_A_GPU
from steering.model.host import Host
from steering.model.prompts import render_text
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row


_SIZES = {
    "vocab_size": 3072,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "eos_token_id": None,
}
_SMALL = {
    "vocab_size": 3072,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_T5 = {"vocab_size": 3072, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
_BART = {
    "vocab_size": 3072,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
OTHERS = {
    "T5ForConditionalGeneration": ("t5", _T5, "encoder-decoder"),
    "BartForConditionalGeneration": ("bart", _BART, "encoder-decoder"),
    "WhisperForConditionalGeneration": (
        "whisper",
        {**_BART, "num_mel_bins": 8, "pad_token_id": 0},
        "speech recogniser",
    ),
    "BertForMaskedLM": ("bert", _SMALL, "encoder that fills in masked words"),
    "BertModel": ("bert", _SMALL, "text encoder, which gives vectors"),
    "BertLMHeadModel": ("bert", _SMALL, "encoder that fills in masked words"),
    "BertForSequenceClassification": ("bert", _SMALL, "classifier, reward model or reranker"),
    "XLMRobertaForSequenceClassification": ("xlm-roberta", _SMALL, "classifier, reward model or reranker"),
    "LlamaForSequenceClassification": ("llama", _SIZES, "classifier, reward model or reranker"),
    "GPT2ForTokenClassification": (
        "gpt2",
        {"vocab_size": 3072, "n_embd": 32, "n_layer": 2, "n_head": 4},
        "classifier of tokens",
    ),
    "BertForQuestionAnswering": ("bert", _SMALL, "marks answers in a text"),
    "ViTForImageClassification": ("vit", {**_SMALL, "image_size": 28}, "model for image classification"),
    "ViTModel": ("vit", {**_SMALL, "image_size": 28}, "image"),
    "CLIPModel": ("clip", {}, "compares pictures with texts"),
    "Wav2Vec2ForCTC": ("wav2vec2", {}, "speech recogniser"),
}


def refused(place, lane, **options) -> str:
    with pytest.raises(SteeringError) as caught:
        Host.load(str(place), lane=lane, options=LoadOptions(**options))
    said = str(caught.value)
    assert "spelling" not in said
    assert "network" not in said
    return said


@pytest.mark.parametrize("architecture", OTHERS)
def test_what_is_no_decoder_is_refused_by_what_it_is(architecture, tmp_path, lane) -> None:
    kind, sizes, said = OTHERS[architecture]
    folder = with_tokenizer(tmp_path / "model")
    config = AutoConfig.for_model(kind, **sizes)
    config.architectures = [architecture]
    config.save_pretrained(folder)
    if sizes:  # the whole model, so that nothing else stands against it
        getattr(transformers, architecture)(config).save_pretrained(folder)
    else:
        (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    message = refused(folder, lane)
    assert said in message
    assert architecture in message


def test_a_reward_model_that_says_nothing_is_noticed_by_its_head(tmp_path, lane) -> None:
    model = randomise(LlamaForSequenceClassification(LlamaConfig(**_SIZES, num_labels=1)))
    folder = tmp_path / "reward"
    model.save_pretrained(folder)
    edited(with_tokenizer(folder), architectures=None)
    assert re.search(r"output head is not in its files.*lm_head\.weight", refused(folder, lane))


@pytest.mark.parametrize("name", ["LlamaForRewardModelling", "MyReranker", "LlamaForEmbedding"])
def test_a_class_that_nobody_knows_is_read_by_its_name(name, model_folder, lane) -> None:
    assert re.search("gives (scores|vectors) and no text", refused(edited(model_folder, architectures=[name]), lane))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return saved(randomise(LlamaForCausalLM(LlamaConfig(**_SIZES))), tmp_path_factory.mktemp("made") / "model")


@pytest.fixture
def model_folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def test_an_embedding_model_is_refused_by_what_it_is(model_folder, lane) -> None:
    (model_folder / "modules.json").write_text("[]")
    assert "embedding model of sentence-transformers" in refused(model_folder, lane)
    assert Host.load(str(model_folder), lane=lane, options=LoadOptions(allow_missing=True)).info.blocks == 2


def _empty(folder) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _only(*kept):
    def work(folder) -> None:
        for file in folder.iterdir():
            if file.name not in kept:
                file.unlink()

    return work


def _several(folder) -> None:
    inner = folder / "one"
    inner.mkdir()
    for file in [each for each in folder.iterdir() if each.is_file()]:
        file.rename(inner / file.name)
    shutil.copytree(inner, folder / "two")


def _renamed(name):
    def work(folder) -> None:
        (folder / "model.safetensors").rename(folder / name)

    return work


def _text(name, content):
    def work(folder) -> None:
        (folder / name).write_text(content)

    return work


def _template(template):
    def work(folder) -> None:
        (folder / "chat_template.jinja").unlink()
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": template}))

    return work


FOLDERS = {
    "empty": (_empty, r"is empty"),
    "a tokenizer alone": (_only("tokenizer.json", "tokenizer_config.json"), r"holds a tokenizer and no model"),
    "weights alone": (_only("model.safetensors"), r"has no config\.json; it holds model\.safetensors"),
    "several models": (_several, r"holds 2 folders with models: one, two.*model/one"),
    "no weights": (_only("config.json", "tokenizer.json"), r"has no weights\."),
    "no tokenizer": (_only("config.json", "model.safetensors"), r"has no tokenizer that can be read"),
    "ONNX": (_renamed("model.onnx"), r"no weights that can be read; it holds an ONNX export"),
    "other names": (_renamed("weights.safetensors"), r"safetensors files under other names"),
    "two GGUF": (lambda f: [_renamed("a.gguf")(f), (f / "b.gguf").touch()], r"2 GGUF files: a\.gguf, b\.gguf"),
    "diffusers": (_text("model_index.json", "{}"), r"pipeline of the diffusers library"),
    "no JSON": (_text("config.json", "{"), r"config\.json' is no JSON"),
    "deep JSON": (_text("config.json", '{"a":' * 100_000), r"is no JSON: it is nested too deeply"),
    "long number": (_text("config.json", '{"a": ' + "9" * 5000 + "}"), r"is no JSON"),
    "a list": (_text("config.json", "[]"), r"holds a list"),
    "no type": (_text("config.json", "{}"), r"says no model_type"),
    "a type that is none": (_text("config.json", '{"model_type": 7}'), r"says no model_type"),
    "a new type": (
        _text("config.json", '{"model_type": "llama9", "transformers_version": "9.1.0"}'),
        r"of type 'llama9'.*saved by transformers 9\.1\.0.*newer transformers",
    ),
    "no UTF-8": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{}"), r"is no JSON"),
    "a broken tokenizer": (_text("tokenizer.json", "{"), r"tokenizer\.json' is no JSON"),
    "a broken tokenizer's configuration": (
        _text("tokenizer_config.json", '{"a'),
        r"tokenizer_config\.json' is no JSON",
    ),
    "a number as template": (_template(5), r"chat_template of the tokenizer is no template but 5"),
    "a list of junk as template": (_template(["junk", 3]), r"no template but \['junk', 3\].*Jinja"),
    "templates without a text": (_template([{"name": "default"}]), r"no template but \[\{'name': 'default'\}\]"),
    "a named template that is no text": (_template({"default": 7}), r"no template but \{'default': 7\}"),
    "a broken generation_config": (_text("generation_config.json", ""), r"generation_config\.json' is no JSON"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_a_model_is_described(kind, model_folder, lane) -> None:
    work, said = FOLDERS[kind]
    work(model_folder)
    assert re.search(said, refused(model_folder, lane))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_is_answered_with_its_folder(name, model_folder, lane) -> None:
    assert f"Name the folder: {model_folder}" in refused(model_folder / name, lane)


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 5000, "a b/c d", "\ud800", "demo\n\nother", "--revision", "a--b", "💥/model"]
)
def test_names_that_cannot_be_are_said(name, lane) -> None:
    with pytest.raises(SteeringError, match=r"is no local folder or file|There is no folder"):
        Host.load(name, lane=lane)


@pytest.mark.parametrize("name", ["no-such-model", "someone/no-such-model"])
def test_a_name_that_is_on_no_shelf_speaks_of_the_hub(name, lane) -> None:
    with pytest.raises(SteeringError, match=r"no local cache.*spelling.*network"):
        Host.load(name, lane=lane)


def test_a_folder_with_odd_letters_in_its_name_loads(model_folder, lane) -> None:
    odd = model_folder.rename(model_folder.parent / "modèle № 1 (копия) [x]")
    assert Host.load(str(odd), lane=lane).info.blocks == 2


@pytest.mark.parametrize("name", [".", "config.json", "model.safetensors"])
def test_what_must_not_be_read_is_said(name, model_folder, lane, monkeypatch) -> None:
    closed, allowed = (model_folder / name).resolve(), os.access
    # Not by its permissions: the superuser, as whom a container may run the tests, reads everything.
    monkeypatch.setattr(os, "access", lambda path, mode: path.resolve() != closed and allowed(path, mode))
    assert "must not be read" in refused(model_folder, lane)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"quant_method": "gptq", "bits": 4},
            r"quantised \(gptq\)\..*gptqmodel is needed, which is not installed and .*optimum.*\[gptq\]",
        ),
        ({"quant_method": "awq", "bits": 4}, r"quantised \(awq\)\..*gptqmodel.*\[gptq\]"),
        ({"quant_method": "compressed-tensors"}, r"the package compressed_tensors is needed.*\[compressed-tensors\]"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            r"the package bitsandbytes is needed.*\[quantisation\]",
        ),
        ({"load_in_8bit": True}, r"the package bitsandbytes is needed.*\[quantisation\]"),
        ({"quant_method": "hqq"}, r"the package hqq is needed"),
        ({"quant_method": "spqr"}, r"quantised by spqr, which runs on a GPU alone; this machine has none"),
        ({"quant_method": "higgs"}, r"quantised by higgs, which runs on a GPU alone"),
        ({"quant_method": "nvfp4"}, r"quantised by the method 'nvfp4', which transformers does not read"),
        ({"quant_method": "exl2"}, r"quantised by the method 'exl2', which transformers does not read"),
        ({"bits": 3}, r"a method that its configuration does not name"),
    ],
)
def test_the_package_that_quantised_weights_need_is_named_first(said, message, model_folder, lane, monkeypatch) -> None:
    monkeypatch.setattr("steering.loading.quantised._installed", lambda package: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    edited(model_folder, quantization_config=said)
    (model_folder / "tokenizer.json").unlink()  # before anything else is read
    assert re.search(message, refused(model_folder, lane))


@pytest.mark.parametrize("method", sorted(_ON_A_GPU))
def test_with_a_gpu_its_package_is_named(method, model_folder, lane, monkeypatch) -> None:
    monkeypatch.setattr("steering.loading.quantised._installed", lambda package: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    edited(model_folder, quantization_config={"quant_method": method})
    assert re.search(
        r"To read them, the package \w+ is needed, which is not installed.*pip install", refused(model_folder, lane)
    )


def test_every_method_of_transformers_is_known() -> None:
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    known = {*_LIBRARIES, *_BY_TRANSFORMERS, "nvfp4", "bitsandbytes_4bit", "bitsandbytes_8bit"}
    assert set(AUTO_QUANTIZATION_CONFIG_MAPPING) <= known


def test_an_old_package_is_named_with_the_version_that_is_needed(model_folder, lane, monkeypatch) -> None:
    monkeypatch.setattr("steering.loading.quantised._installed", lambda package: True)
    monkeypatch.setattr("steering.loading.quantised.metadata.version", lambda package: "0.9")
    edited(model_folder, quantization_config={"quant_method": "compressed-tensors"})
    assert "compressed_tensors is needed in version 0.15.0 or newer, and 0.9 is installed" in refused(
        model_folder, lane
    )


def test_what_a_model_is_comes_before_the_weights_it_lacks(tmp_path, lane) -> None:
    from transformers import T5Config

    T5Config(architectures=["T5ForConditionalGeneration"]).save_pretrained(tmp_path)
    said = refused(tmp_path, lane)
    assert "no weights" not in said
    assert "encoder" in said


def test_weights_of_mlx_are_said(model_folder, lane) -> None:
    edited(model_folder, quantization={"group_size": 64, "bits": 4})
    assert "MLX" in refused(model_folder, lane)


def test_a_precision_that_overflows_is_said(model_folder, lane) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(model_folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.full((32,), 1e5)
    save_file(tensors, model_folder / "model.safetensors", {"format": "pt"})
    assert Host.load(str(model_folder), lane=lane).info.blocks == 2
    assert "float16 overflows" in refused(model_folder, lane, dtype="float16")


def test_a_configuration_with_a_huge_context_loads(model_folder, lane) -> None:
    said = json.loads((model_folder / "config.json").read_text())
    assert said["max_position_embeddings"] == 128
    assert Host.load(str(edited(model_folder, max_position_embeddings=10**15)), lane=lane).info.context == 10**15


def _of_the_hub(kind, said):
    request = httpx.Request("GET", "https://huggingface.co/someone/model")
    return kind(said, response=httpx.Response(404, request=request))


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (_of_the_hub(GatedRepoError, "gated"), r"is gated.*Ask for access"),
        (_of_the_hub(RepositoryNotFoundError, "404"), r"neither a local folder nor a public model.*spelling.*login"),
        (_of_the_hub(RevisionNotFoundError, "404"), r"no such revision.*--revision"),
        (EntryNotFoundError("no config.json"), r"no file that is needed"),
        (ConnectionError("no route"), r"the Hub cannot be reached.*network"),
        (PermissionError("no"), r"must not be read"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), r"no room in memory"),
        (ValueError("heads do not divide width"), r"was found, but it cannot be read: heads do not divide width"),
    ],
)
def test_what_the_hub_says_is_told_by_its_cause(cause, message) -> None:
    try:
        raise OSError("We could not load it.") from cause
    except OSError as wrapped:
        error = (
            wrapped
            if isinstance(cause, HfHubHTTPError | EntryNotFoundError | ConnectionError | PermissionError)
            else cause
        )
    said = str(load_error("someone/model", Checkpoint("someone/model", "hub"), error, "it cannot be read"))
    assert re.search(message, said)
    assert ("spelling" in said) == isinstance(cause, RepositoryNotFoundError | ConnectionError) or "gated" in said


@pytest.mark.parametrize("attention", ["flash_attention_2", "nonsense"])
def test_an_attention_that_is_not_there_is_said_with_what_would_do(attention, model_folder, lane, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = refused(edited(model_folder, attn_implementation=attention), lane)
    assert f"asks for the attention '{attention}'" in said
    assert "sdpa or eager" in said
    assert "numbers that fit" not in said


def test_numbers_that_do_not_fit_are_still_said_beside_an_attention(model_folder, lane) -> None:
    said = refused(edited(model_folder, attn_implementation="eager", head_dim=-3), lane)
    assert "numbers that fit each other" in said


def test_outputs_without_names_are_put_right(model_folder, made, lane) -> None:
    bare = Host.load(str(edited(model_folder, return_dict=False)), lane=lane)
    as_made = Host.load(str(made), lane=lane)
    rows = [Row(render_text(each, "Hello there.")) for each in (bare, as_made)]
    torch.testing.assert_close(next_token_logits(bare, rows[:1]), next_token_logits(as_made, rows[1:]))
    own = LlamaForCausalLM(LlamaConfig(**_SIZES, return_dict=False)).eval()
    assert Host.wrap(own, as_made.tokenizer, lane=lane).info.blocks == 2


@pytest.mark.parametrize("part", ["all", "head", "same"])
def test_a_model_that_says_nothing_is_refused_for_that(part, tokenizer, lane) -> None:
    model = randomise(LlamaForCausalLM(LlamaConfig(**_SIZES)))
    for key, weights in model.named_parameters():
        if part != "head" or key == "lm_head.weight":
            weights.data.fill_(0.5 if part == "same" else 0)
    with pytest.raises(SteeringError, match="gives every token the same logit") as found:
        Host.wrap(model, tokenizer, lane=lane)
    assert ("all of its weights are zero" in str(found.value)) == (part == "all")
    assert "position" not in str(found.value)


def test_logits_that_are_no_numbers_are_refused_for_that(tokenizer, lane) -> None:
    model = randomise(LlamaForCausalLM(LlamaConfig(**_SIZES)))
    model.lm_head.weight.data[5] = float("nan")
    with pytest.raises(SteeringError, match="logits that are NaN or infinite"):
        Host.wrap(model, tokenizer, lane=lane)


def test_an_embedding_that_serves_as_the_head_is_told(tmp_path, lane) -> None:
    config = LlamaConfig(**_SIZES, tie_word_embeddings=True)
    whole = randomise(LlamaForCausalLM(config))
    whole.model.save_pretrained(tmp_path / "bare")
    bare = Host.load(str(with_tokenizer(tmp_path / "bare")), lane=lane)
    assert any("of a LlamaModel, which has no output head; the embedding serves" in note for note in bare.info.notes)
    as_made = Host.load(str(saved(whole, tmp_path / "whole")), lane=lane)
    assert not any("output head" in note for note in as_made.info.notes)
