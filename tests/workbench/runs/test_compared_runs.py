"""Runs side by side: what was set otherwise, whatever it was, and texts at the same places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.studies.study import Measure, Result
from tests.workbench.runs.test_runs import RUN
from workbench.runs.comparison import compare
from workbench.runs.runs import Runs


def _kept(runs: Runs, result: Result | None = None, kind: str = "grid", **about: Any) -> str:
    said = {"settings": {}, "model": {}, "vectors": {}, "data": {}, "versions": {}, **about}
    id = runs.begin(replace(RUN, kind=kind, about=said))
    runs.end(id, "done", result=result)
    return id


def _cells(**texts: str) -> Result:
    table = pd.DataFrame({"seed": [0, 1], "text": list(texts.values()), "tokens": [3, 3]})
    return Result("grid", {}, (), {}, (Measure("share", 0.5, 0.4, 0.6, 9),), {"cells": table}, "cells")


def test_all_that_is_not_the_same_is_named_and_nothing_else(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    same = {
        "n": 3,
        "x": "seed: 0, 1",
        "recipe": {"decode": {"max_new_tokens": 8}, "interventions": [{"vector": "joy"}]},
    }
    other = {**same, "recipe": {"decode": {"max_new_tokens": 9}, "interventions": [{"vector": "joy"}, {"vector": "b"}]}}
    first = _kept(
        runs,
        settings={**same, "kept": "/a", "vectors": "/b"},
        model={"name": "demo", "weights_digest": "1", "memory": 5},
        vectors={"joy": "12"},
        data={"contrast/joy.yaml": "34"},
        versions={"torch": "2.13"},
    )
    second = _kept(
        runs,
        settings={**other, "kept": "/c", "vectors": "/d"},
        model={"name": "demo", "weights_digest": "2", "memory": 6},
        vectors={"joy": "99"},
        data={"contrast/joy.yaml": "34"},
        versions={"torch": "2.13", "peft": "0.19"},
    )
    found = compare(runs, [first, second])
    assert {(each.what, each.name): each.values for each in found.settings} == {
        ("settings", "recipe.decode.max_new_tokens"): ("8", "9"),
        ("settings", "recipe.interventions.1.vector"): ("–", "b"),
        ("model", "weights_digest"): ("1", "2"),
        ("vectors", "joy"): ("12", "99"),
        ("versions", "peft"): ("–", "0.19"),
    }
    assert found.same_data
    again = compare(runs, [first, _kept(runs, settings=same, kind="refusal"), first])
    assert len(again.runs) == 2
    assert ("run", "kind", ("grid", "refusal")) in [(e.what, e.name, e.values) for e in again.settings]
    assert not again.same_data


def test_texts_stand_side_by_side_at_the_same_places(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    ids = [_kept(runs, _cells(a="one", b="two")), _kept(runs, _cells(a="one", b="three")), _kept(runs)]
    found = compare(runs, ids[:2])
    assert [(each.place, each.texts) for each in found.texts] == [
        ("seed 0", ("one", "one")),
        ("seed 1", ("two", "three")),
    ]
    wider = _cells(a="one", c="new")
    wider.tables["cells"]["seed"] = [0, 7]
    more = compare(runs, [ids[0], _kept(runs, wider)])
    assert more.texts[-1].texts == (None, "new")  # what only one of them has is not left out
    assert found.labels == ("run 1", "run 2")
    assert found.measures[0].differences[0] == pytest.approx((0, -(0.02**0.5), 0.02**0.5))
    without = compare(runs, ids)  # one of them left no result
    assert without.texts == ()
    assert without.measures[0].measures[2] is None
    assert without.measures[0].differences[1] is None


def test_two_to_four_runs_are_compared(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    ids = [_kept(runs) for _ in range(5)]
    assert len(compare(runs, ids[:4]).runs) == 4
    for few_or_many in (ids, ids[:1], [ids[0], ids[0]], []):
        with pytest.raises(SteeringError, match="runs were chosen"):
            compare(runs, few_or_many)
    with pytest.raises(SteeringError, match="no run 'nothing'"):
        compare(runs, [ids[0], "nothing"])
