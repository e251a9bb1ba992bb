"""Same settings, same seeds, same machine: what says that a run's measures, tables and texts are the same, to the last
digit, and would say that they are not. `test_run_code` makes every study's run again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.study import Measure, Result
from steering.vectors.files import save_vector
from tests.crashes import KINDS, STEER, differing, digests
from tests.workbench.cli.test_cli import WAIT
from workbench.key_values import pairs


@pytest.fixture(scope="module")
def shelf(demo: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the vector that the others use."""
    folder = tmp_path_factory.mktemp("shelf")
    result = STUDIES["extract"].start(demo, STUDIES["extract"].parse({})).result(WAIT)
    save_vector(result.vectors["formality"], folder / "formality.safetensors")
    return folder


def _settings(study: str) -> dict[str, Any]:
    """As the command of that kind has them."""
    if study == "steer":  # sampled: both rows at temperature 1
        return {"user": "Write a note to my boss.", "recipes": [json.loads(STEER)]}
    command = KINDS[study]
    return pairs([value for option, value in pairwise(command) if option == "--set"])


def _run(host: Host, study: str, shelf: Path, **changed: Any) -> Result:
    chosen = STUDIES[study]
    places = {"vectors": str(shelf)} if "vectors" in chosen.settings.model_fields else {}
    return chosen.start(host, chosen.parse({**_settings(study), **places, **changed})).result(WAIT)


def test_what_is_compared_shows_the_last_digit_and_a_letter(demo: Host, shelf: Path) -> None:
    one = Measure("share", 0.1, None, None, 7)
    found = replace(_run(demo, "grid", shelf), files={"a.txt": "b"}, measures=(one,))
    cells = found.tables["cells"]
    assert cells["kl_p95_nats"].any()
    for changed, name in (
        ({"tables": {"cells": cells.assign(kl_p95_nats=cells["kl_p95_nats"] * (1 + 2**-51))}}, "table cells"),
        ({"measures": (replace(one, value=0.1 + 2**-56),)}, "measures"),
        ({"files": {"a.txt": "c"}}, "text a.txt"),
    ):
        assert differing(digests(replace(found, **changed)), digests(found)) == [name]


def test_a_sampled_run_is_another_with_another_seed(demo: Host, shelf: Path) -> None:
    recipe = json.loads(STEER)
    other = {**recipe, "decode": {**recipe["decode"], "seed": 1}}
    first, second = (_run(demo, "steer", shelf, recipes=[each]) for each in (recipe, other))
    assert differing(digests(first), digests(second)) == ["table replies"]
