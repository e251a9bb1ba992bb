"""Directions of other tools: read with the convention that the file has or that is told, and nothing is executed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from safetensors.torch import save_file

from panels.vectors.markup import about_vector, blocks_html
from steering.errors import SteeringError
from steering.extraction.sources import read_vector
from steering.vectors.foreign import Convention, load_foreign
from steering.vectors.gguf import load_gguf
from workbench.controls.convention_fields import convention_of
from workbench.frame.shelf_cards import vector_card


ROWS = torch.arange(1.0, 33.0).reshape(4, 8) * torch.tensor([1.0, -1.0] * 4)
"""A row a block of a model with four blocks."""


def save(path: Path, content: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, np.asarray(content))
    elif path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".safetensors":
        save_file(content if isinstance(content, dict) else {"direction": content}, path)
    else:
        torch.save(content, path)
    return path


def added(vector: Any, block: int) -> torch.Tensor:
    """What 1 x mean difference adds at a block."""
    return vector.directions[block] * vector.mean_differences[block]


@pytest.mark.parametrize("ending", [".pt", ".pth", ".npy", ".safetensors"])
def test_a_row_a_block_comes_back(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"own{ending}", ROWS)
    vector, said = load_foreign(path, Convention(first="block"))
    assert (vector.name, vector.n_blocks, vector.width, vector.site) == ("own", 4, 8, "block_output")
    for block in range(4):
        torch.testing.assert_close(added(vector, block), ROWS[block])
    assert "final norm" in " ".join(said)
    # With a row of the embeddings in front, row 2 is that of block 1.
    shifted, _ = load_foreign(path, Convention(first="embeddings"))
    torch.testing.assert_close(added(shifted, 1), ROWS[2])
    assert shifted.n_blocks == 3


def test_the_number_of_blocks_tells_what_row_0_is_and_otherwise_it_is_asked(tmp_path: Path) -> None:
    path = save(tmp_path / "v.pt", ROWS)
    torch.testing.assert_close(added(load_foreign(path, Convention(blocks=4))[0], 0), ROWS[0])
    torch.testing.assert_close(added(load_foreign(path, Convention(blocks=3))[0], 0), ROWS[1])
    for given in (Convention(), Convention(blocks=9)):
        with pytest.raises(SteeringError, match="not what layer 0 is"):
            load_foreign(path, given)
    with pytest.raises(SteeringError, match="blocks 0 to 1"):
        load_foreign(path, Convention(blocks=2, first="block"))


def test_sign_scale_and_site_are_told(tmp_path: Path) -> None:
    path = save(tmp_path / "v.npy", ROWS[2].half())
    given = Convention(block=2, blocks=4, sign=-1, scale=0.5, site="block_input")
    vector, said = load_foreign(path, given)
    torch.testing.assert_close(added(vector, 2), -0.5 * ROWS[2])
    assert (vector.default_block, vector.site) == (2, "block_input")
    assert vector.mean_differences[[0, 1, 3]].tolist() == [0, 0, 0]
    assert "turned round, times 0.5, at the block input" in " ".join(said)
    for missing in (Convention(), Convention(block=2), Convention(blocks=4)):
        with pytest.raises(SteeringError, match="not which block"):
            load_foreign(path, missing)
    for wrong in (Convention(block=4, blocks=4), Convention(block=10**9, blocks=4), Convention(block=-1, blocks=4)):
        with pytest.raises(SteeringError):
            load_foreign(path, wrong)


def test_persona_vectors_have_a_row_of_the_embeddings(tmp_path: Path) -> None:
    path = save(tmp_path / "calm_response_avg_diff.pt", torch.cat([torch.full((1, 8), 7.0), ROWS]))
    vector, said = load_foreign(path)
    assert vector.n_blocks == 4
    torch.testing.assert_close(added(vector, 0), ROWS[0])
    assert "row 0 is that of the embeddings" in said[0]


def test_a_refusal_direction_says_its_layer_beside_it(tmp_path: Path) -> None:
    path = save(tmp_path / "direction.pt", ROWS[1].double())
    (tmp_path / "direction_metadata.json").write_text(json.dumps({"pos": -1, "layer": 1}))
    vector, said = load_foreign(path, Convention(blocks=4))
    assert (vector.default_block, vector.site) == (1, "block_input")
    torch.testing.assert_close(added(vector, 1), ROWS[1])
    assert "input of block 1" in said[0]


@pytest.mark.parametrize("key", [int, str, "layer_{}".format, "model.layers.{}.out".format])
def test_a_mapping_from_layers(tmp_path: Path, key: Any) -> None:
    path = save(tmp_path / "v.pt", {key(block): ROWS[block] for block in (1, 3)})
    vector, _ = load_foreign(path, Convention(first="block", blocks=4))
    torch.testing.assert_close(added(vector, 3), ROWS[3])
    assert vector.mean_differences[[0, 2]].tolist() == [0, 0]


def test_one_tensor_of_several_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "v.safetensors", {"kind": ROWS, "rude": 2 * ROWS})
    with pytest.raises(SteeringError, match="'kind', 'rude'"):
        load_foreign(path, Convention(first="block"))
    vector, _ = load_foreign(path, Convention(first="block", tensor="rude"))
    torch.testing.assert_close(added(vector, 1), 2 * ROWS[1])
    with pytest.raises(SteeringError, match="no tensor 'mean'"):
        load_foreign(path, Convention(tensor="mean"))


def test_arrays_of_an_npz_file_are_read_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "v.npz", {f"layer_{block}": ROWS[block].numpy() for block in range(4)})
    torch.testing.assert_close(added(load_foreign(path, Convention(blocks=4))[0], 2), ROWS[2])
    only = save(tmp_path / "w.npz", {"direction": ROWS.numpy()})
    torch.testing.assert_close(added(load_foreign(only, Convention(blocks=3))[0], 0), ROWS[1])
    trap = tmp_path / "trap.npz"
    np.savez(trap, direction=np.array([Trap(tmp_path / "ran")], dtype=object), allow_pickle=True)
    with pytest.raises(SteeringError, match="no vector file"):
        load_foreign(trap, Convention(first="block"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("rows", [4, 5])
def test_layers_below_0_count_from_the_last_block(tmp_path: Path, rows: int) -> None:
    """-1 is the last block's output, with a row of the embeddings in front (the fifth from the end) or without."""
    held = torch.cat([torch.full((1, 8), 7.0), ROWS])[-rows:]
    path = save(tmp_path / "v.pt", {-place: held[-place] for place in range(1, rows + 1)})
    vector, _ = load_foreign(path, Convention(blocks=4))
    for block in range(4):
        torch.testing.assert_close(added(vector, block), ROWS[block])
    with pytest.raises(SteeringError, match=r"from the last one.*how many blocks"):
        load_foreign(path, Convention(first="block"))
    with pytest.raises(SteeringError, match="has 2 blocks"):
        load_foreign(path, Convention(blocks=2))
    with pytest.raises(SteeringError, match="both ends"):
        load_foreign(save(tmp_path / "w.pt", {-1: ROWS[0], 1: ROWS[1]}), Convention(blocks=4))


@pytest.mark.parametrize(
    ("key", "site"),
    [
        ("blocks.{}.hook_resid_pre", "block_input"),
        ("blocks.{}.hook_resid_post", "block_output"),
        ("blocks.{}.hook_mlp_out", "mlp_output"),
        ("model.layers.{}", "block_output"),
        ("model.layers.{}.self_attn", "attention_output"),
        ("transformer.h.{}.mlp", "mlp_output"),
    ],
)
def test_keys_that_are_paths_say_block_and_site(tmp_path: Path, key: str, site: str) -> None:
    path = save(tmp_path / "v.pt", {key.format(block): ROWS[block] for block in (1, 3)})
    vector, said = load_foreign(path, Convention(blocks=4))
    assert vector.site == site
    torch.testing.assert_close(added(vector, 3), ROWS[3])
    assert "Read by its names" in said[0]
    assert ("final norm" in " ".join(said)) == (site == "block_output")


def test_places_that_are_no_site_or_several_are_refused(tmp_path: Path) -> None:
    for names in (["hook_resid_mid"], ["hook_resid_pre", "hook_resid_post"], ["hook_resid_pre", "other"]):
        content = {f"blocks.{block}.{name}": ROWS[block] for block in range(2) for name in names}
        with pytest.raises(SteeringError, match="vectors of one place"):
            load_foreign(save(tmp_path / "v.pt", content), Convention(blocks=4))


def test_one_position_one_concept_or_one_feature_is_chosen_by_its_number(tmp_path: Path) -> None:
    candidates = torch.stack([ROWS + 100 * place for place in range(5)])
    path = save(tmp_path / "mean_diffs.pt", candidates.double())
    with pytest.raises(SteeringError, match=r"5 positions or concepts.*--tensor=-1"):
        load_foreign(path, Convention(blocks=4))
    vector, said = load_foreign(path, Convention(blocks=4, tensor="-1"))
    assert vector.site == "block_input"
    assert "position -1" in said[0]
    torch.testing.assert_close(added(vector, 2), candidates[4, 2])
    weights = save(tmp_path / "DiffMean_weight.pt", ROWS)
    save(tmp_path / "DiffMean_bias.pt", torch.zeros(4))
    with pytest.raises(SteeringError, match="rows are concepts, not layers"):
        load_foreign(weights, Convention(blocks=4))
    chosen, _ = load_foreign(weights, Convention(blocks=4, block=1, tensor="3"))
    torch.testing.assert_close(added(chosen, 1), ROWS[3])
    sae = save(tmp_path / "sae.safetensors", {"W_dec": torch.cat([ROWS] * 5), "b_dec": torch.ones(8)})
    feature, _ = load_foreign(sae, Convention(blocks=4, block=2, tensor="W_dec/6"))
    torch.testing.assert_close(added(feature, 2), ROWS[2])
    for wrong in ("20", "-21", "x", "1e3"):
        with pytest.raises(SteeringError, match="no entry"):
            load_foreign(sae, Convention(blocks=4, block=2, tensor=f"W_dec/{wrong}"))
    with pytest.raises(SteeringError, match="Transpose"):
        load_foreign(save(tmp_path / "t.pt", ROWS.T.contiguous()), Convention(first="block"))


def test_settings_beside_a_vector_are_left_out_and_said(tmp_path: Path) -> None:
    path = save(tmp_path / "v.pt", {"direction": ROWS[1], "layer": 1, "model": "x", "norm": torch.tensor(3.0)})
    with pytest.raises(SteeringError, match=r"It says layer \(1\), as its own tool counts"):
        load_foreign(path)
    vector, said = load_foreign(path, Convention(block=2, blocks=4))
    torch.testing.assert_close(added(vector, 2), ROWS[1])
    assert said[0] == "Not read: layer (1), model, norm, which are no vectors."
    nested = save(tmp_path / "w.pt", {"vectors": dict(enumerate(ROWS)), "config": {"alpha": 1.0}})
    torch.testing.assert_close(added(load_foreign(nested, Convention(blocks=4))[0], 3), ROWS[3])


def test_axes_of_length_1_and_missing_layers_are_passed_over(tmp_path: Path) -> None:
    for content in (ROWS[:, None], ROWS[None], [None, *ROWS[1:]]):
        path = save(tmp_path / "v.pt", content)
        torch.testing.assert_close(added(load_foreign(path, Convention(blocks=4, first="block"))[0], 3), ROWS[3])


def test_persona_vectors_with_too_few_rows_are_asked_about(tmp_path: Path) -> None:
    path = save(tmp_path / "calm_prompt_last_diff.pt", ROWS)
    with pytest.raises(SteeringError, match=r"4 rows.*5 of them for 4 blocks"):
        load_foreign(path, Convention(blocks=4))
    torch.testing.assert_close(added(load_foreign(path, Convention(blocks=4, first="block"))[0], 0), ROWS[0])


def test_what_is_no_vector_file_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "v.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:x\n")
    with pytest.raises(SteeringError, match="pointer of Git LFS"):
        read_vector(tmp_path / "v.pt")
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    with pytest.raises(SteeringError, match=r"ending '\.pkl'.*such as a pickle"):
        read_vector(tmp_path / "v.pkl")
    assert not (tmp_path / "ran").exists()


class Trap:
    """What runs a command where a pickle is executed."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("ending", [".pt", ".bin", ".npy"])
def test_no_pickle_is_executed(tmp_path: Path, ending: str) -> None:
    mark, path = tmp_path / "ran", tmp_path / f"v{ending}"
    if ending == ".pt":
        torch.save({"direction": Trap(mark)}, path)
    elif ending == ".bin":
        path.write_bytes(pickle.dumps(Trap(mark)))
    else:
        np.save(path, np.array([Trap(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(SteeringError, match="no vector file"):
        load_foreign(path, Convention(first="block"))
    assert not mark.exists()
    if ending == ".bin":
        pickle.loads(path.read_bytes())
        assert mark.exists()  # it would have


@pytest.mark.parametrize(
    "content",
    [
        torch.tensor([]),
        torch.zeros(4, 8),
        torch.full((4, 8), float("nan")),
        torch.ones(2, 4, 8),
        torch.ones(4, 8, dtype=torch.complex64),
        torch.tensor(1.0),
        torch.ones(1).expand(100_000_000),
        torch.ones(1).expand(100_000, 100_000),
        {"a": 1},
        {},
        [],
        {0: torch.ones(3), 1: torch.ones(4)},
        {"layer_1": torch.ones(3), "1": torch.ones(3)},
        "text",
        None,
    ],
    ids=lambda content: str(content)[:30],
)
def test_what_is_no_direction_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "v.pt"
    torch.save(content, path)
    with pytest.raises(SteeringError):
        load_foreign(path, Convention(first="block", block=0, blocks=4))


def test_broken_files_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for ending in (".pt", ".npy", ".safetensors"):
        whole = save(tmp_path / f"whole{ending}", ROWS).read_bytes()
        path = tmp_path / f"v{ending}"
        for _ in range(40):
            broken = bytearray(whole[: rng.integers(0, len(whole))] if rng.random() < 0.5 else whole)
            if broken:
                broken[rng.integers(len(broken))] ^= int(rng.integers(1, 256))
            path.write_bytes(broken)
            try:
                load_foreign(path, Convention(first="block"))
            except SteeringError:
                continue
    with pytest.raises(SteeringError, match="no file"):
        load_foreign(tmp_path / "none.pt")


def gguf(path: Path, tensors: dict[str, np.ndarray], **fields: Any) -> Path:
    writer = GGUFWriter(path, "controlvector")
    for name, value in fields.items():
        (writer.add_array if isinstance(value, list) else writer.add_string)(name, value)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_blocks_of_zeros_in_a_gguf_are_nothing_here(tmp_path: Path) -> None:
    rows = ROWS.numpy().copy()
    rows[1] = 0
    path = gguf(tmp_path / "v.gguf", {f"direction.{block}": rows[block] for block in (1, 2, 3)})
    vector = load_gguf(path, blocks=4)
    assert vector.mean_differences[1] == 0
    torch.testing.assert_close(added(vector, 2), ROWS[2])
    assert vector.default_block in (2, 3)
    with pytest.raises(SteeringError, match="all of its directions are zero"):
        load_gguf(gguf(tmp_path / "z.gguf", {"direction.1": rows[1]}))


@pytest.mark.parametrize(
    "name", ["direction.1000000000", "direction.-1", "direction.99999999999999999999", "direction.x"]
)
def test_a_gguf_for_endless_blocks_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(SteeringError, match="no control vector"):
        load_gguf(gguf(tmp_path / "v.gguf", {name: ROWS[0].numpy()}))


def test_lists_in_lists_and_endless_counts_in_a_gguf_are_refused(tmp_path: Path) -> None:
    path = gguf(tmp_path / "v.gguf", {"direction.1": ROWS[0].numpy()}, words=[[1, 2], [3, 4]])
    with pytest.raises(SteeringError, match="list"):
        load_gguf(path)
    path = gguf(tmp_path / "w.gguf", {"direction.1": ROWS[0].numpy()}, words=list(range(5000)))
    with pytest.raises(SteeringError, match="list of 5000"):
        load_gguf(path)
    whole = bytearray(gguf(tmp_path / "c.gguf", {"direction.1": ROWS[0].numpy()}).read_bytes())
    for place in (8, 16):  # the counts of tensors and of fields
        broken = bytearray(whole)
        broken[place : place + 8] = (10**15).to_bytes(8, "little")
        (tmp_path / "c.gguf").write_bytes(broken)
        with pytest.raises(SteeringError, match="says that it has"):
            load_gguf(tmp_path / "c.gguf")
    with pytest.raises(SteeringError, match="were told"):
        load_gguf(gguf(tmp_path / "b.gguf", {"direction.1": ROWS[0].numpy()}), blocks=10**9)


def test_the_pages_fields_leave_a_block_unsaid_until_it_is_typed(tmp_path) -> None:
    path = save(tmp_path / "one.npy", ROWS[0])
    fields = {"first": "", "block": "", "site": "block_output", "sign": False, "scale": 1.0}
    with pytest.raises(SteeringError, match="not which block it is for"):
        load_foreign(path, convention_of(fields, 4))
    with pytest.raises(SteeringError, match="The block is 'two'"):
        convention_of({**fields, "block": "two"}, 4)
    vector, _ = load_foreign(path, convention_of({**fields, "block": " 2 "}, 4))
    assert torch.equal(vector.mean_differences > 0, torch.tensor([False, False, True, False]))


def test_the_page_shows_of_another_tools_vector_what_is_known_alone(tmp_path) -> None:
    vector, _ = load_foreign(save(tmp_path / "one.npy", ROWS[0]), Convention(block=2, blocks=4))
    shown = about_vector(vector) + blocks_html(vector) + str(vector_card("one", vector, None))
    assert "imported from .npy · Another tool made it" in shown
    assert f"{float(ROWS[0].norm()):.3g}" in shown
    assert not any(wrong in shown for wrong in ("nan", "inf", "0 + 0", " of  and", "from <"))


def test_objects_in_a_numpy_file_are_refused_in_words(tmp_path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(
        SteeringError, match=r"no vector file: it holds more than tensors, which is not run here\. "
    ) as found:
        load_foreign(path)
    assert ".." not in str(found.value)
