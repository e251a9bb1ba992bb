"""The study of what pairs are worth: every pair weighed both ways, swapped ones found, and curves over their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.studies import find_study
from steering.studies.preferences.worth_tables import rank_correlation
from steering.studies.study import Result


GIVEN = {"n": 6, "n_held_out": 4, "steps": 3, "points": 2, "retrained": 3, "planted": 2, "sizes": "2, 4", "draws": 3}


@pytest.fixture(scope="module")
def found(demo: Any) -> Result:
    study = find_study("pair_worth")
    return study.run(demo, study.parse({**GIVEN, "data": "demo-refusing", "judge": "refusal"}), None)  # type: ignore[arg-type]


def test_every_pair_is_weighed(found) -> None:
    pairs = found.tables["pairs"]
    assert sorted(pairs["pair"]) == list(range(1, 7))
    for way in ("exact", "traced", "foretold"):
        assert pairs.sort_values(f"{way}_rank")[way].is_monotonic_increasing
        assert pairs[way].notna().all()
    assert pairs["retrained"].notna().sum() == 3
    assert list(pairs["foretold_rank"]) == list(range(1, 7))


def test_swapped_pairs_are_looked_for_in_every_way(found) -> None:
    planted = found.tables["planted"]
    assert list(planted["way"]) == ["exact", "traced", "foretold"] * 2
    assert (planted["found"] == (planted["rank"] <= 5)).all()
    found = planted[planted["way"] != "foretold"]
    assert (found["rank"] == 1).all(), "the two sides are far apart"


def test_curves_stand_beside_a_random_choice(found) -> None:
    curve = found.tables["curve"]
    assert list(curve["size"]) == [2, 4] * 2
    random = curve[curve["chosen_by"] == "random"]
    assert (random["over_random"] == 0).all()
    assert (curve["worth"] > 0).all(), "towards what tells the held-out pairs apart"


def test_too_few_pairs_and_sizes_are_told(demo) -> None:
    study = find_study("pair_worth")
    with pytest.raises(SteeringError, match="has 300 pairs"):
        study.run(demo, study.parse({"n": 299}), None)  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="The sizes 'few'"):
        study.run(demo, study.parse({**GIVEN, "sizes": "few", "loss": "none", "planted": 0}), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pair_worth", "self_rewarding"])
def test_a_model_that_speaks_no_demo_grammar_is_asked_for_pairs(demo, tiny_host, name: str) -> None:
    study = find_study(name)
    assert study.parse({}).on(demo).data == "demo-formality"
    with pytest.raises(SteeringError, match="No preferences were named") as caught:
        study.run(tiny_host("llama"), study.parse({}), None)  # type: ignore[arg-type]
    assert "workbench run pairs" in caught.value.remedy


def test_a_rank_correlation_is_of_ranks() -> None:
    one = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert rank_correlation(one, np.exp(one)).value == pytest.approx(1.0)
    assert rank_correlation(one, -one).value == pytest.approx(-1.0)
    expected = pd.Series([1, 2, 3, 4, 5, 6]).corr(pd.Series([2, 1, 4, 3, 6, 5]))
    found = rank_correlation(one, np.array([2.0, 1.0, 4.0, 3.0, 6.0, 5.0]))
    assert found.value == pytest.approx(expected)
    assert found.low < found.value <= found.high
