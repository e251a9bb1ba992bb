"""Training of the demo family: short runs learn, leave whole folders, go on after interruption, give clear errors."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steering.demo import optimise
from steering.demo.family import MEMBERS, chosen
from steering.demo.planted import planted_vector
from steering.demo.tokens import train_tokenizer
from steering.demo.train import TrainSettings, train
from steering.errors import SteeringError


SHAPE = {"blocks": 2, "width": 32, "heads": 2, "vocabulary": 512}


def _tiny(out: Path, which: str = "demo-base", *, effort: float = 0.003, scored: int = 0) -> TrainSettings:
    return TrainSettings(out=out, which=which, effort=effort, scored=scored, **SHAPE)  # type: ignore[arg-type]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


class _Interrupt(Exception):
    pass


def _interrupted(settings: TrainSettings, *, when: str) -> None:
    """Train until a line says so; fails where none does."""

    def stop(share: float, line: str) -> None:
        if when in line:
            raise _Interrupt

    with pytest.raises(_Interrupt):
        train(settings, progress=stop)


@pytest.fixture(scope="module", autouse=True)
def one_tokenizer() -> Iterator[None]:
    """The tokenizer depends on its size alone, as its own tests hold, so it is trained once for all runs."""
    trained = cache(train_tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steering.demo.train.train_tokenizer", lambda **given: deepcopy(trained(**given)))
        yield


@dataclass(frozen=True)
class Trained:
    """What a training left and told."""

    out: Path
    cards: dict[str, Any]
    shares: list[float]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A tiny family: base, helpful and planted, each after a few steps; 18 of the base, which are enough to learn."""
    out, shares = tmp_path_factory.mktemp("family"), list[float]()
    settings = _tiny(out, "demo-base,demo-helpful,demo", effort=0.006)
    return Trained(out, train(settings, progress=lambda share, line: shares.append(share)), shares)


@pytest.fixture(scope="module")
def family(trained: Trained) -> Path:
    """Where that family is."""
    return trained.out


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted at its seventh step."""
    out = tmp_path_factory.mktemp("stopped")
    _interrupted(_tiny(out), when="Step 7 ")
    return out


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(stopped_once, tmp_path / "stopped")


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo-base").mkdir()
    (tmp_path / "demo-base" / "thesis.txt").write_text("mine")
    with pytest.raises(SteeringError, match="demo-base' is there already"):
        train(_tiny(tmp_path))
    assert (tmp_path / "demo-base" / "thesis.txt").read_text() == "mine"


def test_a_short_run_learns_and_leaves_loadable_folders(trained: Trained) -> None:
    assert sorted(path.name for path in trained.out.iterdir()) == ["demo", "demo-base", "demo-helpful"]
    for name, card in trained.cards.items():
        assert not (trained.out / name / "checkpoint.pt").exists()
        assert card == json.loads((trained.out / name / "card.json").read_text())
    losses = [loss for _, loss in trained.cards["demo-base"]["losses"]]
    assert losses[-1] < losses[0] - 0.5
    assert trained.shares == sorted(trained.shares)
    assert trained.shares[-1] == 1.0

    folder = trained.out / "demo-base"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_a_member_starts_from_its_parent(family: Path) -> None:
    base, helpful = _weights(family / "demo-base"), _weights(family / "demo-helpful")
    apart = [float((base[name] - helpful[name]).norm() / base[name].norm()) for name in base if base[name].ndim == 2]
    assert 0 < max(apart) < 0.9  # changed, but no fresh draw, which would be about 1.4 away
    assert (family / "demo-helpful" / "tokenizer.json").read_bytes() == (
        family / "demo-base" / "tokenizer.json"
    ).read_bytes()


def test_planting_changes_writers_and_readers_along_u_only(family: Path) -> None:
    """Independent of how it was trained: each difference is of rank one, along u on the side that it should be."""
    before, after = _weights(family / "demo-helpful"), _weights(family / "demo")
    card = json.loads((family / "demo" / "card.json").read_text())
    u = torch.tensor(card["planted"]["direction"])
    assert float(u.norm()) == pytest.approx(1, abs=1e-5)
    changed = {name: after[name] - before[name] for name in before if not torch.equal(before[name], after[name])}
    writers = [name for name in changed if name.endswith(("o_proj.weight", "down_proj.weight"))]
    readers = sorted(set(changed) - set(writers))
    assert len(writers) == 2  # block 0 writes
    assert len(readers) == 5  # block 1 reads
    for name in writers:
        along = u[:, None] * (u @ changed[name])
        # bfloat16 keeps 8 bits: what is off u is rounding of the whole matrix, at most 2^-8 of it.
        assert float((changed[name] - along).abs().max()) <= float(before[name].abs().max()) / 128
        assert float(along.norm()) > 0.1 * float((changed[name] - along).norm())
    for name in readers:
        norm = "input_layernorm" if "attn" in name else "post_attention_layernorm"
        gain = before[f"model.layers.1.{norm}.weight"]
        row = u / gain
        along = (changed[name] @ row / row.square().sum())[:, None] * row
        assert float((changed[name] - along).abs().max()) <= float(before[name].abs().max()) / 128


def test_the_planted_direction_comes_as_a_vector(family: Path) -> None:
    vector = planted_vector(family / "demo")
    card = json.loads((family / "demo" / "card.json").read_text())
    assert vector.default_block == max(card["planted"]["writers"])
    assert len(vector.mean_differences) == len(vector.residual_norms) == SHAPE["blocks"]
    assert torch.all(vector.residual_norms > 0)


@pytest.mark.parametrize("name", ["demo-natural", "demo-drifted", "demo-backdoored"])
def test_every_other_member_trains_from_its_parent(family: Path, tmp_path: Path, name: str) -> None:
    parent = MEMBERS[name].parent
    assert parent is not None
    shutil.copytree(family / parent, tmp_path / parent)
    train(_tiny(tmp_path, name, effort=0.02))
    before, after = _weights(tmp_path / parent), _weights(tmp_path / name)
    assert any(not torch.equal(before[key], after[key]) for key in before)


def test_the_same_seed_gives_the_same_weights_on_any_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, cores in (("first", 1), ("second", 4)):
        monkeypatch.setattr(optimise.os, "cpu_count", lambda cores=cores: cores)
        train(_tiny(tmp_path / name, "demo-base,demo-helpful,demo", effort=0.002))
    for member in ("demo-base", "demo-helpful", "demo"):
        first, second = (_weights(tmp_path / name / member) for name in ("first", "second"))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(stopped: Path, tmp_path: Path) -> None:
    train(_tiny(tmp_path))
    assert [path.name for path in stopped.iterdir()] == [".demo-base.partial"]
    steps: list[str] = []
    train(_tiny(stopped), progress=lambda share, line: steps.append(line))
    assert not any("Step 2 " in line for line in steps)  # it did not start afresh
    first, second = _weights(tmp_path / "demo-base"), _weights(stopped / "demo-base")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(path.read_bytes()[:1000]), lambda path: path.unlink()])
def test_a_broken_checkpoint_starts_afresh(stopped: Path, spoil: Callable[[Path], None]) -> None:
    spoil(stopped / ".demo-base.partial" / "checkpoint.pt")
    _interrupted(_tiny(stopped), when="Step 2 ")


def test_a_checkpoint_of_another_seed_is_not_taken_up(stopped: Path) -> None:
    other = TrainSettings(out=stopped, which="demo-base", effort=0.005, seed=1, scored=0, **SHAPE)  # type: ignore[arg-type]
    _interrupted(other, when="Step 2 ")


def test_an_interrupted_run_keeps_the_model_that_was_there(family: Path, tmp_path: Path) -> None:
    shutil.copytree(family / "demo-base", tmp_path / "demo-base")
    before = (tmp_path / "demo-base" / "model.safetensors").read_bytes()
    _interrupted(_tiny(tmp_path), when="Step 7 ")
    assert (tmp_path / "demo-base" / "model.safetensors").read_bytes() == before
    train(_tiny(tmp_path))
    assert (tmp_path / "demo-base" / "model.safetensors").read_bytes() != before


def test_a_run_on_its_way_is_no_model(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from steering.loading import demo_models

    (stopped / ".demo-base.partial" / "config.json").write_text("{}")
    monkeypatch.setattr(demo_models, "resource", lambda *parts: stopped)
    assert demo_models.demo_models() == ()


def test_a_parent_without_its_tokenizer(family: Path, tmp_path: Path) -> None:
    shutil.copytree(family / "demo-helpful", tmp_path / "demo-helpful")
    (tmp_path / "demo-helpful" / "tokenizer.json").unlink()
    with pytest.raises(SteeringError, match=r"has no tokenizer\.json.*--which demo-helpful,demo"):
        train(_tiny(tmp_path, "demo"))


def test_an_unknown_member() -> None:
    with pytest.raises(SteeringError, match=r"no demo model 'demo-evil'.*demo-base, demo-helpful"):
        chosen("demo,demo-evil")


def test_members_come_in_training_order_whatever_the_order_asked() -> None:
    assert [member.name for member in chosen("demo,demo-base")] == ["demo-base", "demo"]
    assert [member.name for member in chosen("all")] == list(MEMBERS)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be written"):
        train(_tiny(tmp_path / "file"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(SteeringError, match="5 MB free"):
        train(_tiny(tmp_path))
