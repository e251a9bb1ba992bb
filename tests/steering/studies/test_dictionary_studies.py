"""The studies sae, transcoder and crosscoder: from texts to a folder that loads, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.job import Stopped
from steering.lane import Lane
from steering.model.host import Host
from steering.model.prompts import render
from steering.studies import find_study
from steering.studies.dictionaries import findings
from steering.studies.dictionaries.corpus import corpus
from steering.studies.dictionaries.crosscoders import load_crosscoder
from steering.studies.dictionaries.effects import effects
from steering.studies.dictionaries.states import read_together, read_tokens
from steering.studies.study import Result
from tests.conftest import tiny_model


TEXTS = ["Hello.", "Write a review of the hotel.", "What is two plus three, and what is five plus six?"]
STUDIES = ("sae", "transcoder")
SMALL = {"features": 32, "active": 4, "tokens": 1500, "steps": 60, "batch": 128, "block": 1, "silent_after": 10}


def run(host: Host, study: str, **given: Any) -> Result:
    chosen = find_study(study)
    return chosen.start(host, chosen.parse({**SMALL, "source": "grammar", **given})).result()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "dictionaries"


@pytest.fixture(scope="module")
def results(tiny_host: Callable[[str], Host], home: Path) -> dict[str, Result]:
    """Small dictionaries of a tiny random model, kept in `home`."""
    host = tiny_host("llama")
    return {study: run(host, study, dictionaries=str(home)) for study in STUDIES}


@pytest.fixture(scope="module")
def pair(tiny_host: Callable[[str], Host], lane: Lane, tokenizer: Any) -> Iterator[Host]:
    """A second tiny model: the first with some of its weights changed, as a fine-tune has."""
    model = deepcopy(tiny_model("llama"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layers.0.mlp" in name:
                weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    other = Host.wrap(model, tokenizer, name="tiny-base", lane=lane)
    load = Host.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Host, "load", lambda name, **more: other if name == "tiny-base" else load(name, **more))
        yield other


def test_training_learns_more_than_random_directions_know(results: dict[str, Result]) -> None:
    for result in results.values():
        trained, random = result.tables["held_out"].to_dict("records")
        assert trained["explained_variance_low"] > random["explained_variance_high"]
        assert 0 < trained["l0"] < 12
        assert random["l0"] == max(1, round(trained["l0"]))
        assert trained["tokens"] == random["tokens"] >= 150
        left = result.tables["curve"]["variance_left"].tolist()
        assert left[-1] < 0.8 * left[0]
        measures = {each.name: each for each in result.measures}
        assert (
            measures["explained_variance"].low <= trained["explained_variance"] <= measures["explained_variance"].high
        )
        assert any("first token of every text is left out" in note for note in result.notes)


@pytest.mark.parametrize(
    ("study", "kind", "reads", "gives"),
    [("sae", "autoencoder", "block_output", "block_output"), ("transcoder", "transcoder", "mlp_input", "mlp_output")],
)
def test_what_is_kept_loads_and_says_what_it_is(
    study: str, kind: str, reads: str, gives: str, results: dict[str, Result], home: Path
) -> None:
    name = {"sae": "tiny-llama-block-1-topk", "transcoder": "tiny-llama-block-1-transcoder"}[study]
    found = load_dictionary(home / name, width=32)
    assert (found.kind, found.reads, found.gives) == (kind, (1, reads), (1, gives))
    assert (found.model, found.n_features) == ("tiny-llama", 32)
    card = json.loads(results[study].files["card.json"])
    assert dict(found.card) == json.loads((home / name / "card.json").read_text())
    assert {key: value for key, value in found.card.items() if key != "seconds"} == card
    assert card["held_out"] == {
        key: pytest.approx(value) for key, value in results[study].tables["held_out"].iloc[0].drop("dictionary").items()
    }
    assert sorted(path.name for path in home.iterdir()) == sorted(
        ["tiny-llama-block-1-topk", "tiny-llama-block-1-transcoder"]
    )  # no lock, no checkpoint, nothing half-written


def test_figures_are_what_independent_arithmetic_gives(
    tiny_host: Callable[[str], Host], results: dict[str, Result], home: Path
) -> None:
    from sae_lens import SAE

    host = tiny_host("llama")
    texts = corpus(host, "grammar", reading="chat", tokens=1500, held_out=0.1, features=32, seed=0)
    states = host.run(lambda job: read_tokens(host, texts.held_out, [(1, "block_output")]), title="Reading")
    x = states.at[1, "block_output"]
    sae = SAE.load_from_disk(home / "tiny-llama-block-1-topk")
    with torch.no_grad():
        active = sae.encode(x)
        explained = 1 - (sae.decode(active) - x).pow(2).sum() / (x - x.mean(dim=0)).pow(2).sum()
    row = results["sae"].tables["held_out"].iloc[0]
    assert row["explained_variance"] == pytest.approx(float(explained), abs=1e-3)
    assert row["l0"] == pytest.approx(float((active != 0).sum(dim=1).float().mean()), abs=0.01)
    assert row["dead"] == int((~(active != 0).any(dim=0)).sum())
    assert row["tokens"] == len(x)


def test_a_stop_keeps_what_there_is_and_the_same_training_goes_on(
    tiny_host: Callable[[str], Host], home: Path, results: dict[str, Result], tmp_path: Path
) -> None:
    host, study = tiny_host("llama"), find_study("sae")
    given = {**SMALL, "source": "grammar", "dictionaries": str(tmp_path)}
    job = study.start(host, study.parse(given))
    for event in job.events():
        if getattr(event, "message", "").startswith("steps") and event.done >= 20:
            job.stop()
    with pytest.raises(Stopped):
        job.result()
    (checkpoint,) = tmp_path.iterdir()  # no folder, no lock
    assert checkpoint.name.endswith(".training")
    seen: list[int] = []
    job = study.start(host, study.parse(given))
    for event in job.events():
        if getattr(event, "message", "").startswith("steps"):
            seen.append(event.done)
    again = job.result()
    assert seen[0] > 20
    assert seen[-1] == 60
    (folder,) = tmp_path.iterdir()
    # The one that was never stopped has the same weights, to the last bit, and the same figures.
    for file in ("sae_weights.safetensors", "cfg.json"):
        assert (folder / file).read_bytes() == (home / folder.name / file).read_bytes()
    for name, table in again.tables.items():
        assert table.equals(results["sae"].tables[name])


def test_a_finished_training_is_found_and_another_one_gets_another_name(
    tiny_host: Callable[[str], Host], results: dict[str, Result], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, before = tiny_host("llama"), (home / "tiny-llama-block-1-topk" / "card.json").stat().st_mtime_ns
    assert results["sae"].dictionaries == {"tiny-llama-block-1-topk": home / "tiny-llama-block-1-topk"}
    monkeypatch.setattr(findings, "MOST_COPIED", 1000)
    again = run(host, "sae", dictionaries=str(home))
    assert again.dictionaries == {}  # too large to travel with a run
    assert any("do not travel" in note for note in again.notes)
    assert again.tables["held_out"].equals(results["sae"].tables["held_out"])
    assert (home / "tiny-llama-block-1-topk" / "card.json").stat().st_mtime_ns == before
    run(host, "sae", dictionaries=str(home), seed=1, steps=2)
    assert (home / "tiny-llama-block-1-topk-2" / "card.json").exists()
    shutil.rmtree(home / "tiny-llama-block-1-topk-2")
    with pytest.raises(SteeringError, match="another dictionary 'tiny-llama-block-1-topk'"):
        run(host, "sae", dictionaries=str(home), seed=1, steps=2, name="tiny-llama-block-1-topk")


def test_without_a_folder_it_is_measured_and_said(tiny_host: Callable[[str], Host]) -> None:
    result = run(tiny_host("llama"), "sae", steps=2)
    assert any("not kept" in note for note in result.notes)
    assert len(result.tables["held_out"]) == 2


def test_a_crosscoder_tells_two_models_apart(tiny_host: Callable[[str], Host], pair: Host, tmp_path: Path) -> None:
    given = {"base": "tiny-base", "steps": 120, "exclusive": 0.45, "effects": 2, "dictionaries": str(tmp_path)}
    result = run(tiny_host("llama"), "crosscoder", **given)
    held_out = result.tables["held_out"]
    assert held_out["model"].tolist() == ["tiny-base", "tiny-llama"] * 2
    trained, random = held_out["explained_variance"][:2], held_out["explained_variance"][2:]
    assert min(trained) > max(random)
    features, norms = result.tables["features"], result.tables["norms"]
    assert set(features["model"]) <= {"tiny-base", "tiny-llama"}
    assert (features["fires"] > 0).all()
    assert norms["features"].sum() + norms["dead"].sum() == 32
    tried = features[features["effect_n"] > 0]
    assert 0 < len(tried) <= 4
    assert (tried[["kl_without", "kl_random", "kl_other", "kl_other_without"]] >= 0).all(axis=None)
    (folder,) = tmp_path.iterdir()
    assert load_crosscoder(folder).decoder.shape == (2, 32, 32)
    read = load_dictionary(folder, width=32)  # to look at, with both models' names
    assert [each.words for each in read.read_from] == ["block 1, block output of tiny-base", "block 1, block output"]
    again = run(tiny_host("llama"), "crosscoder", **given)  # trained already
    assert again.tables["features"].equals(features)


def test_the_effect_of_a_feature_is_that_of_taking_it_out_by_hand(
    tiny_host: Callable[[str], Host], pair: Host, tmp_path: Path
) -> None:
    host, place = tiny_host("llama"), (1, "block_output")
    run(host, "crosscoder", base="tiny-base", dictionaries=str(tmp_path), effects=0)
    found = load_crosscoder(next(tmp_path.iterdir()))
    ids = render(host, TEXTS[2]).ids
    both = host.run(lambda job: read_together((pair, host), [ids], place), title="Reading")
    x = torch.stack([each.at[place] for each in both])
    last = found.encode(x)[:, :][-1]
    feature = int(last.argmax())  # active at the last token, so that the whole text is read
    peaks = torch.tensor([[len(ids) - 2]])
    (effect,) = host.run(
        lambda job: effects((pair, host), found, place, [ids], both[0], peaks, [(feature, 1)]), title="Effects"
    )
    model = tiny_model("llama")
    added = torch.zeros(1, len(ids), 32)
    added[0, 1:] = found.encode(x)[:, feature, None] * found.decoder[1, feature]
    with torch.no_grad():
        plain = model(torch.tensor([ids])).logits[0, -1].log_softmax(dim=-1)
        handle = model.model.layers[1].register_forward_hook(
            lambda module, inputs, output: (
                (output[0] - added, *output[1:]) if isinstance(output, tuple) else output - added
            )
        )
        without = model(torch.tensor([ids])).logits[0, -1].log_softmax(dim=-1)
        handle.remove()
    wanted = float((plain.exp() * (plain - without)).sum())
    assert wanted > 1e-3
    assert effect.without == pytest.approx(wanted, rel=1e-3)  # float32 through two blocks
    assert effect.n == 1


@pytest.mark.parametrize(
    ("study", "given", "said"),
    [
        ("sae", {"active": 32}, "fewer active"),
        ("sae", {"block": 4}, "Block 4"),
        ("sae", {"tokens": 200}, "at least 320 for 32 features"),
        ("sae", {"source": ""}, "No texts were named"),
        ("sae", {"source": "nowhere.csv"}, "nowhere.csv"),
        ("crosscoder", {}, "No second model"),
        ("crosscoder", {"base": "nowhere/at-all"}, "nowhere"),
        ("crosscoder", {"base": "demo"}, "6 blocks of width 192"),
    ],
)
def test_what_cannot_be_trained_says_so_before_it_runs(
    study: str, given: dict[str, Any], said: str, tiny_host: Callable[[str], Host], tmp_path: Path
) -> None:
    with pytest.raises(SteeringError, match=said):
        run(tiny_host("llama"), study, **given, dictionaries=str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_places_that_will_not_do(
    tiny_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, home = tiny_host("llama"), tmp_path / "home"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be written"):
        run(host, "sae", dictionaries=str(tmp_path / "file" / "in"))
    (home / "mine").mkdir(parents=True)
    (home / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(SteeringError, match="not made by the workbench"):
        run(host, "sae", dictionaries=str(home), name="mine")
    with FileLock(home / ".busy.lock"), pytest.raises(SteeringError, match="Another program is training 'busy'"):
        run(host, "sae", dictionaries=str(home), name="busy")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(SteeringError, match="5 MB free"):
        run(host, "sae", dictionaries=str(home))
    monkeypatch.undo()
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    with pytest.raises(SteeringError, match="memory in all"):
        run(host, "sae", dictionaries=str(home))
    assert {path.name for path in home.iterdir()} - {".busy.lock"} == {"mine"}  # the lock is this test's own
