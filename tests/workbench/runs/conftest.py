"""A workspace in which every study ran once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from steering.model.host import Host
from steering.studies import find_study
from tests.workbench.runs.every_study import TINY, Made
from workbench.cli.kept_runs import in_workspace, run_kept
from workbench.runs.query import Query
from workbench.workspace import Workspace


@pytest.fixture(scope="package")
def made(demo: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    workspace, ids, results = Workspace(tmp_path_factory.mktemp("made")), {}, {}
    extraction = find_study("extract")
    for name in ("formality", "sentiment"):
        (vector,) = extraction.start(demo, extraction.parse({"contrast": name})).result().vectors.values()
        workspace.put(vector)
    for name, given in TINY.items():
        study = find_study(name)
        settings = study.parse(in_workspace(study, given, workspace))
        results[name] = run_kept(workspace, demo, study, settings)
        (run,) = workspace.runs.find(Query(kind=name))
        ids[name] = run.id
    yield Made(workspace, ids, results)
    workspace.runs.close()
