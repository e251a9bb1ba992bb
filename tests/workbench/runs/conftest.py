"""A workspace in which every study ran once."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator

import pytest
from filelock import FileLock

from steering.model.host import Host
from steering.studies import find_study
from tests.few_replies import few_replies
from tests.workbench.runs.every_study import FEW, TINY, Made
from workbench.cli.kept_runs import in_workspace, run_kept
from workbench.runs.query import Query
from workbench.workspace import Workspace


@pytest.fixture(scope="package")
def made(demo: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Made by the first process of the test run that asks; the others take a copy."""
    base = tmp_path_factory.getbasetemp()
    first = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "every-study"
    with FileLock(first.with_suffix(".lock")):
        if not first.with_suffix(".pickle").exists():
            with few_replies(FEW):
                ids, results = _run_all(Workspace(first), demo)
            first.with_suffix(".pickle").write_bytes(pickle.dumps((ids, results)))
    ids, results = pickle.loads(first.with_suffix(".pickle").read_bytes())
    workspace = Workspace(shutil.copytree(first, tmp_path_factory.mktemp("made") / "home"))
    yield Made(workspace, ids, results)
    workspace.runs.close()


def _run_all(workspace: Workspace, demo: Host) -> tuple[dict, dict]:
    ids, results = {}, {}
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
    workspace.runs.close()
    return ids, results
