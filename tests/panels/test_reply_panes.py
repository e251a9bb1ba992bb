"""Steer's replies, read again along another vector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.asking import Asker, asked_by, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.frame.shell import build


@pytest.fixture
def asker(tmp_path: Path, tokenizer: Any) -> Iterator[Asker]:
    bench = tiny_bench(tmp_path, tokenizer)
    for seed, name in enumerate(("own", "other")):
        bench.workspace.put(vector(name, seed, blocks=4, width=32))
    yield Asker(build(bench), asked_by("a" * 32))
    bench.close()


def test_replies_of_a_run_that_goes_on_are_not_read_with_the_rows_of_the_last_one(asker: Asker) -> None:
    recipe = {"interventions": [{"vector": "own", "strength": 1.0, "unit": "raw"}], "decode": {"max_new_tokens": 4}}
    asker.ask("run", user="Write a note.", **{"recipe-a": recipe})
    read = asker.ask("along", "input", along="other")
    assert "sw-error" not in read
    assert "sw-tok" in read  # they can be read here, and
    asker.ask("run", until="Waiting", user="Write another.", **{"recipe-a": recipe})
    refused = asker.ask("along", "input", along="own")
    assert "There are no replies here whose tokens can be read again" in refused
    assert "wait until the run has ended" in refused
