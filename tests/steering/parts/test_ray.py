"""Workers on a local Ray: the numbers of one process, whatever is killed or stopped; nothing of other weights."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.lane import Progress, Stopped
from steering.model.host import Host
from steering.model.prompts import conversation, render
from steering.parts import part
from steering.parts.part import Alone, parts, spread_over
from steering.parts.ray_cluster import Workers, check_ray
from steering.studies import find_study
from steering.studies.axbench.concepts import Instruction
from steering.studies.axbench.reading import Asked, Writer
from steering.studies.features.attribution_logits import LogitDifference
from steering.studies.features.cause_effects import read_differences, speak
from steering.studies.features.cause_plans import off_plan, up_plan
from steering.studies.features.chosen import DEMO, dictionary_of
from steering.studies.features.losses import losses
from steering.studies.features.measuring import Texts
from steering.studies.features.reading import Tokens, read_features
from steering.studies.features.replaced import treatments
from steering.studies.features.streams import made_of
from steering.studies.probing import ProbeSettings, Probing
from steering.studies.probing import picture_of as picture_of_probing
from steering.studies.probing.tables import block_table, cosine_table, score_table, separation_table
from steering.studies.refusal import Inquiry, RefusalSettings
from steering.studies.refusal.groups import Group
from steering.studies.tradeoff import Comparison, picture_of, result_of
from steering.texts.contrast import ContrastSet
from tests.conftest import ROOT


ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'steering-workbench[ray]'")
cloudpickle = pytest.importorskip("cloudpickle")


@pytest.fixture(scope="module")
def pool(demo: Host) -> Iterator[Any]:
    """Two workers of one thread each, which load `demo`."""
    from steering.parts.ray_pool import RayPool

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers know no tests
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for begun in ("enable_worker_prestart", "prestart_worker_first_driver"):  # processes that no actor here can use
            patch.setenv(f"RAY_{begun}", "0")
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            configure_logging=False,
        )
        made = RayPool(demo, Workers(2))
        yield made
        made.close()
        ray.shutdown()


@dataclass(frozen=True)
class Waiting:
    """A part that goes on until a file is there; it says by files that it has begun, and in which process."""

    folder: str
    number: int

    def compute(self, job, host, kept):
        (Path(self.folder) / f"begun {self.number} {os.getpid()}").touch()
        kept[f"first {self.number}"] = {"value": self.number}
        yield 1
        while not (Path(self.folder) / f"go on {self.number}").exists():
            job.check()
        kept[f"last {self.number}"] = {"value": self.number}
        yield 1

    def pieces(self, host):
        return [self]


class WaitingAlone(Waiting, Alone):
    """One that is sent by itself."""


@dataclass(frozen=True)
class Known:
    """A part that does nothing where it finds that it was done."""

    def compute(self, job, host, kept):
        if "known" not in kept:
            kept["known"] = {"value": 1}
            yield 1

    def pieces(self, host):
        return [self, self]


def _sum(states, counts):
    return states.sum(dim=0), counts


def begun(folder: Path, number: int) -> list[int]:
    """Processes that have begun a part."""
    return [int(path.name.split()[2]) for path in folder.glob(f"begun {number} *")]


def waited(job, pool, host, items, kept, until) -> list[part.Told]:
    """Compute parts; `until` is called at every beat."""
    told = []
    with spread_over(host, pool), closing(parts(job, host, items, kept)) as found:
        pool_ready = pool._ready

        def ready():
            until()
            return pool_ready()

        pool._ready = ready
        try:
            told += list(found)
        finally:
            pool._ready = pool_ready
    return told


def test_a_trade_off_of_workers_has_the_numbers_of_one_process(demo, pool, monkeypatch) -> None:
    given = {"recipes": ["sentiment"], "strengths": "0..1 step 1", "n": 2, "n_replies": 2, "random": 1}
    settings = find_study("tradeoff").parse({**given, "compare": ["prompt"], "also": ["sums"], "reply_tokens": 4})
    vectors = {"sentiment": extract(demo, ContrastSet.load("sentiment"))}

    def run(kept) -> Comparison:
        found = Comparison(demo, settings, kept, vectors)
        demo.run(lambda job: list(found.run(job)), title="trade-off")
        assert found.finished
        assert found.done == found.total
        return found

    here: dict[str, Any] = {}
    there: dict[str, Any] = {}
    first = result_of(picture_of(run(here)))
    with spread_over(demo, pool), monkeypatch.context() as patch:
        patch.setattr("steering.studies.tradeoff.readings.Reader.read", None)  # this process reads nothing
        second = result_of(picture_of(run(there)))
    assert first.measures
    assert repr(second.measures) == repr(first.measures)
    assert {key: repr(value) for key, value in there.items()} == {key: repr(value) for key, value in here.items()}
    for name, table in first.tables.items():
        assert repr(second.tables[name].to_dict()) == repr(table.to_dict())


def test_a_grid_of_workers_has_the_cells_of_one_process(demo, pool) -> None:
    recipe = {"interventions": [], "decode": {"max_new_tokens": 6, "temperature": 1}}
    settings = find_study("grid").parse({"recipe": recipe, "x": "seed: 0..19"})
    here = find_study("grid").start(demo, settings).result()
    with spread_over(demo, pool):
        job = find_study("grid").start(demo, settings)
        reported = [each.done for each in job.events() if isinstance(each, Progress)]
        there = job.result()
    assert there.main.to_dict() == here.main.to_dict()
    assert len(set(here.main["text"])) > 5
    assert {0, 20} <= set(reported)


def test_a_probing_of_workers_has_the_probes_of_one_process(demo, pool, monkeypatch, tmp_path) -> None:
    """Statements in three batches, and two blocks, that no other process than the workers' reads or trains on."""
    monkeypatch.setattr("steering.studies.probing.states.DEFAULT_TOKEN_BUDGET", 200)
    given = {"n": 10, "steps": 20, "restarts": 1, "folds": 2, "random": 5, "permutations": 100, "aqi_n": 5}
    settings = ProbeSettings(**given, controls=("marker",), blocks="2, 4", cause=())

    def run(folder: str) -> Probing:
        found = Probing(demo, settings, states=folder, kept={})
        demo.run(lambda job: list(found.run(job)), title="probing")
        return found

    one = run("")
    with spread_over(demo, pool), monkeypatch.context() as patch:
        patch.setattr("steering.studies.probing.answered._both", None)
        patch.setattr("steering.studies.probing.places.search", None)
        before = pool._calls
        several = run(str(tmp_path))
    batches = pool._calls - before - len(one.at)
    assert batches > 2
    assert list(several.at) == list(one.at)
    assert one.altered
    for place in one.at:
        for texts in (one.texts, one.altered["marker"]):
            assert all(map(torch.equal, several.states.at(texts, *place), one.states.at(texts, *place)))
    pictures = picture_of_probing(one), picture_of_probing(several)
    for table in (block_table, score_table, separation_table, cosine_table):
        here, there = (table(picture).to_dict() for picture in pictures)
        assert here
        assert repr(there) == repr(here)
    for name, vector in one.vectors.items():
        assert torch.equal(several.vectors[name].directions, vector.directions)


def test_features_that_workers_read_and_change_are_those_of_one_process(demo, pool, monkeypatch) -> None:
    monkeypatch.setattr("steering.studies.features.cause_effects.BATCH", 2)
    if not pool._loading:  # one is enough, and saves the other the time that sae-lens takes to import
        monkeypatch.setattr(pool, "_idle", pool._idle[:1])
    dictionary, _ = dictionary_of(demo, DEMO)
    group = Group.of(demo, "asked", [conversation(text) for text in ("Say hello.", "Name a tree.", "Who are you?")], "")
    plans = [(), *(off_plan(dictionary, [feature]) for feature in range(34))]
    up = up_plan(dictionary, 20 * dictionary.decoder([3, 7]).sum(dim=0))
    of = LogitDifference((17, 40), (25,), ("these", "that"))

    texts = Texts(len(group.read), {"chat": Tokens.of(group.read)})
    replaced = treatments(dictionary, {"own": dictionary.reconstruct}, torch.ones(demo.info.width), first=False)

    def work(job):
        active = read_features(demo, group.read, dictionary, token_budget=20).activations
        sums = made_of(job, demo, group.read, dictionary, _sum, first=True, what="texts", token_budget=20)
        differences = read_differences(job, demo, group.read, [*plans, up], of)
        lost = losses(demo, dictionary, texts, replaced, job, first=False)
        return active, sums, differences, speak(job, demo, group, [(), plans[1], up], 4), lost

    one = demo.run(work, title="features")
    with spread_over(demo, pool), monkeypatch.context() as patch:
        for name in ("streams.read_prompts", "cause_parts.read_many", "cause_parts.generate_each", "losses._read"):
            patch.setattr(f"steering.studies.features.{name}", None)  # this process reads nothing
        before = pool._calls
        several = demo.run(work, title="features")
        lengths = len({len(prompt) for prompt in group.read})
        assert pool._calls - before == 2 * len(one[1]) + 2 + 5 + lengths
    assert len(one[1]) > 1
    assert len(one[0].values) > 10
    assert torch.equal(several[0].features, one[0].features)
    assert torch.equal(several[0].values, one[0].values)
    for (indices, (sums, counts)), there in zip(one[1], several[1], strict=True):
        assert there[0] == indices
        assert torch.equal(there[1][0], sums)
        assert torch.equal(there[1][1], counts)
    assert np.array_equal(several[2], one[2])
    assert len(np.unique(one[2][:, 0])) > 2, "changes do something"
    assert several[3] == one[3]
    assert len({float(each.sum()) for each in one[4].sums.values()}) > 4, "treatments do something"
    assert all(np.array_equal(several[4].sums[key], each) for key, each in one[4].sums.items())


def test_replies_of_a_comparison_that_workers_write_are_those_of_one_process(demo, pool, monkeypatch) -> None:
    monkeypatch.setattr("steering.studies.axbench.reading.BATCH", 2)
    requests = [conversation(text) for text in ("Write a note.", "Say hello.", "Name a tree.")]
    asked = [Asked(Instruction(each), render(demo, each), (), "") for each in requests]

    def write(kept: dict[str, Any]) -> Any:
        writer = Writer(demo, kept, tokens=4, temperature=1.0, seed=0)
        return demo.run(lambda job: writer.write(job, asked, "replies"), title="replies")

    here, there = dict[str, Any](), dict[str, Any]()
    one = write(here)
    with spread_over(demo, pool), monkeypatch.context() as patch:
        patch.setattr("steering.studies.axbench.reading.generate_each", None)
        assert write(there) == one
    assert len({each.text for each in one}) == 3
    assert {key: there[key] for key in here} == here


@pytest.mark.parametrize("at_once", [64, 2])
def test_a_refusal_run_of_workers_has_the_effects_of_one_process(demo, pool, monkeypatch, at_once: int) -> None:
    """With replies to all groups in one batch, and in one for each."""
    monkeypatch.setattr("steering.studies.refusal.effects.BATCH", at_once)
    given = {"n_train": 4, "n_validation": 2, "n_test": 2, "random": 1, "reply_tokens": 4, "questions": 2}
    given |= {"arms": ["ablate", "weights"], "complete": False, "last_only": True, "tokens": ["I"]}
    here: dict[str, Any] = {}
    there: dict[str, Any] = {}

    def run(kept) -> Inquiry:
        found = Inquiry(demo, RefusalSettings(**given), kept)
        demo.run(lambda job: list(found.run(job)), title="refusal")
        return found

    one = run(here)
    with spread_over(demo, pool):
        before = pool._calls
        several = run(there)
    groups, arms = len({each.group for each in one.rates}), len(one.costs)
    expected = 1 + arms if at_once == 64 else groups * (arms - 1) + arms
    assert pool._calls - before == expected, "orthogonal weights are edited once for all"
    assert {key: repr(value) for key, value in there.items()} == {key: repr(value) for key, value in here.items()}
    assert repr(several.rates) == repr(one.rates)
    assert repr(several.costs) == repr(one.costs)


def test_what_is_let_in_between_is_computed_here(demo, pool, tmp_path) -> None:
    kept: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    items = [Waiting(str(tmp_path), number) for number in range(2)]

    def meanwhile() -> None:
        if not inner and begun(tmp_path, 0):
            demo.run(lambda job: list(parts(job, demo, [Known()], inner)), title="another study")
            for number in range(2):
                (tmp_path / f"go on {number}").touch()

    demo.run(lambda job: waited(job, pool, demo, items, kept, meanwhile), title="parts")
    assert inner == {"known": {"value": 1}}
    assert len(kept) == 4


def test_a_killed_worker_loses_nothing(demo, pool, tmp_path) -> None:
    kinds, kept, killed = (WaitingAlone, Waiting, Waiting), dict[str, Any](), list[int]()
    items = [kind(str(tmp_path), number) for number, kind in enumerate(kinds)]
    (tmp_path / "go on 1").touch()
    (tmp_path / "go on 2").touch()

    def kill() -> None:
        if not killed and (found := begun(tmp_path, 0)):
            killed.extend(found)
            os.kill(found[0], signal.SIGKILL)
            (tmp_path / "go on 0").touch()

    job = demo.submit(lambda job: waited(job, pool, demo, items, kept, kill), title="parts")
    told = job.result()
    assert kept == {f"{word} {n}": {"value": n} for word in ("first", "last") for n in range(3)}
    assert [sum(each.n for each in told if each.part == n) for n in range(3)] == [2, 2, 2]
    assert sum(each.ended for each in told) == 3
    assert len(begun(tmp_path, 0)) == 2, "another has computed it"
    assert job.notes == ["1 worker was lost; what it had not finished was given to another."]


def test_workers_remember_nothing_that_another_store_lacks(demo, pool) -> None:
    for _ in range(3):  # so that each worker has done it before
        kept: dict[str, Any] = {}
        demo.run(lambda job, kept=kept: waited(job, pool, demo, [Known()], kept, lambda: None), title="parts")
        assert kept == {"known": {"value": 1}}


def test_a_stop_is_heard_within_a_part_and_what_was_done_of_it_is_kept(demo, pool, tmp_path) -> None:
    kept: dict[str, Any] = {}
    items = [Waiting(str(tmp_path), number) for number in range(3)]

    def stop() -> None:
        if begun(tmp_path, 0):
            job.stop()

    job = demo.submit(lambda job: waited(job, pool, demo, items, kept, stop), title="parts")
    with pytest.raises(Stopped):
        job.result()
    assert kept["first 0"] == {"value": 0}
    assert not any(key.startswith("last") for key in kept)
    for number in range(3):
        (tmp_path / f"go on {number}").touch()
    again = demo.submit(lambda job: waited(job, pool, demo, items, kept, lambda: None), title="parts")
    assert sum(each.ended for each in again.result()) == 3, "the workers are free for more"
    assert len(kept) == 6


@pytest.mark.parametrize("other", ["weights", "version", "none"])
def test_a_worker_with_something_else_computes_nothing(other, demo, pool, tmp_path, monkeypatch) -> None:
    here = pool._about
    said = {
        "weights": (replace(here, fingerprint="0123"), "other weights"),
        "version": (replace(here, versions={**here.versions, "torch": "1.0"}), "has torch 1.0; here it is"),
        "none": (SteeringError("There is no model 'demo'."), "cannot load the model. There is no model 'demo'"),
    }
    about, expected = said[other]
    monkeypatch.setattr(pool, "_idle", [])
    monkeypatch.setattr(pool, "_loading", {ray.put(about): None})
    (tmp_path / "go on 0").touch()
    kept: dict[str, Any] = {}
    items = [Waiting(str(tmp_path), 0)]
    with pytest.raises(SteeringError, match=expected):
        demo.run(lambda job: waited(job, pool, demo, items, kept, lambda: None), title="parts")
    assert not kept
    assert not begun(tmp_path, 0)


def test_what_is_missing_or_has_no_room_is_said(demo, pool, monkeypatch) -> None:
    from steering.parts.ray_pool import spread

    with pytest.raises(SteeringError, match="3 workers of 1 thread and 0 GPUs"), spread(demo, Workers(3)):
        pass
    with pytest.raises(SteeringError, match="at least one worker"):
        Workers(0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SteeringError, match=r"steering-workbench\[ray\]"):
        check_ray()
