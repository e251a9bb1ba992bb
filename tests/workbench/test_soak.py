"""The first rounds of a storm of visitors, of which `make soak` has an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import soak
from tests.storms.measured import ROOM, Bound, Measured
from tests.storms.storm import FULL, Faults, Storm
from tests.storms.visitors import ACTS
from workbench.bench import Workbench


def test_in_a_short_storm_nobody_gets_a_wrong_text_and_nothing_is_left(tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("what the process takes is read from /proc")
    storm, bounds = soak(tmp_path, rounds=3, clients=3, steps=2)
    assert storm.failures == []
    assert storm.acts == 18 < FULL  # so that memory, of which nothing is known yet, is not among the bounds
    assert [each.name for each in bounds] == [name for name in ROOM if name != "memory"]
    did = {name for each in storm.clients for name in each.done}
    assert len(did) > len(ACTS) // 2  # what the seed draws: runs, and enough else
    assert storm.runs["done"] > 5
    alone = [tuple(texts) for model in storm.expected.values() for texts in model.values()]
    assert len({*alone}) == len(alone)  # whatever a client were given of another, or of another model, would be wrong


def test_what_rises_over_its_bound_after_the_warm_up_is_told(tmp_path: Path) -> None:
    warm = [Measured(each, 30, 12) for each in (400.0, 500.0, 530.0, 560.0)]
    memory, files = Bound.of("memory", warm), Bound.of("files", warm)
    assert (memory.warm, memory.room) == (560.0, 30.0)  # by which the later half of the warm-up varied
    assert (files.warm, files.room) == (30, ROOM["files"])
    storm = Storm(Workbench(workspace=tmp_path), [], {}, Faults())
    storm.measured += [*warm, Measured(590.0, 38, 12), Measured(580.0, 39, 12), Measured(580.0, 40, 12)]
    storm.check([memory, files], len(warm))
    assert storm.failures == ["round 5: files at 39, more than 38"]  # the first time
