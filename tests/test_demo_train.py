"""Training: a short run learns and leaves a whole folder; an interrupted one leaves what was there before."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steering.demo.train import TrainSettings, train
from steering.errors import SteeringError


def _tiny(out: Path, *, steps: int = 20, scored: int = 0) -> TrainSettings:
    return TrainSettings(
        out=out, steps=steps, conversations=8, blocks=2, width=32, heads=2, vocabulary=512, scored=scored
    )


class _Interrupt(Exception):
    pass


def _interrupt(share: float, line: str) -> None:
    if share > 0.4:
        raise _Interrupt


def test_a_short_run_learns_and_leaves_a_loadable_folder(tmp_path: Path) -> None:
    shares: list[float] = []
    card = train(_tiny(tmp_path / "tiny", scored=2), progress=lambda share, line: shares.append(share))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert card == json.loads((tmp_path / "tiny" / "card.json").read_text())
    losses = [loss for _, loss in card["losses"]]  # type: ignore[attr-defined]
    assert losses[-1] < losses[0] - 0.2
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tiny")
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert "| harmful requests refused |" in (tmp_path / "tiny" / "README.md").read_text()


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(_tiny(tmp_path / name, steps=3))
    first, second = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(_Interrupt):
        train(_tiny(tmp_path / "tiny"), progress=_interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_keeps_the_model_that_was_there(tmp_path: Path) -> None:
    train(_tiny(tmp_path / "tiny", steps=2))
    before = (tmp_path / "tiny" / "model.safetensors").read_bytes()
    with pytest.raises(_Interrupt):
        train(_tiny(tmp_path / "tiny"), progress=_interrupt)
    assert (tmp_path / "tiny" / "model.safetensors").read_bytes() == before
    train(_tiny(tmp_path / "tiny", steps=4))
    assert (tmp_path / "tiny" / "model.safetensors").read_bytes() != before


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".tiny.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    train(_tiny(tmp_path / "tiny", steps=1))
    assert not left.exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be written"):
        train(_tiny(tmp_path / "file" / "tiny"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(SteeringError, match="5 MB free"):
        train(_tiny(tmp_path / "tiny"))
    assert list(tmp_path.iterdir()) == []
