"""A study of the command line as a run of the workspace: its places, what it uses, and how it is kept."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from rich.markup import escape

from steering.model.host import Host
from steering.names import short_name
from steering.studies.study import Result, Study, recipes_of
from workbench.cli.console import ERR, follow
from workbench.runs.record import Record
from workbench.runs.run import Run
from workbench.workspace import Workspace


def in_workspace(study: Study, given: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    """Settings with the workspace's own places for what they leave out: vectors by name, and finished parts."""
    places = {}
    if "vectors" in study.settings.model_fields:
        places["vectors"] = str(workspace.shelf)
    if "kept" in study.settings.model_fields:
        kept = workspace.cells
        # Where there is no room for it, finished parts are kept in memory, as was said.
        places["kept"] = str(kept.path) if kept.path.exists() else ""
    return {**places, **given}


def run_kept(workspace: Workspace, host: Host, study: Study, settings: BaseModel) -> Result:
    """Run a study to its end and keep it among the runs of the workspace; where that fails, say so and go on."""
    record, used = Record(workspace), used_by(study, settings, workspace, host)
    record.begin(host, Run("", study.name, study.title, short_name(host.name)), settings, **used)
    try:
        record.result = result = follow(study.start(host, settings))
    except KeyboardInterrupt:
        record.state = "stopped"
        raise
    except BaseException as error:
        record.failed(error)
        raise
    finally:
        problem = record.end()
        if problem is not None:
            ERR.print(f"Not kept among the runs: {escape(str(problem))}", highlight=False)
        elif record.id:
            ERR.print(f"Kept as run {record.id}", highlight=False)
    return result


def used_by(study: Study, settings: BaseModel, workspace: Workspace, host: Host) -> dict[str, Any]:
    """The recipes among settings, and the vectors of the shelf that a run with them takes."""
    wanted, known = study.uses(settings), workspace.names()
    fitting = [name for name in known if not workspace.get(name).vector.misfit(host)] if wanted is None else ()
    names = sorted(fitting if wanted is None else set(wanted) & set(known))
    return {"recipes": recipes_of(settings), "vectors": {name: workspace.get(name).vector for name in names}}
