"""States kept on disk, where somebody asks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from steering.activations import read_states
from steering.contrast import ContrastSet
from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.prompts import render
from steering.state_files import StateFiles


def test_the_states_of_an_extraction_are_kept_in_the_order_of_the_set(tiny_host, tmp_path: Path) -> None:
    host, contrast = tiny_host("llama"), ContrastSet.load("formality")
    plain = extract(host, contrast)
    assert list(tmp_path.iterdir()) == []
    kept = extract(host, contrast, states=tmp_path / "states")
    assert torch.equal(kept.directions, plain.directions)
    names = {f"{side}_{split}" for side in ("positive", "negative") for split in ("train", "validation")}
    assert {path.stem for path in (tmp_path / "states").iterdir()} == names
    for name in names:
        side, split = name.split("_")
        prompts = [render(host, each.messages) for each in contrast.side(side, split)]
        found = np.load(tmp_path / "states" / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        assert found.dtype == np.float16
        expected = read_states(host, prompts)
        # float16 keeps eleven bits of each number.
        torch.testing.assert_close(torch.from_numpy(found.astype(np.float32)), expected, rtol=1e-3, atol=1e-3)


def test_a_state_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    with pytest.raises(SteeringError, match="65504"):
        files.write("positive_train", 1, torch.tensor([0]), torch.full((1, 2, 3), 1e5))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SteeringError, match="cannot be made"):
        StateFiles(tmp_path / "file" / "states")
