"""A study of the command line as a run of the workspace: its places, what it uses, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.markup import escape

from steering.errors import SteeringError
from steering.extraction.sources import vectors_in
from steering.model.host import Host
from steering.names import safe_name, short_name
from steering.recipes.recipe import Recipe
from steering.studies.grid import load_vectors
from steering.studies.study import Result, Study, recipes_of
from steering.vectors.vector import SteeringVector
from workbench.cli.console import ERR, follow
from workbench.library.run_data import keep_data
from workbench.runs.record import Record
from workbench.runs.run import Run
from workbench.workspace import Workspace


def in_workspace(study: Study, given: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    """Settings with the workspace's own places for what they leave out: vectors by name, finished parts, trained
    dictionaries.
    """
    places = {}
    if "vectors" in study.settings.model_fields:
        places["vectors"] = str(workspace.shelf)
    if "kept" in study.settings.model_fields:
        kept = workspace.cells
        # Where there is no room for it, finished parts are kept in memory, as was said.
        places["kept"] = str(kept.path) if kept.path.exists() else ""
    if "dictionaries" in study.settings.model_fields:
        places["dictionaries"] = str(workspace.dictionaries)
    return {**places, **given}


@contextmanager
def kept_run(workspace: Workspace, host: Host, run: Run, settings: BaseModel, **used: Any) -> Iterator[Record]:
    """Keep what is done inside among the runs of the workspace, however it ends; what it finds is given to the record.
    Where it cannot be kept, say so and go on.
    """
    record = Record(workspace)
    record.begin(host, run, settings, **used)
    if record.id:
        keep_data(workspace.uploads, workspace.runs.get(record.id).about["data"])
    try:
        yield record
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


def run_kept(workspace: Workspace, host: Host, study: Study, settings: BaseModel) -> Result:
    """Run a study to its end and keep it among the runs of the workspace."""
    run = Run("", study.name, study.title, short_name(host.name))
    with kept_run(workspace, host, run, settings, **used_by(study, settings, workspace, host)) as record:
        record.result = result = follow(study.start(host, settings))
    return record.known(result)


def named_plainly(recipe: Recipe, vectors: Mapping[str, SteeringVector]) -> tuple[Recipe, dict[str, SteeringVector]]:
    """A recipe and its vectors with names in place of files' paths, so that the run's copies go by them."""
    names: dict[str, str] = {}
    for name in vectors:
        plain = safe_name(Path(name).name.removesuffix(".safetensors"))
        names[name] = plain if plain not in names.values() else f"{plain} {len(names)}"
    return recipe.renamed(names), {names[name]: vector for name, vector in vectors.items()}


def vectors_of(run: Run, study: Study, settings: BaseModel, workspace: Workspace) -> str:
    """The folder with the vectors that a run used: its own copies, or the shelf; "" where it took all of none.

    Raises:
        SteeringError: Neither has them all.
    """
    wanted: Mapping[str, str] = run.about.get("vectors", {})
    if not wanted:
        return "" if study.uses(settings) is None else str(workspace.shelf)
    for folder in (workspace.runs.folder / run.id / "used", workspace.shelf):
        found = load_vectors(wanted, str(folder))
        if {name: vector.digest for name, vector in found.items()} == wanted:
            return str(folder)
    raise SteeringError(
        f"The vectors that the run used are not here as they were: {', '.join(wanted)}.",
        "the same vectors on the shelf, or the run's own copies of them.",
        "Put them back on the shelf under these names.",
    )


def used_by(study: Study, settings: BaseModel, workspace: Workspace, host: Host) -> dict[str, Any]:
    """The recipes among settings, and the vectors that a run with them takes."""
    wanted, folder = study.uses(settings), str(getattr(settings, "vectors", ""))
    if folder == str(workspace.shelf):
        names = workspace.names() if wanted is None else set(wanted) & set(workspace.names())
        found = {name: workspace.get(name).vector for name in sorted(names)}
    else:
        found = vectors_in(folder) if wanted is None else load_vectors(wanted, folder)
    fitting = {name: each for name, each in found.items() if wanted is not None or not each.misfit(host)}
    return {"recipes": recipes_of(settings), "vectors": fitting}
