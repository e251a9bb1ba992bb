"""GGUF control vectors: what is written is what would be added, and anything else is refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.recipes.control_vectors import control_lengths
from steering.recipes.recipe import GateSettings, Intervention
from steering.vectors.gguf import load_gguf, save_gguf
from tests.steering.extraction.test_extraction import sets


@pytest.fixture(scope="module")
def vector(tiny_host):
    return extract(tiny_host("llama"), sets(), name="tone")


def _read(path) -> tuple[dict[str, np.ndarray], GGUFReader]:
    reader = GGUFReader(path)
    return {tensor.name: tensor.data.copy() for tensor in reader.tensors}, reader


def test_the_file_holds_what_one_mean_difference_adds_at_every_block_from_one_on(vector, tmp_path) -> None:
    tensors, reader = _read(save_gguf(vector, tmp_path / "deep" / "tone.gguf"))
    assert sorted(tensors) == ["direction.1", "direction.2", "direction.3"]
    for block in (1, 2, 3):
        expected = vector.mean_differences[block] * vector.directions[block]
        np.testing.assert_allclose(tensors[f"direction.{block}"], expected.numpy(), rtol=1e-6)
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == vector.provenance.architecture.lower()
    assert reader.get_field("controlvector.layer_count").contents() == 3
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["tone.gguf"]


def test_an_intervention_is_written_at_its_blocks_and_strength(vector, tmp_path) -> None:
    step = Intervention(vector="tone", blocks=(2,), strength=-0.5, unit="residual_norm")
    tensors, _ = _read(save_gguf(vector, tmp_path / "v.gguf", control_lengths(vector, step)))
    expected = -0.5 * vector.residual_norms[2] * vector.directions[2]
    assert list(tensors) == ["direction.2"]
    np.testing.assert_allclose(tensors["direction.2"], expected.numpy(), rtol=1e-6)


def test_what_was_written_comes_back(vector, tmp_path) -> None:
    back = load_gguf(save_gguf(vector, tmp_path / "v.gguf"))
    assert (back.name, back.n_blocks, back.width, back.site) == ("tone", 4, 32, "block_output")
    torch.testing.assert_close(back.directions[1:], vector.directions[1:])
    torch.testing.assert_close(back.mean_differences[1:], vector.mean_differences[1:])
    assert back.mean_differences[0] == 0
    assert back.provenance.method == "imported from GGUF"


def test_a_file_of_another_program_is_read(tmp_path) -> None:
    writer = GGUFWriter(tmp_path / "other.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 2)
    rows = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    for block, row in zip((1, 2), rows, strict=True):
        writer.add_tensor(f"direction.{block}", row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    vector = load_gguf(tmp_path / "other.gguf", blocks=4)
    assert (vector.name, vector.n_blocks) == ("other", 4)
    np.testing.assert_allclose((vector.mean_differences[1:3, None] * vector.directions[1:3]).numpy(), rows, rtol=1e-5)
    assert vector.mean_differences[[0, 3]].tolist() == [0, 0]
    assert load_gguf(tmp_path / "other.gguf").n_blocks == 3


def test_a_file_of_another_program_is_not_written_over(vector, tmp_path) -> None:
    path = tmp_path / "v.gguf"
    path.write_bytes(b"GGUF of somebody else")
    with pytest.raises(SteeringError, match=r"v\.gguf' is there already"):
        save_gguf(vector, path)
    assert path.read_bytes() == b"GGUF of somebody else"
    assert save_gguf(vector, save_gguf(vector, tmp_path / "own.gguf")).exists()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mode": "ablate"}, "'ablate' depends on the state"),
        ({"mode": "rotate"}, "'rotate' depends on the state"),
        ({"scope": "last"}, "at some tokens only"),
        ({"gate": GateSettings(vector="tone")}, "at some tokens only"),
        ({"unit": "nats"}, "has to be measured"),
        ({"blocks": "all"}, "no direction for block 0"),
        ({"blocks": "everywhere"}, "elsewhere than at the block output"),
        ({"site": "mlp_output"}, "elsewhere than at the block output"),
    ],
)
def test_what_is_no_addition_at_the_block_output_is_refused(vector, fields, reason) -> None:
    with pytest.raises(SteeringError, match=reason):
        control_lengths(vector, Intervention(vector="tone", **fields))


def test_foreign_and_broken_files_are_refused(vector, tmp_path) -> None:
    with pytest.raises(SteeringError, match="no file"):
        load_gguf(tmp_path / "none.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    with pytest.raises(SteeringError, match=r"'text\.gguf' is no control vector"):
        load_gguf(text)
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("direction.1", np.ones(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(SteeringError, match="architecture is not 'controlvector'"):
        load_gguf(tmp_path / "model.gguf")
    whole = save_gguf(vector, tmp_path / "v.gguf").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):  # cut or with a byte changed: read rightly, or refused; never anything else
        broken = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.5 else whole)
        broken[rng.integers(len(broken))] ^= int(rng.integers(1, 256))
        (tmp_path / "b.gguf").write_bytes(broken)
        try:
            load_gguf(tmp_path / "b.gguf")
        except SteeringError:
            continue
