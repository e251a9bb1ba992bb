"""`workbench runs`: what was run in a workspace, found again without a page."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workbench.cli.console import OUT, reported, table
from workbench.cli.options import Model, WorkspaceFolder, load_host, loads_model
from workbench.cli.run_exchange import compare_runs, export, import_runs, open_run
from workbench.cli.workers import check_workers, spread_as, takes_workers


runs = typer.Typer(no_args_is_help=True, help="Find, show, note, exchange, delete and go on with what was run.")
runs.command()(export)
runs.command("import")(import_runs)
runs.command("compare")(compare_runs)
runs.command("open")(open_run)
Id = Annotated[str, typer.Argument(help="The run's id, as `runs list` shows it.")]


@runs.command("list")
def list_runs(
    search: Annotated[str, typer.Argument(help="Words in title, model, kind, note or tags.")] = "",
    kind: Annotated[str, typer.Option(help="A study's name, steer or grid.")] = "",
    state: Annotated[str, typer.Option(help="running, done, stopped, failed or interrupted.")] = "",
    vector: Annotated[str, typer.Option(help="A vector that it used.")] = "",
    tag: Annotated[str, typer.Option(help="A tag of it.")] = "",
    since: Annotated[str, typer.Option(help="The day on which it began, or later: 2026-01-31.")] = "",
    until: Annotated[str, typer.Option(help="The day on which it began, or earlier.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 20,
    workspace: WorkspaceFolder = None,
) -> None:
    """List runs, the latest first."""
    with reported():
        import pandas as pd

        from workbench.home import RUNS, home
        from workbench.runs.query import Query
        from workbench.runs.run_list import RunList

        found = RunList(home(workspace) / RUNS)
        query = Query(search, kind=kind, state=state, vector=vector, tag=tag, since=since, until=until)
        n, size = found.count(query)
        rows = [
            {
                "id": each.id,
                "begun": _time(each.begun),
                "run": f"★ {each.title}" if each.favourite else each.title,
                "model": each.model,
                "state": each.state,
                "tags": ", ".join(each.tags),
            }
            for each in found.find(query, limit=limit)
        ]
        if rows:
            shown = pd.DataFrame(rows)
            OUT.print(table(shown if any(shown["tags"]) else shown.drop(columns="tags")))
        OUT.print(f"{len(rows)} of {n} runs, {size / 1e6:.1f} MB in all.", highlight=False)


@runs.command()
def show(id: Id, workspace: WorkspaceFolder = None) -> None:
    """Print what was asked of which model, how it ended, the measures and the main table."""
    with reported():
        import pandas as pd

        from steering.studies import STUDIES
        from workbench.runs.contents import IMPORTED
        from workbench.workspace import Workspace

        found = Workspace(workspace).runs
        run, result = found.get(id), found.result(id)
        ended = f" to {_time(run.ended)}" if run.ended else ""
        OUT.print(f"{run.title} on {run.model}: {run.state}, {_time(run.begun)}{ended}", markup=False, highlight=False)
        came = run.about.get(IMPORTED)
        imported = f"Imported from {came.get('file')}." if came else ""
        for line in (run.error, imported, run.note, f"Tags: {', '.join(run.tags)}" if run.tags else ""):
            if line:
                OUT.print(line, markup=False, highlight=False)
        for name in run.about.get("given", ()):
            OUT.print(f"{name} = {run.about['settings'].get(name)}", markup=False, highlight=False)
        if result is None:
            return
        if result.measures:
            OUT.print(table(pd.DataFrame([vars(measure) for measure in result.measures]), "Measures"))
        if result.headline in result.tables:
            study = STUDIES.get(result.study)  # perhaps of a package that is gone
            OUT.print(table(study.shown(result) if study else result.main, result.headline))
        for line in result.notes:
            OUT.print(line, markup=False, highlight=False)


@runs.command()
def note(
    id: Id,
    text: Annotated[str | None, typer.Argument(help="The note; nothing removes it.")] = None,
    title: Annotated[str | None, typer.Option(help="Another title.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag in place of those it has; may be repeated.")] = None,
    star: Annotated[bool | None, typer.Option("--star/--no-star", help="Among the favourites.")] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Note something of a run, and give it another title, tags or a star."""
    with reported():
        from workbench.workspace import Workspace

        given = {"note": text, "title": title, "tags": tuple(tag) if tag else None, "favourite": star}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        Workspace(workspace).runs.change(id, **(changes or {"note": ""}))


@runs.command()
def delete(
    ids: Annotated[list[str], typer.Argument(help="The runs' ids.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Delete runs with their files, for good."""
    with reported():
        from workbench.workspace import Workspace

        found = Workspace(workspace).runs
        for run in [found.get(id) for id in ids]:
            if not yes and not typer.confirm(f"Delete “{run.title}” of {_time(run.begun)}?"):
                continue
            found.delete(run.id)
        found.close()


@runs.command()
def tidy(
    keep: Annotated[int, typer.Option(min=0, help="The latest so many stay.")],
    kind: Annotated[str, typer.Option(help="Of this kind alone.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Delete all but the latest runs, for good; those with a star or a note stay."""
    with reported():
        from workbench.runs.query import Query
        from workbench.runs.tidying import beyond_latest
        from workbench.workspace import Workspace

        found = Workspace(workspace).runs
        offer = beyond_latest(found, Query(kind=kind), keep)
        said = f"{len(offer.runs)} older runs, {offer.size / 1e6:.1f} MB; {offer.spared} others are kept."
        OUT.print(said, highlight=False)
        if offer.runs and (yes or typer.confirm("Delete them?")):
            for run in offer.runs:
                found.delete(run.id)
        found.close()


@runs.command()
@takes_workers
@loads_model
def resume(
    id: Id, model: Model = "", workspace: WorkspaceFolder = None, *, load: dict[str, Any], workers: dict[str, Any]
) -> None:
    """Run a study again with the settings of a run, such as one that was interrupted.

    What was finished is kept, so that it goes on from there. Where no model is named it is the run's own, loaded and
    asked as it was.
    """
    with reported():
        from steering.studies import find_study
        from workbench.cli.commands import finish, tell_size
        from workbench.cli.kept_runs import in_workspace, run_kept, vectors_of
        from workbench.cli.run_files import RUNS_CODE, RunFile, from_copies, host_of
        from workbench.runs.contents import PLACES
        from workbench.runs.origin import origin_of_run
        from workbench.workspace import Workspace

        shelf = Workspace(workspace)
        run = shelf.runs.get(id)
        study = find_study(run.kind)
        check_workers(study, workers)
        asked = {name: run.about["settings"][name] for name in run.about.get("given", ())}
        given = {name: value for name, value in asked.items() if name not in PLACES}
        given = from_copies(shelf, given, run.about.get("data", {}))
        if "vectors" in study.settings.model_fields:
            given["vectors"] = vectors_of(run, study, study.parse(given), shelf)
        settings = study.parse(in_workspace(study, given, shelf))
        origin = origin_of_run(run)
        file = RunFile(origin, shelf.runs.folder / run.id, trusts_code=bool(origin.load.get(RUNS_CODE)))
        host = load_host(model, load) if model else host_of(file, load)
        tell_size(host, study, settings)
        with spread_as(host, workers):
            result = run_kept(shelf, host, study, settings)
        finish(study, result, None)


def _time(iso: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"
