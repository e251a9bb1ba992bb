"""Files of dictionaries: what may be read is read as what it is, and every known fault is told before it misleads."""

from __future__ import annotations

import json
import pickle
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from steering import confines
from steering.dictionaries import loading, releases
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from tests.dictionary_support import D_IN, D_OUT, FEATURES, made, saved, states
from tests.fuzzing import HOSTILE, HOSTILE_TEXTS, examples


CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}


def changed(
    folder: Path, *, without: tuple[str, ...] = (), metadata: dict[str, Any] | None = None, **changes: Any
) -> Path:
    """The folder with another configuration; None in `metadata` takes a key away."""
    path = folder / "cfg.json"
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in without} | changes
    said = {**config["metadata"], **(metadata or {})}
    config["metadata"] = {key: value for key, value in said.items() if value is not None}
    path.write_text(json.dumps(config))
    return folder


def refusal(source: Path | str, **more: Any) -> str:
    with pytest.raises(SteeringError) as caught:
        load_dictionary(source, **more)
    assert caught.value.given
    assert caught.value.remedy
    return str(caught.value)


# What is read.


@pytest.mark.parametrize("kind", ["batchtopk", "matryoshka_batchtopk"])
def test_kinds_that_only_train_come_as_what_they_are_saved_as(kind: str, tmp_path: Path) -> None:
    from sae_lens import SAE
    from sae_lens.registry import get_sae_training_class
    from sae_lens.saes.sae import SAEMetadata

    sae_class, config_class = get_sae_training_class(kind)
    more = {"matryoshka_widths": [32, FEATURES]} if kind.startswith("matryoshka") else {}
    said = SAEMetadata(model_name="m", hook_name="blocks.1.hook_resid_post")
    torch.manual_seed(0)
    sae = sae_class(config_class(d_in=D_IN, d_sae=FEATURES, k=6, decoder_init_norm=1.0, metadata=said, **more))
    sae.topk_threshold.fill_(2.5)
    sae.save_inference_model(tmp_path)
    dictionary, x = load_dictionary(tmp_path), states(50)
    with torch.no_grad():
        features = SAE.load_from_disk(tmp_path).encode(x)
    assert dictionary.architecture == "jumprelu"
    assert 0 < (features > 0).float().mean() < 0.5
    torch.testing.assert_close(dictionary.encode(x).of(range(FEATURES)), features, **CLOSE)


def test_a_single_file_with_its_configuration_beside_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "whole", "topk")
    whole = load_dictionary(folder)
    assert load_dictionary(folder / "sae_weights.safetensors").digest == whole.digest
    (tmp_path / "mine.safetensors").write_bytes((folder / "sae_weights.safetensors").read_bytes())
    assert "no 'cfg.json'" in refusal(tmp_path / "mine.safetensors")
    (tmp_path / "mine.json").write_text((folder / "cfg.json").read_text())
    lone = load_dictionary(tmp_path / "mine.safetensors")
    assert (lone.name, lone.digest) == ("mine", whole.digest)
    assert load_dictionary(lone.source).digest == whole.digest


def transcoder_set(folder: Path, *, jump: bool, skip: bool, hook: str = "mlp.hook_in", **config: Any) -> Any:
    """A set as circuit-tracer writes it, and sae-lens' object of its block 1."""
    kind = f"{'jumprelu_' if jump else ''}{'skip_' if skip else ''}transcoder"
    folder.mkdir(parents=True, exist_ok=True)
    for block in range(3):
        tensors = {name: each.detach().clone() for name, each in made(kind, seed=block).state_dict().items()}
        tensors["W_enc"] = tensors["W_enc"].T.contiguous()
        if jump:
            tensors["activation_function.threshold"] = tensors.pop("threshold").abs()
        save_file(tensors, folder / f"layer_{block}.safetensors")
    said = {"model_name": "org/tiny", "model_kind": "transcoder_set", "feature_input_hook": hook}
    (folder / "config.yaml").write_text(yaml.safe_dump({**said, "feature_output_hook": "hook_mlp_out", **config}))
    own = made(kind, seed=1)
    if jump:
        own.threshold.data.abs_()
    return own


@pytest.mark.parametrize(("jump", "skip"), [(False, False), (True, False), (False, True), (True, True)])
def test_one_transcoder_of_a_set_of_circuit_tracer(jump: bool, skip: bool, tmp_path: Path) -> None:
    own = transcoder_set(tmp_path / "set", jump=jump, skip=skip)
    found = load_dictionary(tmp_path / "set" / "layer_1.safetensors")
    assert (found.kind, found.reads, found.gives, found.model) == (
        "transcoder", (1, "mlp_input"), (1, "mlp_output"), "org/tiny",
    )  # fmt: skip
    assert (found.name, found.n_features, found.width, found.width_out) == ("set/layer_1", FEATURES, D_IN, D_OUT)
    x = states(40)
    with torch.no_grad():
        torch.testing.assert_close(found.encode(x).of(range(FEATURES)), own.encode(x), **CLOSE)
        torch.testing.assert_close(found.reconstruct(x), own(x), **CLOSE)
    assert "set of 3 transcoders" in refusal(tmp_path / "set")  # which is meant is not guessed


def test_the_hook_of_a_set_may_be_told(tmp_path: Path) -> None:
    transcoder_set(tmp_path, jump=True, skip=False, hook="ln2.hook_normalized")
    path = tmp_path / "layer_1.safetensors"
    found = load_dictionary(path)
    assert (found.reads, found.before_weight) == ((1, "mlp_input"), True)
    assert any("before the norm's learnt weight (blocks.1.ln2.hook_normalized)" in note for note in found.notes)
    found = load_dictionary(f"{path}?reads=1:mlp_input")
    assert not found.before_weight
    assert (found.reads, found.gives) == ((1, "mlp_input"), (1, "mlp_output"))
    assert any("blocks.1.ln2.hook_normalized" in note for note in found.notes)
    assert load_dictionary(found.source).reads == found.reads


def test_sets_that_are_something_else(tmp_path: Path) -> None:
    transcoder_set(tmp_path, jump=False, skip=False, model_kind="cross_layer_transcoder")
    for source in (tmp_path, tmp_path / "layer_0.safetensors"):
        assert "is a cross-layer transcoder of org/tiny, and has no file of its layers" in refusal(source)
    transcoder_set(tmp_path, jump=False, skip=False, activation="topk", k=32)
    assert "active by 'topk'" in refusal(tmp_path / "layer_0.safetensors")
    (tmp_path / "config.yaml").write_text("!!python/object/apply:os.system ['touch harm']")
    assert "not valid YAML" in refusal(tmp_path / "layer_0.safetensors")
    bomb = ["&a0 [x, x, x, x, x, x, x, x, x, x]", *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]
    (tmp_path / "config.yaml").write_text("\n".join(f"a{n}: {line}" for n, line in enumerate(bomb)))
    assert "with its aliases" in refusal(tmp_path / "layer_0.safetensors")  # a billion texts in 400 letters


def sparsify(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(3)
    tensors = {
        "encoder.weight": torch.randn(FEATURES, D_IN, generator=generator),
        "encoder.bias": torch.zeros(FEATURES),
    }
    tensors |= {"W_dec": torch.randn(FEATURES, D_IN, generator=generator), "b_dec": torch.ones(D_IN)}
    save_file(tensors, folder / "sae.safetensors")
    config = {"d_in": D_IN, "num_latents": FEATURES, "k": 4, "activation": "topk", "signed": False, **changes}
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_a_folder_of_sparsify_belongs_where_its_name_says(tmp_path: Path) -> None:
    found = load_dictionary(sparsify(tmp_path / "model" / "layers.3.mlp"))
    assert (found.architecture, found.reads, found.model) == ("topk", (3, "mlp_output"), "")
    x = states(9)
    tensors = load_file(tmp_path / "model" / "layers.3.mlp" / "sae.safetensors")
    before = (x - tensors["b_dec"]) @ tensors["encoder.weight"].T
    values, places = before.topk(4)
    expected = torch.zeros(9, FEATURES).scatter(1, places, values.relu())
    torch.testing.assert_close(found.encode(x).of(range(FEATURES)), expected, **CLOSE)
    torch.testing.assert_close(found.reconstruct(x), expected @ tensors["W_dec"] + tensors["b_dec"], **CLOSE)
    assert load_dictionary(sparsify(tmp_path / "model" / "layers.5")).reads == (5, "block_output")
    assert "TopK transcoder of sparsify" in refusal(sparsify(tmp_path / "a" / "layers.1.mlp", transcode=True))
    assert "groupmax" in refusal(sparsify(tmp_path / "b" / "layers.1.mlp", activation="groupmax"))
    assert "signed topk" in refusal(sparsify(tmp_path / "c" / "layers.1.mlp", signed=True))


def test_what_earlier_versions_wrote(tmp_path: Path) -> None:
    """Before version 6 a TopK dictionary said `activation_fn: topk` beside the architecture `standard` (#553)."""
    folder = saved(tmp_path, "topk", rescale_acts_by_decoder_norm=False)
    tensors = load_file(folder / "sae_weights.safetensors")
    save_file({**tensors, "scaling_factor": torch.ones(FEATURES)}, folder / "sae_weights.safetensors")
    old = {"d_in": D_IN, "d_sae": FEATURES, "dtype": "torch.float32", "architecture": "standard"}
    old |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 6}, "finetuning_scaling_factor": False}
    old |= {"hook_name": "blocks.2.hook_resid_pre", "model_name": "tiny", "normalize_activations": False}
    (folder / "cfg.json").write_text(json.dumps(old))
    found = load_dictionary(folder)
    assert (found.architecture, found.reads, found.model) == ("topk", (2, "block_input"), "tiny")
    assert found.encode(states(20)).counts.max() <= 6
    save_file({**tensors, "scaling_factor": torch.full((FEATURES,), 2.0)}, folder / "sae_weights.safetensors")
    assert "scaling factor" in refusal(folder)


def test_states_of_one_mean_length(tmp_path: Path) -> None:
    folder = saved(tmp_path, "jumprelu", normalize_activations="expected_average_only_in")
    assert "do not have that factor" in refusal(folder)
    found, own, x = load_dictionary(f"{folder}?scale=0.25"), made("jumprelu"), states(30)
    with torch.no_grad():
        expected = own.encode(0.25 * x)
        assert (own.encode(x) - expected).abs().max() > 0.5
        torch.testing.assert_close(found.encode(x).of(range(FEATURES)), expected, **CLOSE)
        torch.testing.assert_close(found.reconstruct(x), own.decode(expected) / 0.25, **CLOSE)
    assert "0.25" in found.notes[0]
    assert load_dictionary(found.source).digest == found.digest
    assert "not scaled by one factor" in refusal(saved(tmp_path / "plain", "jumprelu"), scale=0.25)
    assert "whitening" in refusal(saved(tmp_path / "white", "topk", normalize_activations="covariance_whitening"))


# What does not say where it belongs.


def test_what_files_do_not_say_is_not_guessed(tmp_path: Path) -> None:
    folder = changed(saved(tmp_path / "a", "standard"), metadata={"hook_name": None, "model_name": None})
    assert "do not say what it reads" in refusal(folder)
    found = load_dictionary(folder, reads=(3, "block_input"))
    assert (found.reads, found.gives, found.model) == ((3, "block_input"), (3, "block_input"), "")
    assert load_dictionary(found.source) is load_dictionary(f"{folder}?reads=3:block_input")
    assert "gives the state that it reads" in refusal(folder, reads=(3, "block_input"), gives=(3, "block_output"))
    folder = changed(saved(tmp_path / "b", "transcoder"), metadata={"hook_name_out": None})
    assert "do not say what it gives" in refusal(folder)
    assert load_dictionary(f"{folder}?gives=2:mlp_output").gives == (2, "mlp_output")
    assert "which is only read" in refusal(f"{folder}?gives=2:mlp_input")
    for wrong in ("?reads=x", "?read=2:mlp_output", "?scale=-1", "?scale=nan"):
        assert "Expected" in refusal(f"{folder}{wrong}")


def test_two_names_for_one_place_have_to_agree(tmp_path: Path) -> None:
    path = {"hf_hook_name": "model.layers.2.output"}
    assert load_dictionary(changed(saved(tmp_path / "a", "topk"), metadata=path)).reads == (2, "block_output")
    path = {"hf_hook_name": "model.layers.3"}
    assert "name two places" in refusal(changed(saved(tmp_path / "b", "topk"), metadata=path))
    gemma = {  # sae-lens' words for Gemma Scope 2: TransformerLens' name means another state there
        "hook_name": "blocks.2.hook_mlp_in",
        "hf_hook_name": "model.layers.2.pre_feedforward_layernorm.output",
        "hook_name_out": "blocks.2.hook_mlp_out",
        "hf_hook_name_out": "model.layers.2.post_feedforward_layernorm.output",
    }
    found = load_dictionary(changed(saved(tmp_path / "c", "jumprelu_transcoder"), metadata=gemma))
    assert (found.reads, found.gives) == ((2, "mlp_input"), (2, "mlp_output"))
    both = {"hook_name": "blocks.2.ln2.hook_normalized"}  # with the weight or without
    assert "name two places" in refusal(changed(tmp_path / "c", metadata=both))
    heads = {"hook_name": "blocks.2.attn.hook_z", "hf_hook_name": "model.layers.2.self_attn.o_proj.input"}
    assert "side by side" in refusal(changed(saved(tmp_path / "d", "topk"), metadata=heads))


@pytest.mark.parametrize("changes", [{"reshape_activations": "hook_z"}, {"metadata": {"hook_head_index": 3}}])
def test_single_heads_are_no_site(changes: dict[str, Any], tmp_path: Path) -> None:
    assert "attention heads" in refusal(changed(saved(tmp_path, "standard"), **changes))


# What is wrong.


@pytest.mark.parametrize("kind", ["standard", "transcoder"])
@pytest.mark.parametrize(
    "said", [{"k": 32}, {"activation_fn": "topk"}, {"metadata": {"training_architecture": "topk"}}]
)
def test_topk_is_not_read_as_relu(kind: str, said: dict[str, Any], tmp_path: Path) -> None:
    assert "TopK" in refusal(changed(saved(tmp_path, kind), **said))


def test_the_decoders_bias_is_not_taken_off_what_a_transcoder_reads(tmp_path: Path) -> None:
    folder = changed(saved(tmp_path / "a", "transcoder", d_out=D_IN), without=("apply_b_dec_to_input",))
    found, x = load_dictionary(folder), states(20)
    with torch.no_grad():
        torch.testing.assert_close(
            found.encode(x).of(range(FEATURES)), made("transcoder", d_out=D_IN).encode(x), **CLOSE
        )
    assert "not supported for transcoders" in refusal(changed(folder, apply_b_dec_to_input=True))


def test_several_states_at_once_are_told_as_what_they_are(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", "standard")
    assert "crosscoder" in refusal(changed(folder, architecture="crosscoder"))
    changed(folder, architecture="standard")
    tensors = load_file(folder / "sae_weights.safetensors")
    stacked = {name: each[None].repeat(2, *[1] * each.ndim) for name, each in tensors.items()}
    save_file(stacked, folder / "sae_weights.safetensors")
    assert "crosscoder" in refusal(folder)  # also where its configuration says nothing
    assert "architecture 'lista'" in refusal(changed(saved(tmp_path / "b", "standard"), architecture="lista"))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", "topk")
    assert load_dictionary(whole).n_features == FEATURES
    weights = whole / "sae_weights.safetensors"
    kept = weights.read_bytes()
    for length in (0, 5, 200, len(kept) // 2, len(kept) - 1):
        weights.write_bytes(kept[:length])
        assert "cannot be read" in refusal(whole)
    weights.unlink()
    assert "no 'sae_weights.safetensors'" in refusal(whole)
    weights.write_bytes(kept)
    (whole / "cfg.json").rename(whole / "other.json")
    assert "no 'cfg.json'" in refusal(whole)
    for text in ("", "[]", "{", '{"a": ' * 5000):
        (whole / "cfg.json").write_text(text)
        assert "cfg.json" in refusal(whole)
    assert "There is no dictionary" in refusal(tmp_path / "nowhere")
    assert "no path" in refusal("a\0b")


def test_weights_that_are_not_the_configurations(tmp_path: Path) -> None:
    assert "(97, 24)" in refusal(changed(saved(tmp_path / "a", "standard"), d_sae=FEATURES + 1))
    for said in ({"k": 97}, {"k": None}, {"without": ("k",)}):  # sae-lens would take 100 without a word
        assert "how many features are active" in refusal(changed(saved(tmp_path / "k", "topk"), **said))
    assert "threshold" in refusal(changed(saved(tmp_path / "b", "jumprelu"), architecture="standard"))
    assert "field d_in" in refusal(changed(saved(tmp_path / "c", "standard"), without=("d_in",)))
    folder = saved(tmp_path / "d", "standard")
    tensors = load_file(folder / "sae_weights.safetensors")
    tensors["b_dec"][3] = float("nan")
    save_file(tensors, folder / "sae_weights.safetensors")
    assert "not finite" in refusal(folder)
    assert "width 192" in refusal(saved(tmp_path / "e", "standard"), width=192)


KEYS = ["architecture", "d_in", "d_sae", "k", "normalize_activations", "reshape_activations", "activation_fn_kwargs"]
KEYS += [
    "metadata",
    "apply_b_dec_to_input",
    "activation_fn",
    "sae_lens_version",
    "rescale_acts_by_decoder_norm",
    "keys",
]
SAID = ["hook_name", "hf_hook_name", "model_name", "hook_head_index", "model_from_pretrained_kwargs", "items", "keys"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("kept"), "topk")


@given(
    changes=st.dictionaries(st.sampled_from(KEYS), HOSTILE, max_size=3),
    metadata=st.dictionaries(st.sampled_from(SAID), HOSTILE, max_size=2),
)
@examples(80)
def test_any_configuration_is_a_dictionary_or_one_error(
    kept: Path, changes: dict[str, Any], metadata: dict[str, Any]
) -> None:
    own = kept / "cfg.json"
    before = own.read_text()
    config = json.loads(before)
    try:
        own.write_text(json.dumps({**config, "metadata": {**config["metadata"], **metadata}, **changes}))
        with suppress(SteeringError):
            assert load_dictionary(kept).encode(states(3)).n_tokens == 3
    finally:
        own.write_text(before)


@given(source=HOSTILE_TEXTS, behind=st.one_of(st.just(""), HOSTILE_TEXTS.map("?{}".format)))
@examples(60)
def test_any_text_is_a_source_or_one_error(source: str, behind: str) -> None:
    with suppress(SteeringError):
        load_dictionary(source + behind)


class Harm:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["ae.pt", "sae_weights.pt", "sae.pkl", "sae_weights.safetensors"])
def test_a_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "harm"
    data = pickle.dumps(Harm(mark))
    pickle.loads(data)
    assert mark.exists()  # it would
    mark.unlink()
    folder = saved(tmp_path / "folder", "standard")
    (folder / "sae_weights.safetensors").unlink()
    (folder / name).write_bytes(data)
    for source in (folder, folder / name):
        assert ("pickle" if name != "sae_weights.safetensors" else "cannot be read") in refusal(source)
    (folder / "cfg.json").rename(folder / "config.json")  # as dictionary_learning has it
    assert refusal(folder)
    assert not mark.exists()


# Elsewhere.


def test_a_release_without_a_network_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    release = "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71"
    assert "could not be fetched" in refusal(release)  # the suite says offline
    assert "one of its ids" in refusal("gemma-scope-2b-pt-res/layer_99/width_16k/average_l0_71")
    assert "owner/name/folder" in refusal("hub:owner/name")
    assert "could not be fetched" in refusal("hub:nobody/nothing/folder")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert "The Hub cannot be reached" in refusal(release)


def test_the_list_of_releases_is_read_as_sae_lens_reads_it() -> None:
    """Of a few releases in part; the whole list takes sae-lens seconds."""
    lines, begins = releases._list()
    assert len(begins) > 100
    assert all(
        re.match(r"  (conversion_func|model|repo_id|config_overrides|saes)", lines[at + 1]) for at in begins.values()
    )
    found = releases.registered("gpt2-small-res-jb")
    assert found is not None
    assert (found.repository, found.loader) == ("jbloom/GPT2-Small-SAEs-Reformatted", "sae_lens")
    assert found.overrides["model_from_pretrained_kwargs"] == {"center_writing_weights": True}
    assert "blocks.8.hook_resid_pre" in found.folders
    assert releases.registered("no-such-release") is None


def test_a_models_releases_are_known_by_its_name_or_that_which_it_is_named_after() -> None:
    own = releases.releases_of("openai-community/gpt2")  # which sae-lens calls gpt2-small
    known = releases.registered("gpt2-small-res-jb")
    assert known is not None
    assert own["gpt2-small-res-jb"] == tuple(known.folders)
    assert all(releases.release_of(f"{name}/{ids[0]}") == (name, ids[0]) for name, ids in own.items())
    assert releases.releases_of("google/gemma-2-2b-it") == releases.releases_of("google/gemma-2-2b") != {}
    assert not set(releases.releases_of("google/gemma-2-2b")) & set(releases.releases_of("google/gemma-2-27b"))
    assert releases.releases_of("demo") == releases.releases_of("") == {}


def test_a_release_is_what_its_loader_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would come over the network, handed over by hand: settings of old, a factor that only the release has."""
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_LOADERS

    release = "llama_scope_lxr_8x"
    known = releases.registered(release)
    assert known is not None
    name, factor = next(iter(known.scales.items()))
    own = made("jumprelu")
    config = {"architecture": "jumprelu", "d_in": D_IN, "d_sae": FEATURES, "dtype": "bfloat16", "device": "cpu"}
    config |= {"model_name": "m", "hook_name": "blocks.4.hook_resid_post", "apply_b_dec_to_input": False}
    config |= {"normalize_activations": "expected_average_only_in", "activation_fn": "relu"}
    loader = lambda **given: (config, {k: v.detach() for k, v in own.state_dict().items()}, None)  # noqa: E731
    monkeypatch.setitem(NAMED_PRETRAINED_SAE_LOADERS, known.loader, loader)
    monkeypatch.setattr(releases, "_check_reach", lambda source: None)
    found = load_dictionary(f"{release}/{name}")
    assert (found.source, found.reads) == (f"{release}/{name}", (4, "block_output"))
    reference, x = made("jumprelu", apply_b_dec_to_input=False), states(20)
    with torch.no_grad():
        expected = reference.encode(factor * x)
    torch.testing.assert_close(found.encode(x).of(range(FEATURES)), expected, rtol=1e-4, atol=1e-4)
    assert "its release says" in found.notes[0]


def test_a_visitor_reads_what_ships_and_what_they_uploaded(tmp_path: Path) -> None:
    own = saved(tmp_path / "own", "standard")
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with confines.confined(confines.Confines(uploads=uploads, hub=False, models=None)):
        assert load_dictionary("demo/block-3-sae").n_features == 1024
        for source in (own, tmp_path / "nowhere", "hub:owner/name/folder"):
            assert "The page cannot read" in refusal(source)


def test_a_loaded_dictionary_is_kept_while_its_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = saved(tmp_path / "1", "standard"), saved(tmp_path / "2", "standard", seed=1)
    found = load_dictionary(first)
    assert load_dictionary(first) is found
    assert load_dictionary(second).digest != found.digest
    saved(tmp_path / "1", "standard", seed=2)
    assert load_dictionary(first).digest != found.digest
    monkeypatch.setattr(loading, "MOST_KEPT", 0)
    last = load_dictionary(first)
    assert load_dictionary(first) is last  # one stays
    load_dictionary(second)
    assert load_dictionary(first) is not last
