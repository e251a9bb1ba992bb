"""The vector file: what was saved comes back, and anything else is refused with the reason."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.vectors.files import FORMAT, load_vector, save_vector
from steering.vectors.vector import SteeringVector
from tests.steering.extraction.test_extraction import sets


@pytest.fixture(scope="module")
def vector(tiny_host) -> SteeringVector:
    return extract(tiny_host("llama"), sets(), name="tone")


def rewrite(path, *, tensors=None, metadata=None):
    """Change a saved file behind its back."""
    with safe_open(path, framework="pt") as file:
        kept = dict(file.metadata())
    save_file({**load_file(path), **(tensors or {})}, path, metadata={**kept, **(metadata or {})})


def test_a_saved_vector_comes_back_whole(vector, tmp_path) -> None:
    path = save_vector(vector, tmp_path / "deep" / "tone.safetensors")
    loaded = load_vector(path)
    for name in ("directions", "mean_differences", "residual_norms", "auroc", "auroc_low", "auroc_high"):
        assert torch.equal(getattr(loaded, name), getattr(vector, name)), name
    assert loaded.provenance == vector.provenance
    assert (loaded.name, loaded.site, loaded.default_block) == ("tone", vector.site, vector.default_block)
    assert loaded.default_block_reason == vector.default_block_reason
    assert loaded.digest == vector.digest
    assert [p.name for p in path.parent.iterdir()] == ["tone.safetensors"]  # no temporary file is left


def test_a_vector_without_auroc_comes_back_without(vector, tmp_path) -> None:
    bare = replace(vector, auroc=None, auroc_low=None, auroc_high=None)
    loaded = load_vector(save_vector(bare, tmp_path / "v.safetensors"))
    assert loaded.auroc is None
    assert loaded.best_auroc is None


def test_the_file_says_what_its_numbers_mean(vector, tmp_path) -> None:
    with safe_open(save_vector(vector, tmp_path / "v.safetensors"), framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    assert {"block", "sign", "direction", "mean_differences", "residual_norms"} <= set(card["conventions"])
    assert card["provenance"]["versions"]["torch"] == torch.__version__
    assert card["site"] == "block_output"
    assert card["operations"] == ["add", "ablate", "rotate", "affine", "clamp"]
    assert "one mean difference" in card["conventions"]["unit"]
    trained = replace(vector, provenance=replace(vector.provenance, method="trained by dpo"))
    with safe_open(save_vector(trained, tmp_path / "trained.safetensors"), framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    assert "trained to" in card["conventions"]["unit"]
    assert "mean difference" not in str(card["conventions"])


def test_a_file_of_somebody_else_is_not_written_over(vector, tmp_path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(SteeringError, match=r"v\.safetensors' is there already"):
        save_vector(vector, path)
    assert path.read_bytes() == before
    assert save_vector(vector, save_vector(vector, tmp_path / "own.safetensors")).exists()


def test_a_failed_save_leaves_the_old_file(vector, tmp_path, monkeypatch) -> None:
    path = save_vector(vector, tmp_path / "v.safetensors")
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("steering.vectors.files.save_file", fail)
    with pytest.raises(SteeringError, match="disk full"):
        save_vector(vector.renamed("other"), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_foreign_damaged_and_contradictory_files_are_refused(vector, tmp_path) -> None:
    with pytest.raises(SteeringError, match="no file"):
        load_vector(tmp_path / "none.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(SteeringError, match=r"'text\.safetensors' is no vector file"):
        load_vector(text)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(SteeringError, match="does not say that it is one"):
        load_vector(foreign)
    cut = save_vector(vector, tmp_path / "cut.safetensors")
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(SteeringError, match="is no vector file"):
        load_vector(cut)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensors": {"directions": torch.zeros(4, 32)}}, "norm 0"),
        ({"tensors": {"directions": torch.full((4, 32), math.nan)}}, "not finite"),
        ({"tensors": {"mean_differences": torch.zeros(3)}}, r"mean_differences of shape \(3,\)"),
        ({"tensors": {"residual_norms": torch.tensor([1, 2, 3, math.inf])}}, "not finite"),
        ({"metadata": {"card": "{}"}}, "card cannot be read"),
        ({"metadata": {"card": json.dumps({"version": 99})}}, "format version 99"),
        ({"metadata": {"format": "other"}}, "does not say that it is one"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(vector, tmp_path, change, message) -> None:
    path = save_vector(vector, tmp_path / "v.safetensors")
    rewrite(path, **change)
    with pytest.raises(SteeringError, match=message):
        load_vector(path)
    assert FORMAT


def test_a_card_that_lies_about_its_width_or_blocks_is_refused(vector, tmp_path) -> None:
    path = save_vector(vector, tmp_path / "v.safetensors")
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    assert (card["blocks"], card["width"]) == (4, 32)
    for lie in ({"width": 64}, {"blocks": 5}):
        rewrite(path, metadata={"card": json.dumps({**card, **lie})})
        with pytest.raises(SteeringError, match="its card says"):
            load_vector(path)


def test_an_eraser_comes_back_and_must_have_the_directions_shape(tiny_host, tmp_path) -> None:
    leace = extract(tiny_host("llama"), sets(), method="leace")
    path = save_vector(leace, tmp_path / "v.safetensors")
    loaded = load_vector(path)
    for name in ("left", "right", "mean"):
        assert torch.equal(getattr(loaded.eraser, name), getattr(leace.eraser, name))
    for name in ("references", "accuracy"):
        assert torch.equal(getattr(loaded, name), getattr(leace, name))
    rewrite(path, tensors={"eraser_left": torch.zeros(4, 8)})
    with pytest.raises(SteeringError, match=r"eraser_left of shape \(4, 8\)"):
        load_vector(path)
    rewrite(path, tensors={"eraser_left": torch.full((4, 32), math.nan)})
    with pytest.raises(SteeringError, match="not finite"):
        load_vector(path)


def test_a_file_of_the_first_format_is_read_still(vector, tmp_path) -> None:
    path = save_vector(vector, tmp_path / "v.safetensors")
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    for late in ("blocks", "width", "operations"):
        del card[late]
    for late in ("licence", "settings"):
        del card["provenance"][late]
    first = ("directions", "mean_differences", "residual_norms", "auroc", "auroc_low", "auroc_high")
    tensors = {name: tensor for name, tensor in load_file(path).items() if name in first}
    save_file(tensors, path, metadata={"format": FORMAT, "card": json.dumps({**card, "version": 1})})
    loaded = load_vector(path)
    assert torch.equal(loaded.directions, vector.directions)
    assert loaded.references is None
    assert loaded.eraser is None


def test_no_broken_file_does_anything_but_load_or_be_refused(vector, tmp_path) -> None:
    """Cut anywhere, or with bytes changed: no other exception, and nothing that is not a vector."""
    whole = save_vector(vector, tmp_path / "v.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(300):
        broken = bytearray(whole)
        if turn % 3 == 0:
            broken = broken[: rng.integers(0, len(whole))]
        else:
            end = header if turn % 3 == 1 else len(whole)  # the card is where most can go wrong
            for place in rng.integers(0, end, size=rng.integers(1, 4)):
                broken[place] = rng.integers(256)
        path = tmp_path / "broken.safetensors"
        path.write_bytes(broken)
        try:
            assert load_vector(path).directions.shape == (4, 32)
        except SteeringError:
            refused += 1
    assert refused > 150


def test_a_vector_of_another_model_of_the_same_shape_comes_with_a_caution(vector, tiny_host) -> None:
    assert vector.caution(tiny_host("llama")) is None
    assert "was made for tiny-llama, not for tiny-gpt2" in vector.caution(tiny_host("gpt2"))
    other = replace(vector, provenance=replace(vector.provenance, template_digest="another"))
    unknown = replace(vector, provenance=replace(vector.provenance, model=""))
    assert "does not say for which model" in unknown.caution(tiny_host("llama"))
    assert "another chat template" in other.caution(tiny_host("llama"))


def test_a_vector_of_another_width_says_what_it_was_made_for(vector, tiny_host, demo) -> None:
    assert vector.misfit(tiny_host("llama")) is None
    assert vector.check(tiny_host("gpt2")) is vector  # same shape, other model: allowed
    with pytest.raises(SteeringError, match=r"made for 4 blocks × width 32, demo has \d+ × \d+.*Load tiny-llama"):
        vector.check(demo)
