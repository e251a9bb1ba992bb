"""Crosscoders and cross-layer transcoders on a tiny model: what they say is what plain passes say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from steering.dictionaries.beside import with_others
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.host import Host
from steering.model.prompts import Prompt, render_text
from steering.studies import find_study
from steering.studies.drawn import drawn as drawn_figures
from steering.studies.features.chosen import READ_ONLY
from steering.studies.features.placement import placement, where_words
from steering.studies.features.reading import read_features
from steering.studies.study import Result
from steering.texts.contrast import ContrastSet
from steering.vectors.files import save_vector
from tests.cross_layer_support import FEATURES, WIDTH, circuit, drawn, gemma, jumped, learned


TEXTS = ["Write a note to my boss.", "How do I bake bread?", "Tell me a long story about the sea and a boat."]
FEW = {"texts_n": 4, "permutations": 100, "beside_random": False}


@pytest.fixture(scope="module")
def host(tiny_host: Callable[[str], Host]) -> Host:
    return tiny_host("llama")


@pytest.fixture(scope="module")
def prompts(host: Host) -> list[Prompt]:
    return [render_text(host, text) for text in TEXTS]


@pytest.fixture(scope="module")
def plain(host: Host, prompts: list[Prompt]) -> dict[str, torch.Tensor]:
    """What stands in the model at every token but each text's first, by plain hooks, (token, width)."""
    found: dict[str, list[torch.Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, given, gives: found.setdefault(name, []).append(gives[0].detach()[-1:].squeeze(0)[1:])

    handles = []
    for block, layer in enumerate(host.model._module.model.layers):
        norm = layer.post_attention_layernorm  # its input is the stream between attention and MLP
        handles.append(
            norm.register_forward_pre_hook(
                lambda m, x, block=block: found.setdefault(f"middle {block}", []).append(x[0][0, 1:].detach())
            )
        )
        handles.append(
            layer.mlp.register_forward_hook(
                lambda m, x, y, block=block: found.setdefault(f"mlp {block}", []).append(y[0, 1:].detach())
            )
        )
    for prompt in prompts:
        with torch.no_grad():
            out = host.model._module(torch.tensor([prompt.ids]), output_hidden_states=True)
        for block in range(3):
            found.setdefault(f"output {block}", []).append(out.hidden_states[block + 1][0, 1:])
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts) for name, parts in found.items()}


@pytest.fixture(scope="module")
def clt(plain: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, their decoders fitted so that both together give what the MLP of block 1 does."""
    folder = tmp_path_factory.mktemp("sets") / "clt"
    layers = circuit(folder, features=200, over=4.0)
    acts = [_coded(layer, plain[f"middle {n}"]) for n, layer in enumerate(layers)]
    fitted = torch.linalg.lstsq(torch.cat(acts, dim=-1), plain["mlp 1"] - layers[1]["b_dec"], driver="gelsd").solution
    layers[0]["W_dec"][:, 1], layers[1]["W_dec"][:, 0] = fitted.split(200)
    for n, layer in enumerate(layers):
        save_file({f"W_dec_{n}": layer["W_dec"]}, folder / f"W_dec_{n}.safetensors")
    return folder


@pytest.fixture(scope="module")
def crosscoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the outputs of blocks 0 and 2: positive and negative part of every number of both."""
    folder = tmp_path_factory.mktemp("crosscoder")
    eye = torch.eye(2 * WIDTH).reshape(2, WIDTH, 2 * WIDTH)
    encoder = torch.cat([eye, -eye], dim=-1)
    zeros = {"encoder.bias": torch.zeros(4 * WIDTH), "decoder.bias": torch.zeros(2, WIDTH)}
    turned = {"encoder.weight": encoder, "decoder.weight": encoder.transpose(1, 2).contiguous()}
    learned(folder, threshold=None, **turned, **zeros)
    return f"{folder}?reads=0:block_output,2:block_output&gives=2:block_output"


def _coded(layer: dict[str, torch.Tensor], states: torch.Tensor) -> torch.Tensor:
    return jumped(states @ layer["W_enc"].T + layer["b_enc"], layer["threshold"])


def _run(host: Host, study: str, **given: object) -> Result:
    found = find_study(study)
    return found.start(host, found.parse(given)).result()


def test_a_layer_reads_the_stream_between_attention_and_mlp(host, prompts, plain, tmp_path: Path) -> None:
    layers = circuit(tmp_path)
    found = load_dictionary(tmp_path / "W_enc_1.safetensors")
    read = read_features(host, prompts, found, token_budget=20).activations.of(range(FEATURES))
    expected = _coded(layers[1], plain["middle 1"])
    assert 0.1 < (expected > 0).float().mean() < 0.9
    torch.testing.assert_close(read, expected, atol=2e-4, rtol=1e-4)  # batches change the order of sums
    assert where_words(found).startswith("block 1, block input plus attention output")


def test_a_crosscoder_reads_all_its_blocks_in_one_pass(
    host, prompts, plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steering.studies.features import streams

    own, passes, original = learned(tmp_path), [], streams.read_prompts
    monkeypatch.setattr(
        streams, "read_prompts", lambda *given, **more: passes.append(more["places"]) or original(*given, **more)
    )
    found = load_dictionary(f"{tmp_path}?reads=0:block_output,2:block_output")
    read = read_features(host, prompts, found).activations.of(range(FEATURES))
    before = plain["output 0"] @ own["encoder.weight"][0] + plain["output 2"] @ own["encoder.weight"][1]
    lengths = own["decoder.weight"].norm(dim=2).sum(dim=0)
    torch.testing.assert_close(
        read, jumped(before + own["encoder.bias"], own["threshold"] / lengths), atol=2e-4, rtol=1e-4
    )
    assert passes == [[(0, "block_output"), (2, "block_output")]]


def test_a_crosscoder_of_two_models_reads_both(host, prompts, plain, tmp_path: Path, monkeypatch) -> None:
    own = learned(tmp_path)
    monkeypatch.setattr(Host, "load", lambda name, **more: {"other": host}[name])  # the same model once more
    found = with_others(load_dictionary(f"{tmp_path}?reads=1:block_output&base=other"), host)
    read = read_features(host, prompts, found).activations.of(range(FEATURES))
    before = plain["output 1"] @ own["encoder.weight"].sum(dim=0) + own["encoder.bias"]
    lengths = own["decoder.weight"].norm(dim=2).sum(dim=0)
    torch.testing.assert_close(read, jumped(before, own["threshold"] / lengths), atol=2e-4, rtol=1e-4)


def test_its_place_is_tried_with_all_layers(host, prompts, plain, clt: Path) -> None:
    found = load_dictionary(clt / "W_enc_1.safetensors")
    place = host.run(lambda job: placement(host, found, prompts), title="Trying")
    assert found.layers is not None
    together = found.layers.given([plain["middle 0"], plain["middle 1"]])
    left = (plain["mlp 1"] - together).square().sum() / (plain["mlp 1"] - plain["mlp 1"].mean(dim=0)).square().sum()
    assert place.fit.explained[place.fit.named] == pytest.approx(1 - float(left), abs=1e-3)
    assert place.fit.explained[place.fit.named] > 0.5
    assert len(place.fit.explained) == 3  # one and two blocks further on, since none stands before block 0
    assert place.fit.fault == ""
    assert "with the features of 2 layers explains" in place.says


def test_a_layer_of_another_place_is_refused_where_all_layers_are_there(host, clt: Path) -> None:
    with pytest.raises(SteeringError, match="does not describe this model's states"):
        _run(host, "features", dictionary=f"{clt / 'W_enc_1.safetensors'}?reads=1:mlp_output", **FEW)


def test_a_place_that_cannot_be_tried_is_said(host, clt: Path, tmp_path: Path) -> None:
    for file in clt.iterdir():
        if file.name != "W_dec_0.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    result = _run(host, "dictionary_health", dictionary=str(tmp_path / "W_enc_1.safetensors"), texts_n=4, resamples=100)
    assert any("could not be tried by explained variance" in note and "W_dec_0" in note for note in result.notes)
    row = result.tables["health"].iloc[0]
    assert row["l0"] > 1
    assert row["dead"] == pytest.approx(row["dead"])
    assert row[["explained_variance", "cosine", "recovered_mean", "beyond"]].isna().all()
    assert "losses" not in result.tables
    assert any("are not available: one layer's features give a part" in note for note in result.notes)
    assert [title for title, _, _ in drawn_figures(result)] == ["How often features are active"]
    assert not any("nan" in note for note in result.notes)


def test_the_health_of_a_crosscoder_is_that_of_the_state_looked_at(host, crosscoder: str) -> None:
    result = _run(host, "dictionary_health", dictionary=crosscoder, texts_n=4, resamples=100, check_place=False)
    row, random = result.tables["health"].iloc[0], result.tables["health"].iloc[1]
    assert row["explained_variance"] == pytest.approx(1, abs=1e-5)  # each number is one feature's or another's
    assert row["l0"] == pytest.approx(2 * WIDTH, abs=0.01)
    assert random["explained_variance"] < 1
    assert row[["recovered_mean", "recovered_zeros"]].isna().all()
    assert any("nothing is replaced by a dictionary that is read only" in note for note in result.notes)
    health, find = (find_study(name) for name in ("dictionary_health", "features"))
    assert [each.n for each in health.size(host, health.parse({"dictionary": crosscoder, "texts_n": 4})).works] == [32]
    works = find.size(host, find.parse({"dictionary": crosscoder, **FEW})).works
    assert [each.kind for each in works] == ["readings"]  # no replies, and no feature is turned up
    assert next(drawn_figures(result))[0] == "What the dictionary gives back, by kind of token"


def test_features_are_found_by_every_way_and_none_is_a_vector(host, clt: Path, tmp_path: Path) -> None:
    row = load_dictionary(clt / "W_enc_1.safetensors").decoder([7])[0]
    vector = extract(host, ContrastSet.load("formality"), name="seven")
    directions = (row / row.norm()).repeat(host.info.blocks, 1)
    save_vector(replace(vector, directions=directions), tmp_path / "seven.safetensors")
    result = _run(
        host, "features", dictionary=str(clt / "W_enc_1.safetensors"), prompt=TEXTS[0], vector="seven",
        vectors=str(tmp_path), kind="plain", check_place=False, **FEW,
    )  # fmt: skip
    rows = result.tables["features"].set_index("feature")
    assert rows.loc[7, "cosine"] == pytest.approx(1, abs=1e-5)
    assert rows.loc[7, "weight"] == pytest.approx(1, abs=1e-4)
    assert {"auroc", "promotes", "at_prompt"} <= set(rows.columns)
    assert not {"output_score"} & set(rows.columns)
    assert len(result.tables["snippets"])
    assert not result.vectors
    assert "replies" not in result.tables
    (said,) = [note for note in result.notes if READ_ONLY in note]
    assert "become no vectors" in said


@pytest.mark.parametrize("study", ["feature_cause", "feature_attribution", "feature_shift"])
def test_what_writes_refuses_before_anything_is_read(study: str, host, clt: Path, crosscoder: str) -> None:
    found = find_study(study)
    for source in (str(clt / "W_enc_0.safetensors"), crosscoder):
        settings = found.parse({"dictionary": source})
        with pytest.raises(SteeringError, match="is read only here"):
            found.start(host, settings).result()
        assert found.size is not None
        with pytest.raises(SteeringError, match="this one can be looked at"):
            found.size(host, settings)


def test_a_gemma_folder_of_another_width_is_refused(host, tmp_path: Path) -> None:
    layers = gemma(tmp_path / "clt" / "width_40")
    wide = {
        **layers[0],
        "w_enc": drawn(WIDTH + 1, FEATURES, seed=1),
        "b_dec": drawn(WIDTH + 1, seed=1),
        "w_dec": drawn(FEATURES, 2, WIDTH + 1, seed=1),
    }
    save_file(wide, tmp_path / "clt" / "width_40" / "params_layer_0.safetensors")
    with pytest.raises(SteeringError, match="width 33"):
        _run(host, "features", dictionary=str(tmp_path / "clt" / "width_40" / "params_layer_0.safetensors"), **FEW)
