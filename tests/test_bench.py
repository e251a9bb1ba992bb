"""The table of the benchmarks: which aims are met, how a miss is told, pairs whose drift cancels out. No times."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench import weights
from bench.__main__ import merged
from bench.harness import pairs
from bench.harness.pairs import LEAST, MOST, Timed, clocked, paired, quartiles
from bench.harness.row import Aim, BenchRow, skipped
from bench.harness.run import MODULES, failed_section, modules
from bench.harness.table import miss, page
from bench.opponents.environments import LIBRARIES
from bench.opponents.playing import MODULES as PLAYED
from bench.peers import with_fastest
from bench.weights import bytes_read
from steering.model.host import Host
from steering.statistics import auroc_intervals
from tests.conftest import ROOT


MACHINE = {"processor": "a processor | of two cores"}
ROW = BenchRow("Decoding", "demo: one block", "steered", "generate", 0.99, 0.98, 1.02, 9, load=1.0)


def told(*rows: BenchRow) -> str:
    return page(rows, MACHINE, cores=2)


@pytest.mark.parametrize(
    ("value", "aim", "met", "missed_by"),
    [
        (0.97, Aim(0.97), True, 0.0),
        (0.96, Aim(0.97), False, 0.01 / 0.97),
        (150.0, Aim(200.0, least=False), True, 0.0),
        (260.0, Aim(200.0, least=False), False, 0.3),
    ],
)
def test_an_aim_is_met_at_its_bound_and_missed_by_a_share_of_it(
    value: float, aim: Aim, met: bool, missed_by: float
) -> None:
    row = replace(ROW, value=value, aim=aim)
    assert row.met is met
    assert aim.missed_by(value) == pytest.approx(missed_by)


def test_nothing_is_met_by_what_is_no_number_or_was_not_measured() -> None:
    assert replace(ROW, aim=Aim(1.0), value=float("nan")).met is False
    assert replace(ROW, aim=Aim(1.0), value=None).met is None
    assert ROW.met is None


def test_the_page_counts_aims_and_says_by_how_much_and_why_one_is_missed() -> None:
    good, bad = replace(ROW, aim=Aim(0.97)), replace(ROW, name="demo: all blocks", aim=Aim(1.1), why="A visit costs.")
    text = told(good, bad, skipped("Decoding", "1 B", "steered", "generate", "no GPU here"))
    assert "**1 of 2 aims met.**" in text
    assert "- Decoding, demo: all blocks against generate: 0.99×, aim ≥ 1.10×, missed by 10%. A visit costs." in text
    assert "- Decoding, 1 B against generate (skipped): no GPU here" in text
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| demo")}
    assert "0.99× [0.98× – 1.02×], n = 9" in lines["| demo: one block"]
    assert "| yes |" in lines["| demo: one block"]
    assert "| **no** |" in lines["| demo: all blocks"]
    assert "busy" not in text.split("missed by")[0].split("aims met")[1]
    assert "a processor \\| of two cores" in text  # a bar of its own would be another column


def test_the_page_says_how_many_rows_a_busy_machine_measured() -> None:
    assert "1 of 2 rows were measured while other programs kept the 2 cores busy" in told(ROW, replace(ROW, load=5.0))


def test_the_page_says_which_tables_a_short_run_measured() -> None:
    short, whole = replace(ROW, short=True), replace(ROW, section="Sweep")
    assert "by hand: a short run (`make bench QUICK=1`)." in told(short)
    assert "by hand: whole runs (`make bench`)." in told(whole)
    assert "by hand: whole runs (`make bench`), but short ones for Decoding." in told(short, whole)


def test_rows_stay_what_they_are_as_json() -> None:
    rows = [replace(ROW, aim=Aim(200.0, least=False), unit="ms"), skipped("a", "b", "c", "d", "e")]
    assert [BenchRow.of_data(json.loads(json.dumps(row.as_data()))) for row in rows] == rows


def test_new_rows_take_the_place_of_their_tables_and_only_on_the_same_machine() -> None:
    old = [ROW, replace(ROW, section="Sweep"), replace(ROW, name="gone")]
    before: dict[str, Any] = {"machine": {**MACHINE, "took": "3 minutes"}, "rows": [row.as_data() for row in old]}
    new = [replace(ROW, value=1.2), replace(ROW, section="Start")]
    before["rows"].append(skipped(failed_section("startup"), "the rest of it", "", "", "it ended").as_data())
    rows, machine = merged(before, new, {**MACHINE, "took": "1 minutes"}, ["startup"])
    assert rows == [new[0], old[1], new[1]]
    assert machine == MACHINE, "what one of them took says nothing of both"
    with pytest.raises(SystemExit, match="another machine or version: processor"):
        merged(before, new, {"processor": "another"}, [])


def _slowing(*shares: float) -> list[Callable[[], Timed]]:
    """Pieces of work of so many units on a machine that slows down steadily."""
    turns = iter(range(1000))

    def work(share: float) -> Timed:
        speed = 1 + 0.1 * next(turns)
        return Timed(share * speed, 2 * share * speed)

    return [lambda share=share: work(share) for share in shares]  # type: ignore[misc]


def test_a_missed_aim_says_where_the_time_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.harness.profile.SECONDS", 0.1)
    scores = np.random.default_rng(0).normal(size=(2, 40))

    def work() -> None:
        auroc_intervals(*scores[:, :, None], paired=False, seed=0)

    waiting = threading.Thread(target=threading.Event().wait, args=(5,), daemon=True)
    waiting.start()
    found = paired(clocked(work), lambda: Timed(1e-6, 1e-6), rounds=2)
    missed = found.row("Statistics", "intervals", "ours", "nothing", aim=Aim(1.0))
    assert [where for where, _ in missed.profile] == ["steering"]
    assert "Its time: steering 100%." in miss(missed)
    assert found.row("Statistics", "intervals", "ours", "nothing", aim=Aim(0.0)).profile == ()
    assert BenchRow.of_data(json.loads(json.dumps(missed.as_data()))) == missed


def test_a_steady_drift_cancels_out_of_pairs_and_warming_up_does_not_count() -> None:
    found = paired(*_slowing(2.0, 3.0), rounds=5, warm=2)
    assert len(found.ratios) == 5
    assert found.ratios == pytest.approx([1.5] * 5)  # held against ours of the same round alone it would be above
    assert found.computing == pytest.approx([1.5] * 5)
    row = found.row("a", "b", "c", "d", times=2.0)
    assert (row.value, row.low, row.high) == pytest.approx((3.0, 3.0, 3.0))


def test_more_pairs_are_timed_where_there_is_time_but_not_without_end() -> None:
    assert len(paired(*_slowing(2.0, 3.0), rounds=1, warm=0, seconds=60.0).ratios) == MOST


def test_pairs_that_take_long_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(paired(*_slowing(2.0, 3.0), rounds=9).ratios) == 9
    monkeypatch.setattr(pairs, "LONGEST", 0.0)
    assert len(paired(*_slowing(2.0, 3.0), rounds=9).ratios) == LEAST
    assert len(paired(*_slowing(2.0, 3.0), rounds=2).ratios) == 2


def test_the_spread_is_the_quartiles() -> None:
    assert quartiles([5.0, 1.0, 2.0, 4.0, 3.0]) == (2.0, 3.0, 4.0)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


def test_parity_is_asked_against_the_fastest_opponent_alone() -> None:
    rows = [replace(ROW, opponent=name, value=value) for name, value in (("slow", 1.8), ("fast", 0.9), ("even", 1.0))]
    slow, fast, even = with_fastest(rows)
    assert (slow.aim, even.aim) == (None, None)
    assert fast.aim == Aim(1.0)
    assert fast.met is False
    assert fast.opponent == "fast (fastest)"


def test_every_benchmark_and_every_opponent_has_its_file() -> None:
    assert modules() == list(MODULES)
    assert modules(("startup", "decoding")) == ["decoding", "startup"]
    assert set(LIBRARIES) == set(PLAYED)


def test_no_opponent_that_needs_its_own_environment_is_a_dependency() -> None:
    own = {environment for environment in LIBRARIES.values() if environment}
    project = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text()
    names = {name for environment in own for name in environment.needs} - {"transformers"}
    assert names == {"pyvene", "steering-vectors", "repeng", "dialz"}
    assert not [name for name in names if f'"{name}' in project or f"\n{name}=" in project]


def test_a_step_is_held_against_the_bytes_of_the_weights_that_it_reads(
    demo: Host, tiny_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bytes_read(demo) == 4 * sum(
        each.numel() for each in demo.model._module.parameters()
    )  # one table, twice used
    untied = tiny_host("llama")
    assert bytes_read(untied) == 4 * (sum(each.numel() for each in untied.model._module.parameters()) - 3072 * 32)
    monkeypatch.setattr(weights, "COPIED", 2**16)
    made: list[int] = []
    row = weights.beside_weights(demo, "demo", "Decoding", made.append, rounds=2, aim=None)
    assert made == [weights.SHORT, weights.LONG] * 4
    assert row.value is not None
    assert "GB of weights" in row.note
