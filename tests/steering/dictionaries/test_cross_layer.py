"""Cross-layer transcoders: activations by plain arithmetic, decoders read by slices, everything else refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from steering.dictionaries import layers as layers_module
from steering.dictionaries import releases
from steering.dictionaries.edits import Replace, switched_off
from steering.dictionaries.inputs import Input
from steering.dictionaries.loading import load_dictionary, why_read_only
from steering.errors import SteeringError
from tests.cross_layer_support import FEATURES, WIDTH, circuit, drawn, gemma, jumped
from tests.steering.dictionaries.test_loading import refusal


CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize("jump", [True, False])
def test_a_layer_of_circuit_tracers_has_its_own_activations(jump: bool, tmp_path: Path) -> None:
    layer = circuit(tmp_path / "clt", jump=jump)[1]
    found = load_dictionary(tmp_path / "clt" / "W_enc_1.safetensors", width=WIDTH)
    assert (found.kind, found.architecture, found.gives) == (
        "cross-layer transcoder", "cross-layer transcoder", (1, "mlp_output"),
    )  # fmt: skip
    assert found.model == "org/tiny-llama"
    # TransformerLens' hook_resid_mid is no site: what enters the block, and what attention adds.
    assert found.read_from == (Input(((1, "block_input"), (1, "attention_output"))),)
    x = drawn(30, WIDTH, seed=99, scale=2.0)
    before = x @ layer["W_enc"].T + layer["b_enc"]
    expected = jumped(before, layer["threshold"]) if jump else before.relu()
    assert 0.1 < (expected > 0).float().mean() < 0.9
    torch.testing.assert_close(found.encode(x).of(range(FEATURES)), expected, **CLOSE)
    torch.testing.assert_close(found.activations(x, [3, 17]), expected[:, [3, 17]], **CLOSE)
    torch.testing.assert_close(found.decoder([5]), layer["W_dec"][[5], 0])  # to its own block
    told = load_dictionary(f"{tmp_path / 'clt' / 'W_enc_1.safetensors'}?reads=1:mlp_input")
    assert told.read_from == (Input(((1, "mlp_input"),)),)


def test_all_layers_together_give_what_an_mlp_gives(tmp_path: Path) -> None:
    layers = circuit(tmp_path / "clt", blocks=3)
    found = load_dictionary(tmp_path / "clt" / "W_enc_2.safetensors").layers
    assert found is not None
    assert found.missing == ""
    states = [drawn(700, WIDTH, seed=50 + n) for n in range(3)]  # more than stand at once
    expected = layers[2]["b_dec"].expand(700, -1).clone()
    for n, layer in enumerate(layers):
        active = jumped(states[n] @ layer["W_enc"].T + layer["b_enc"], layer["threshold"])
        expected += active @ layer["W_dec"][:, 2 - n]
    torch.testing.assert_close(found.given(states), expected, **CLOSE)


def test_layers_of_gemma_scope_2(tmp_path: Path) -> None:
    layers = gemma(tmp_path / "clt" / "width_40", affine=True)
    found = load_dictionary(tmp_path / "clt" / "width_40" / "params_layer_1.safetensors")
    assert (found.reads, found.gives, found.inputs) == ((1, "mlp_input"), (1, "mlp_output"), ())
    x, y = drawn(20, WIDTH, seed=98), drawn(20, WIDTH, seed=97)
    own = jumped(y @ layers[1]["w_enc"] + layers[1]["b_enc"], layers[1]["threshold"])
    torch.testing.assert_close(found.encode(y).of(range(FEATURES)), own, **CLOSE)
    first = jumped(x @ layers[0]["w_enc"] + layers[0]["b_enc"], layers[0]["threshold"])
    expected = first @ layers[0]["w_dec"][:, 1] + own @ layers[1]["w_dec"][:, 1] + layers[1]["b_dec"]
    expected += y @ layers[1]["affine_skip_connection"]
    assert found.layers is not None
    torch.testing.assert_close(found.layers.given([x, y]), expected, **CLOSE)
    # Their crosscoders are of the same kind, over the blocks that the folder's name says.
    gemma(tmp_path / "crosscoder" / "layer_1_3_width_40_l0_small")
    found = load_dictionary(tmp_path / "crosscoder" / "layer_1_3_width_40_l0_small" / "params_layer_1.safetensors")
    assert (found.reads, found.gives) == ((3, "block_output"), (3, "block_output"))
    gemma(tmp_path / "elsewhere")  # whose name says nothing, so nothing is guessed
    path = tmp_path / "elsewhere" / "params_layer_0.safetensors"
    assert "do not say what it reads" in refusal(path)
    assert load_dictionary(f"{path}?reads=0:mlp_input&gives=0:mlp_output").reads == (0, "mlp_input")


def test_decoders_stay_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading reads the rows for the own block alone; putting layers together those of active features alone."""
    circuit(tmp_path, blocks=4)
    opened, read = [], []

    class Slice:
        def __init__(self, held: Any) -> None:
            self.held = held

        def get_shape(self) -> list[int]:
            return self.held.get_shape()

        def __getitem__(self, at: Any) -> torch.Tensor:
            rows = self.held[at]
            read.append(rows.numel())
            return rows

    class File:
        def __init__(self, path: Path, **how: Any) -> None:
            opened.append(Path(path).name)
            self.kept = original(path, **how)

        def __enter__(self) -> File:
            self.file = self.kept.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.kept.__exit__(*error)

        def keys(self) -> Any:
            return self.file.keys()

        def get_tensor(self, name: str) -> torch.Tensor:
            assert not name.startswith("W_dec"), "a decoder is never read whole"
            return self.file.get_tensor(name)

        def get_slice(self, name: str) -> Slice:
            return Slice(self.file.get_slice(name))

    original = layers_module.safe_open
    monkeypatch.setattr(layers_module, "safe_open", File)
    found = load_dictionary(tmp_path / "W_enc_2.safetensors")
    assert opened == ["W_enc_2.safetensors", "W_dec_2.safetensors"]
    assert read == [FEATURES * WIDTH]  # of a decoder for two blocks
    read.clear()
    assert found.layers is not None
    found.layers.given([drawn(1, WIDTH, seed=7)] * 3)
    assert len(read) == 3
    assert sum(read) < 3 * FEATURES * WIDTH  # of one token, fewer features than all are active


def test_sae_lens_finds_the_same_activations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loader of single layers, from files in place of the Hub's; what features give is another thing there."""
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    circuit(tmp_path, jump=False, feature_input_hook="mlp.hook_in")
    monkeypatch.setattr(loaders, "hf_hub_download", lambda repo, name, **more: str(tmp_path / name))
    monkeypatch.setattr(
        loaders,
        "get_safetensors_tensor_shapes",
        lambda repo, name: {key: list(each.shape) for key, each in load_file(tmp_path / name).items()},
    )
    with pytest.warns(UserWarning, match="summing all decoders"):
        config, tensors, _ = loaders.mntss_clt_layer_huggingface_loader("repo", "0")
    config["metadata"] = {}
    own = SAE.load_from_disk("", converter=lambda path, device, cfg_overrides: (config, tensors))
    found, x = load_dictionary(tmp_path / "W_enc_0.safetensors"), drawn(25, WIDTH, seed=5, scale=1.0)
    assert found.hooks == (config["hook_name"], config["hook_name_out"])
    with torch.no_grad():
        torch.testing.assert_close(found.encode(x).of(range(FEATURES)), own.encode(x), **CLOSE)
    assert not torch.allclose(found.decoder([0]), own.W_dec[[0]], atol=1e-2)


def test_a_release_of_one_is_read_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    layer = circuit(tmp_path)[0]
    release = next(name for name in releases._list()[1] if "clt" in name and "mntss" in name)
    source = f"{release}/layer_0"
    fetched: list[str] = []

    def fetch(repository: str, name: str) -> str:
        fetched.append(name)
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(releases, "_check_reach", lambda source: None)
    found = load_dictionary(source)
    assert fetched == ["config.yaml", "W_dec_0.safetensors", "W_enc_0.safetensors"]
    assert (found.name, found.source) == (source, source)
    torch.testing.assert_close(found.decoder([1]), layer["W_dec"][[1], 0])
    assert "read only" in why_read_only(source)


def test_nothing_is_written_by_one(tmp_path: Path) -> None:
    circuit(tmp_path)
    path = tmp_path / "W_enc_0.safetensors"
    found = load_dictionary(path)
    assert found.read_only == why_read_only(str(path)) == why_read_only(str(tmp_path))
    for write in (
        lambda: switched_off(found, [1]),
        lambda: Replace(found),
        lambda: found.contribution(drawn(2, WIDTH, seed=1), [1], torch.ones(2, 1)),
    ):
        with pytest.raises(SteeringError, match="read only here: each of its features gives to its own block"):
            write()
    for give in (
        lambda: found.reconstruct(drawn(2, WIDTH, seed=1)),
        lambda: found.decode(found.encode(drawn(2, WIDTH, seed=1))),
    ):
        with pytest.raises(SteeringError, match="a part of what an MLP gives"):
            give()


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    circuit(tmp_path)
    assert "with the features of 2 blocks" in refusal(tmp_path)
    encoder, decoder = tmp_path / "W_enc_0.safetensors", tmp_path / "W_dec_0.safetensors"
    assert "width 64" in refusal(encoder, width=64)
    kept = {path: path.read_bytes() for path in (encoder, decoder)}
    for path, content in kept.items():
        for length in (0, 5, len(content) // 2):
            path.write_bytes(content[:length])
            assert "cannot be read" in refusal(encoder)
        path.write_bytes(pickle.dumps({"W_enc_0": 1}))
        assert "cannot be read" in refusal(encoder)
        path.write_bytes(content)
    decoder.rename(tmp_path / "W_dec_0.pt")
    assert "'W_dec_0.pt'" in refusal(encoder)
    assert "pickle" in refusal(encoder)
    (tmp_path / "W_dec_0.pt").unlink()
    assert "no 'W_dec_0.safetensors'" in refusal(encoder)
    decoder.write_bytes(kept[decoder])
    tensors = load_file(encoder)
    save_file({**tensors, "threshold_0": -tensors["threshold_0"]}, encoder)
    assert "thresholds below 0" in refusal(encoder)
    save_file({**tensors, "b_enc_0": tensors["b_enc_0"][:-1].contiguous()}, encoder)
    assert "for 39 features" in refusal(encoder)
    save_file({**tensors, "b_enc_0": tensors["b_enc_0"] / 0}, encoder)
    assert "not finite" in refusal(encoder)
    del tensors["b_dec_0"]
    save_file(tensors, encoder)
    assert "has no b_dec_0" in refusal(encoder)
    encoder.write_bytes(kept[encoder])
    save_file({"W_dec_0": drawn(FEATURES - 1, 2, WIDTH, seed=1)}, decoder)
    assert "(39, 32)" in refusal(encoder)
    (tmp_path / "config.yaml").unlink()
    assert "no 'config.yaml'" in refusal(encoder)
