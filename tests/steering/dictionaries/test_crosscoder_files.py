"""Crosscoders: one activation from all states side by side, the decoder of one place, nothing written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from steering.dictionaries.edits import switched_off
from steering.dictionaries.inputs import Input
from steering.dictionaries.loading import load_dictionary, why_read_only
from steering.errors import SteeringError
from steering.studies.dictionaries.crosscoders import Crosscoder, save_crosscoder
from tests.cross_layer_support import FEATURES, WIDTH, drawn, jumped, learned
from tests.steering.dictionaries.test_loading import refusal


CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
LAYERS = "?reads=1:block_output,3:block_output"


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Crosscoder]:
    """One as the study writes it."""
    own = Crosscoder(
        drawn(2, WIDTH, FEATURES, seed=1), drawn(FEATURES, seed=2), drawn(2, FEATURES, WIDTH, seed=3),
        drawn(2, WIDTH, seed=4), 1.5, (0.7, 0.4),
    )  # fmt: skip
    own.decoder[:, 9] = 0  # a feature that gives nothing is never active
    save_crosscoder(own, tmp_path)
    said = {"block": 3, "reads": "block_output", "base": "tiny-base", "model": "tiny-llama"}
    (tmp_path / "card.json").write_text(json.dumps(said))
    return tmp_path, own


def test_one_of_two_models_reads_both(trained: tuple[Path, Crosscoder]) -> None:
    folder, own = trained
    found = load_dictionary(folder, width=WIDTH)
    place = (3, "block_output")
    assert (found.kind, found.reads, found.gives, found.model) == ("crosscoder", place, place, "tiny-llama")
    assert found.read_from == (Input((place,), "tiny-base"), Input((place,)))
    x = torch.stack([drawn(60, WIDTH, seed=8, scale=1.0), drawn(60, WIDTH, seed=9, scale=1.0)])
    expected = own.encode(x)
    assert 0.05 < (expected > 0).float().mean() < 0.6
    active = found.encode(torch.cat([x[0], x[1]], dim=-1))
    torch.testing.assert_close(active.of(range(FEATURES)), expected, **CLOSE)
    torch.testing.assert_close(found.decoder([4]), own.decoder[1, [4]])  # of the model at hand
    torch.testing.assert_close(found.decode(active), own.decode(expected)[1], **CLOSE)
    other = load_dictionary(f"{folder}?base=elsewhere/base")
    assert other.read_from[0].model == "elsewhere/base"
    assert load_dictionary(other.source).read_from == other.read_from


@pytest.mark.parametrize("normalised", [1, 2, 4])
def test_dictionary_learnings_over_blocks(normalised: int, tmp_path: Path) -> None:
    own = learned(tmp_path, code_normalization_id=torch.tensor(normalised))
    decoder = own["decoder.weight"]
    lengths = {1: decoder.norm(dim=2).sum(dim=0), 2: decoder.norm(dim=(0, 2)), 4: torch.ones(FEATURES)}[normalised]
    x, y = drawn(50, WIDTH, seed=8), drawn(50, WIDTH, seed=9)
    before = (x @ own["encoder.weight"][0] + y @ own["encoder.weight"][1] + own["encoder.bias"]).relu()
    expected = jumped(before, own["threshold"] / lengths)
    assert (expected > 0).sum() < (before > 0).sum()
    for given, at in ((1, 0), (3, 1)):
        found = load_dictionary(f"{tmp_path}{LAYERS}&gives={given}:block_output")
        active = found.encode(torch.cat([x, y], dim=-1))
        torch.testing.assert_close(active.of(range(FEATURES)), expected, **CLOSE)
        torch.testing.assert_close(found.decoder([4]), decoder[at, [4]])
        torch.testing.assert_close(found.decode(active), expected @ decoder[at] + own["decoder.bias"][at], **CLOSE)
        assert found.gives == (given, "block_output")
        assert load_dictionary(found.source) is found


def test_one_without_a_threshold_and_one_with_its_axes_turned(tmp_path: Path) -> None:
    own = learned(tmp_path / "a", threshold=None)
    x = drawn(50, 2 * WIDTH, seed=8)
    before = x[:, :WIDTH] @ own["encoder.weight"][0] + x[:, WIDTH:] @ own["encoder.weight"][1] + own["encoder.bias"]
    found = load_dictionary(f"{tmp_path / 'a'}{LAYERS}")
    torch.testing.assert_close(found.encode(x).of(range(FEATURES)), before.relu(), **CLOSE)
    turned = {"decoder.weight": own["decoder.weight"].transpose(0, 1).contiguous()}
    learned(tmp_path / "b", threshold=None, **turned)
    assert load_dictionary(f"{tmp_path / 'b'}{LAYERS}").digest == found.digest
    file = load_dictionary(f"{tmp_path / 'b' / 'model.safetensors'}{LAYERS}")
    assert file.digest == found.digest


def test_which_states_it_reads_is_not_guessed(tmp_path: Path) -> None:
    learned(tmp_path)
    for behind in ("", "?reads=1:block_output", f"{LAYERS},2:block_output", f"{LAYERS}&base=other"):
        assert "reads 2 states" in refusal(f"{tmp_path}{behind}")
    assert "1:block_output, 3:block_output" in refusal(f"{tmp_path}{LAYERS}&gives=2:block_output")
    for behind in (LAYERS, "?base=other"):
        assert "which reads one state" in refusal(f"demo/block-3-sae{behind}")
    two = load_dictionary(f"{tmp_path}?reads=3:block_output&base=some/base%26more")
    assert [each.model for each in two.read_from] == ["some/base&more", ""]


def test_nothing_is_written_by_one(trained: tuple[Path, Crosscoder]) -> None:
    found = load_dictionary(trained[0])
    assert found.read_only == why_read_only(str(trained[0]))
    with pytest.raises(SteeringError, match="A crosscoder is read only here"):
        switched_off(found, [1])


def test_files_of_crosscoders_that_are_damaged(trained: tuple[Path, Crosscoder], tmp_path: Path) -> None:
    own = learned(tmp_path / "a")
    assert "width 64" in refusal(f"{tmp_path / 'a'}{LAYERS}", width=64)
    save_file({**own, "encoder.bias": own["encoder.bias"][:-1].contiguous()}, tmp_path / "a" / "model.safetensors")
    assert "(39,)" in refusal(f"{tmp_path / 'a'}{LAYERS}")
    save_file({"encoder.weight": own["encoder.weight"]}, tmp_path / "a" / "model.safetensors")
    assert "has no encoder.bias, decoder.weight, decoder.bias" in refusal(f"{tmp_path / 'a'}{LAYERS}")
    save_file({"lm_head.weight": torch.ones(3, 3)}, tmp_path / "a" / "model.safetensors")  # a model, and not read whole
    assert "no 'sae_weights.safetensors'" in refusal(tmp_path / "a")
    assert why_read_only(str(tmp_path / "a")) == ""
    (tmp_path / "a" / "model.safetensors").write_bytes(b"12")
    assert "cannot be read" in refusal(tmp_path / "a")
    learned(tmp_path / "b", code_normalization_id=torch.tensor(5))
    assert "by DECOUPLED" in refusal(f"{tmp_path / 'b'}{LAYERS}")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "ae.pt").write_bytes(b"pickled")
    (tmp_path / "c" / "config.json").write_text("{}")
    assert "pickle" in refusal(f"{tmp_path / 'c'}{LAYERS}")
    weights = trained[0] / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    assert "cannot be read" in refusal(trained[0])
    (trained[0] / "cfg.json").write_text(json.dumps({"architecture": "crosscoder", "n_models": 2}))
    save_file(
        {
            "W_enc": drawn(2, 4, 6, seed=1),
            "b_enc": drawn(6, seed=1),
            "W_dec": drawn(2, 6, 4, seed=1),
            "b_dec": drawn(2, 4, seed=1),
        },
        weights,
    )
    assert "neither a threshold nor a scale" in refusal(trained[0])
    for said in ({"threshold": 1}, {"threshold": 1, "scales": [1]}, {"threshold": math.nan, "scales": [1, 1]}):
        (trained[0] / "cfg.json").write_text(json.dumps({"architecture": "crosscoder", "n_models": 2, **said}))
        assert "neither a threshold nor a scale" in refusal(trained[0])
