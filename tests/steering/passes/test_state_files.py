"""States kept on disk, where somebody asks for them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.passes.state_files import StateFiles, room_for
from steering.texts.contrast import ContrastSet


def test_the_states_of_an_extraction_are_kept_in_the_order_of_the_set(tiny_host, tmp_path: Path) -> None:
    host, contrast = tiny_host("llama"), ContrastSet.load("formality")
    plain = extract(host, contrast)
    assert list(tmp_path.iterdir()) == []
    kept = extract(host, contrast, states=tmp_path / "states")
    assert torch.equal(kept.directions, plain.directions)
    names = {f"{side}_{split}" for side in ("positive", "negative") for split in ("train", "validation")}
    assert {path.stem for path in (tmp_path / "states").glob("*.npy")} == names
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


def test_files_that_were_not_written_here_are_refused_by_name_before_anything_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "positive_train.npy", np.arange(3))
    before = (tmp_path / "positive_train.npy").read_bytes()
    with pytest.raises(SteeringError, match=r"positive_train\.npy"):
        StateFiles(tmp_path)
    assert (tmp_path / "positive_train.npy").read_bytes() == before


def test_states_of_an_earlier_run_are_written_over(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        StateFiles(tmp_path).write("side", 1, torch.tensor([0]), torch.full((1, 2, 3), value))
    assert np.load(tmp_path / "side.npy").tolist() == np.full((1, 2, 3), 2.0).tolist()


def test_room_is_reserved_before_anything_is_written(tmp_path: Path) -> None:
    made = room_for(tmp_path / "a.npy", (64, 1024), np.float32)
    assert (made == 0).all()
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 64 * 1024 * 4  # no holes


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from steering.errors import SteeringError
from steering.passes.state_files import room_for
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
kept = room_for(Path(sys.argv[1]) / "kept.npy", (1000,), np.float32)
kept[:] = 1
try:
    room_for(Path(sys.argv[1]) / "large.npy", (10**7,), np.float32)
except SteeringError as error:
    print(error)
assert (np.load(sys.argv[1] + "/kept.npy") == 1).all()
"""


def test_where_there_is_no_room_an_error_says_so_and_the_process_lives(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "States of 40 MB cannot be kept" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npy"]


def test_a_list_of_files_that_finds_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files = StateFiles(tmp_path)
    files.write("one", 1, torch.tensor([0]), torch.ones(1, 2, 3))
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SteeringError, match=r"No space left.*what is finished is kept"):
        files.write("two", 1, torch.tensor([0]), torch.ones(1, 2, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npy", "states.json"]
